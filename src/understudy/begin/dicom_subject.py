"""What lies in the folder of a subject: series of images and annotations, and which of them are to be taken.

A series is chosen by what its description says, or by what the user says of it. Two that fit are a question, never a
guess.
"""

import fnmatch
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from understudy.config.images import LABEL_CHANNEL
from understudy.files.outside import shortened

from . import dicom_rtstruct, dicom_seg
from .dicom_file import is_dicom, named, read_dicom, text
from .dicom_series import GEOMETRY, Grid, grid_of
from .file_words import modality_of, tokens

_MOST_FILES, _DEEPEST = 50_000, 8  # of a subject
_IMAGES = {"MR": None, "CT": "ct", "PT": "pet"}  # Modality -> channel; none where the description has to say it
_READ = [
    "Modality", "SeriesInstanceUID", "SOPInstanceUID", "SeriesDescription", "ImageType", "PatientID", "PatientName",
    "PatientIdentityRemoved", *GEOMETRY,
]  # fmt: skip
_ANNOTATIONS = {"SEG": dicom_seg, "RTSTRUCT": dicom_rtstruct}  # Modality -> what reads it
_READ_OF_ANNOTATION = [
    *_READ, "SegmentationType", "SegmentSequence", "ReferencedSeriesSequence",
    "StructureSetROISequence", "ROIContourSequence", "ReferencedFrameOfReferenceSequence",
]  # fmt: skip


@dataclass
class Series:
    """Of a subject; an annotation is a series of its own. `description` is for people, on their terminal alone."""

    modality: str
    uid: str
    description: str
    headers: list[tuple[Path, object]] = field(default_factory=list)


@dataclass(frozen=True)
class Chosen:
    """What is taken of a subject, all of it in one grid."""

    name: str  # of its folder: the subject id
    patient: str  # PatientID, to find who comes twice; it is written nowhere
    files: Mapping[str, Sequence[Path]]  # channel -> slices in order
    seg: Path
    kind: str  # of it: SEG or RTSTRUCT
    labels: Sequence[str]  # in the order of their numbers
    grid: Grid
    told: Sequence[str]  # what was left out

    def annotation(self, values: Mapping[str, int]) -> np.ndarray:
        """uint8 (X, Y, Z): the value of each voxel's label, 0 where there is none. Raises ValueError."""
        return _ANNOTATIONS[self.kind].read_annotation(self.seg, self.grid, values)


def choose(folder: Path, wanted: Mapping[str, str], labels: Collection[str] = ()) -> Chosen:
    """Args:
        wanted: channel -> SeriesDescription (with * for anything) or SeriesInstanceUID; empty: as descriptions say.
        labels: those to take; empty: all.

    Raises:
        ValueError: a file that cannot be read, no series or several for a channel, slices that form no volume, or
            series and annotation that do not lie in one grid.
    """
    every, told = _look(folder)
    first = next((header for series in every for _, header in series.headers), None)
    if first is None:
        raise ValueError("found no DICOM file, expected series of images and a SEG or RTSTRUCT.")
    if len({text(header, "PatientID") for series in every for _, header in series.headers}) > 1:
        raise ValueError("found files of several patients (PatientID), expected those of one. Move the others.")
    if _names_its_patient(folder.name, first):
        raise ValueError("found the name of the patient in that of the folder, expected a pseudonym. Rename it.")
    images = [series for series in every if series.modality in _IMAGES]
    drawn = [series for series in every if series.modality in _ANNOTATIONS]
    left_out = sorted({series.modality for series in every} - {*_ANNOTATIONS, *_IMAGES})
    told += [f"{modality or 'files without a modality'} left out" for modality in left_out]
    channels = _named_series(images, wanted) if wanted else _known_series(images, told)
    kind, seg, header = _only_annotation(drawn, wanted.get(LABEL_CHANNEL))
    with named(seg):
        names = _labels(_ANNOTATIONS[kind].label_names(header), labels, told)
        uids = {s.uid: {text(h, "SOPInstanceUID") for _, h in s.headers} for s in images}
        _ANNOTATIONS[kind].check_references(header, uids)
    grid, files = _one_grid(channels)
    return Chosen(folder.name, text(first, "PatientID"), files, seg, kind, names, grid, told)


def _look(folder: Path) -> tuple[list[Series], list[str]]:
    """All series, and what was passed over."""
    found: dict[str, Series] = {}
    others = 0
    for path in _files(folder):
        if path.name == "DICOMDIR" or not is_dicom(path):
            others += 1
            continue
        with named(path):
            header = read_dicom(path, _READ)
            modality, uid = text(header, "Modality"), text(header, "SeriesInstanceUID")
            if modality in _ANNOTATIONS:
                header = read_dicom(path, _READ_OF_ANNOTATION)
            if modality in _IMAGES and "LOCALIZER" in text(header, "ImageType"):
                others += 1
                continue
            series = found.setdefault(uid, Series(modality, uid, text(header, "SeriesDescription")))
            if series.modality != modality:
                raise ValueError(
                    f"found Modality {shortened(modality)} and {shortened(series.modality)} in one series, expected "
                    "one. Split the series."
                )
            series.headers.append((path, header))
    return list(found.values()), [f"{others} files left out: no DICOM, or localizers"] if others else []


def _files(folder: Path) -> Iterator[Path]:
    """In order; hidden ones are passed over. Raises ValueError where they are too many."""
    count = 0
    for here, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if len(Path(here).relative_to(folder).parts) >= _DEEPEST:
            below.clear()
        for name in sorted(names):
            if not name.startswith("."):
                count += 1
                yield Path(here, name)
        if count > _MOST_FILES:
            raise ValueError(f"found more than {_MOST_FILES} files, expected those of one subject.")


def _names_its_patient(folder: str, header) -> bool:
    """Whether a word of PatientName is one of the folder's. Where the name is the id or was removed, it is none."""
    name = text(header, "PatientName")
    if text(header, "PatientIdentityRemoved").upper() == "YES" or name == text(header, "PatientID"):
        return False
    return any(word in tokens(folder) for word in tokens(name) if word.isalpha() and len(word) > 2)


def _known_series(images: Sequence[Series], told: list[str]) -> dict[str, Series]:
    """Channel -> the one series that says to be it."""
    fitting: dict[str, list[Series]] = {}
    for series in images:
        channel = _IMAGES[series.modality] or modality_of(series.description)
        if channel is None and len(images) == 1:
            channel = "mr"
        if channel:
            fitting.setdefault(channel, []).append(series)
        else:
            told.append(f"series {shortened(series.description)} left out: no known modality, name it with --series")
    if not fitting:
        raise ValueError(
            f"found no series of MR, CT or PET that says its modality ({_shown(images)}), expected one. Name those to "
            'take, such as --series t1="AX SE".'
        )
    return {channel: _only(channel, several) for channel, several in fitting.items()}


def _named_series(images: Sequence[Series], wanted: Mapping[str, str]) -> dict[str, Series]:
    chosen = {}
    for channel, asked in wanted.items():
        if channel == LABEL_CHANNEL:
            continue
        fitting = [series for series in images if _fits(series, asked)]
        if not fitting:
            raise ValueError(
                f"{channel}: found no series {shortened(asked)} among {_shown(images)}, expected one: --series."
            )
        chosen[channel] = _only(channel, fitting)
    return chosen


def _fits(series: Series, asked: str) -> bool:
    return series.uid == asked or fnmatch.fnmatchcase(series.description.lower(), asked.strip().lower())


def _only(channel: str, fitting: Sequence[Series]) -> Series:
    if len(fitting) > 1:
        raise ValueError(
            f"{channel}: found {len(fitting)} series that fit ({_shown(fitting)}), expected one. Choose by "
            f'--series {channel}="its description", or by its SeriesInstanceUID.'
        )
    return fitting[0]


def _only_annotation(drawn: Sequence[Series], asked: str | None) -> tuple[str, Path, object]:
    """(kind, file, header)"""
    fitting = [s for s in drawn if asked is None or _fits(s, asked)]
    if not fitting:
        raise ValueError(f"found {len(drawn)} SEG or RTSTRUCT, none that fits, expected one.")
    series = _only(LABEL_CHANNEL, fitting)
    if len(series.headers) > 1:
        (first, _), (second, _) = series.headers[:2]
        raise ValueError(
            f"found {len(series.headers)} {series.modality} files in one series ({first.name}, {second.name}), "
            "expected one. Remove the others."
        )
    ((path, header),) = series.headers
    return series.modality, path, header


def _labels(names: Mapping[int, str], asked: Collection[str], told: list[str]) -> list[str]:
    """Of the annotation, in the order of their numbers."""
    found = list(dict.fromkeys(name for _, name in sorted(names.items())))
    taken = [name for name in found if not asked or name in asked]
    if not taken:
        raise ValueError(f"found the labels {', '.join(found)[:300]}, expected one of --labels {', '.join(asked)}.")
    if others := [name for name in found if name not in taken]:
        told.append(f"labels left out: {', '.join(others)[:300]}")
    return taken


def _one_grid(channels: Mapping[str, Series]) -> tuple[Grid, dict[str, list[Path]]]:
    grids, files = {}, {}
    for channel, series in channels.items():
        try:
            grids[channel], files[channel] = grid_of(series.headers)
        except ValueError as error:
            raise ValueError(f"{channel} ({shortened(series.description)}): {error}") from error
    first, grid = next(iter(grids.items()))
    for channel, other in grids.items():
        if difference := other.difference(grid):
            raise ValueError(
                f"{channel}: found {difference}, expected the grid of {first}. Register and resample them first, or "
                "take those of one grid with --series."
            )
    return grid, files


def _shown(several: Sequence[Series]) -> str:
    shown = [f"{shortened(series.description)} {series.uid}" for series in several[:4]]
    return "; ".join(shown) + ("; ..." if len(several) > 4 else "") or "none"
