"""`understudy convert-dicom FOLDER OUTPUT`: DICOM series and their SEG or RTSTRUCT as NIfTI, in a folder for `init`.

FOLDER has a folder per subject, whose name becomes the subject id. OUTPUT is nnU-Net's raw form: imagesTr, labelsTr and
dataset.json with the names of labels. Nothing else of a DICOM header is written: no name, no number, no date.
"""

import argparse
import gzip
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np

from understudy.files import escape
from understudy.files.atomic import atomic_path, write_json
from understudy.prepare.layouts import is_safe_id
from understudy.run.command_line import named_os_errors

from .dicom_file import is_dicom, named
from .dicom_labels import MOST_LABELS, label_name
from .dicom_series import read_voxels
from .dicom_subject import Chosen, choose
from .file_words import patients

_MOST_LINES = 5
_TO_RAS = np.diag([-1.0, -1, 1, 1])


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder per subject, with DICOM files at any depth")
    parser.add_argument("output", type=Path, help="a new folder for NIfTI files and dataset.json")
    parser.add_argument(
        "--series", nargs="+", metavar="CHANNEL=TEXT", default=[],
        help="series to take: SeriesDescription (* is anything) or SeriesInstanceUID; seg=TEXT is the annotation",
    )  # fmt: skip
    parser.add_argument(
        "--labels", nargs="+", metavar="NAME", default=[], help="the segments or regions to take; all where left out"
    )


def command(arguments: argparse.Namespace) -> None:
    """Raises ValueError: a few lines that say what is wrong with the folder."""
    wanted = {}
    for one in arguments.series:
        channel, _, asked = one.partition("=")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,39}", channel) or not asked or channel in wanted:
            raise ValueError(f"--series: found {one!r}, expected CHANNEL=TEXT, channels of small letters, each once.")
        wanted[channel] = asked
    with named_os_errors():
        for line in convert_dicom(arguments.folder, arguments.output, wanted, arguments.labels):
            print(escape.line(line))
    print(f"next: understudy init {arguments.output}")


def convert_dicom(folder: Path, output: Path, series: Mapping[str, str], labels: Sequence[str] = ()) -> list[str]:
    """Writes `output`, whole or not at all.

    Args:
        series: channel -> SeriesDescription, with * for anything, or SeriesInstanceUID; empty: as descriptions say.
        labels: segments or regions to take, as they are named there; empty: all.

    Returns:
        What was found and what was left out, a line each.

    Raises:
        ValueError: what is wrong with the subjects, a few lines at most.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output}: found something there, expected a new folder. Nothing is overwritten.")
    taken = {label_name(name, 0) for name in labels}
    chosen = _every(lambda one: choose(one, series, taken), _subject_folders(folder))
    channels = _channels(folder, chosen)
    told = _check_patients(folder, chosen)
    values = _values(folder, chosen)
    with _whole_folder(output) as work:
        _every(lambda one: _write(work, one, channels, values), chosen)
        write_json(
            work / "dataset.json",
            {
                "channel_names": {str(number): channel for number, channel in enumerate(channels)},
                "labels": {"background": 0, **values},
                "numTraining": len(chosen),
                "file_ending": ".nii.gz",
            },
        )
    shown = ", ".join(f"{value} {name}" for name, value in values.items())
    return [
        f"{len(chosen)} subjects, called as their folders; channels {', '.join(channels)}; labels {shown}",
        *told,
        *(f"{one.name}: {line}" for one in chosen for line in one.told),
    ]


def _subject_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise ValueError(f"{root}: found no folder, expected one with a folder per subject.")
    inside = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    folders = [path for path in inside if path.is_dir()]
    if any(path.is_file() and path.name != "DICOMDIR" and is_dicom(path) for path in inside[:50]):
        raise ValueError(f"{root}: found DICOM files, expected a folder per subject. Move each subject into one.")
    if not folders:
        raise ValueError(f"{root}: found no folder in it, expected one per subject.")
    lower = [path.name.lower() for path in folders]
    for path in folders:
        if not is_safe_id(path.name) or lower.count(path.name.lower()) > 1:
            raise ValueError(
                f"{root}: found a folder {path.name!r}, expected letters, digits, . _ and -, a letter or digit "
                "first, that differ in more than case: they become subject ids. Rename it."
            )
    return folders


def _every(do, things: Sequence) -> list:
    """Does it for all, then says what was wrong with any; folder and subject are named in front."""
    done, problems = [], []
    for one in things:
        try:
            done.append(do(one))
        except ValueError as error:
            problems.append(f"{one.name}  {error}")
    if problems:
        more = [f"... and {len(problems) - _MOST_LINES} more"] if len(problems) > _MOST_LINES else []
        raise ValueError("\n".join([*problems[:_MOST_LINES], *more]))
    return done


def _channels(root: Path, chosen: Sequence[Chosen]) -> list[str]:
    every = sorted({channel for one in chosen for channel in one.files})
    for one in chosen:
        if absent := [channel for channel in every if channel not in one.files]:
            raise ValueError(
                f"{root}: found no {', '.join(absent)} of {one.name}, expected {', '.join(every)} of each. Complete or "
                "remove the subject, or name the series that all have with --series."
            )
    return every


def _check_patients(root: Path, chosen: Sequence[Chosen]) -> list[str]:
    """One patient in several folders could be in both splits: their names have to say it, as `init` reads them."""
    of: dict[str, list[str]] = {}
    for one in chosen:
        of.setdefault(one.patient, []).append(one.name)
    told = []
    if any(patient and patient in (one.name for one in chosen) for patient in of):
        told.append("some folders are called as the PatientID in their files: if it is a hospital's, rename them")
    if len(of) == 1 and len(chosen) > 1:
        return [*told, "all files have one PatientID: it cannot tell whether a patient comes twice"]
    for patient, names in of.items():
        if patient and len(names) > 1 and len(patients(names)) != 1:
            raise ValueError(
                f"{root}: found one PatientID in {', '.join(names[:3])}, expected folders of one patient to be called "
                f"as visits. Rename them {names[0]}_visit-1, {names[0]}_visit-2, so that they stay in one split."
            )
    return told


def _values(root: Path, chosen: Sequence[Chosen]) -> dict[str, int]:
    """Label -> value, the same in all subjects, whatever the numbers there."""
    names = dict.fromkeys(name for one in chosen for name in one.labels)
    if len(names) > MOST_LABELS:
        raise ValueError(f"{root}: found {len(names)} labels, expected at most {MOST_LABELS}. Name segments alike.")
    return {name: value for value, name in enumerate(names, 1)}


def _write(work: Path, one: Chosen, channels: Sequence[str], values: Mapping[str, int]) -> None:
    seg = one.annotation(values)
    for number, channel in enumerate(channels):
        with named(Path(channel)):
            voxels = read_voxels(one.files[channel], one.grid)
        _save(work / f"imagesTr/{one.name}_{number:04d}.nii.gz", voxels, one)
    _save(work / f"labelsTr/{one.name}.nii.gz", seg, one)


def _save(path: Path, voxels_XYZ: np.ndarray, one: Chosen) -> None:
    image = nibabel.Nifti1Image(voxels_XYZ, _TO_RAS @ one.grid.affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))


@contextmanager
def _whole_folder(output: Path) -> Iterator[Path]:
    """A folder beside `output`, which becomes it when the block ends well, else it is removed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    work = output.with_name(f".{output.name}.{secrets.token_hex(8)}.tmp")
    work.mkdir()
    try:
        yield work
        work.replace(output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
