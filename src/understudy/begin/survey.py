"""Looks at a few subjects of a folder that was recognised: label values, shapes, voxels, and whether files fit.

Names are looked at in all subjects, headers and voxels in a few: `snakemake prepare` reads them all.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.config.images import LABEL_CHANNEL, RESERVED, Images
from understudy.prepare.index import Settings, check_subject
from understudy.prepare.layouts import PRESETS, Layout, Subject, find_subjects, layouts_of
from understudy.prepare.slices import bright_fraction
from understudy.prepare.volume import Volume
from understudy.prepare.window import window_scale

from .ct_windows import ct_windows
from .file_words import patients
from .read_channel import read_channel
from .recognise import Found

LOOKED = 8  # subjects whose voxels are read, spread over all
LEAST = 2  # people
EXPECTED = f"expected at least {LEAST}: one to train, one to test."
_MOST_VALUES = 16  # of an annotation; more are an atlas, or no annotation
_MOST_LINES = 5
_DEFAULTS = {name: field.default for name, field in Images.model_fields.items()}
_LATER_LABELS = {"brats2023": {4: "rc"}}  # BraTS 2024 (post-treatment glioma): resection cavity


@dataclass(frozen=True)
class Slice:
    """What is drawn of a subject: its slice with the most annotation, as `prepare` turns it."""

    subject: str
    number: int
    images: Mapping[str, np.ndarray]  # channel -> (Y, X)
    raw_labels: np.ndarray  # (Y, X)


@dataclass(frozen=True)
class Survey:
    """What a config needs to know. `labels` is null where those of the presets do."""

    subjects: Sequence[str]
    patients: Mapping[str, Sequence[str]]  # of several subjects each
    labels: Mapping[int, str] | None
    label_names: Mapping[int, str]
    size: int
    shapes: Sequence[str]
    spacings_mm: Sequence[str]
    pixel_mm: float  # longest side of a pixel
    decisive: str
    windows: Mapping[str, Sequence[float]]  # of the modalities that are CT, HU
    area_fraction: float | None  # where the default would keep no slice of somebody
    slices: Sequence[Slice]


def survey(found: Found) -> Survey:
    """Raises ValueError: subjects without a file, ids that cannot be, files that cannot be read or do not fit, label
    values that are none; a few lines at most."""
    subjects = _subjects(found)
    looked = [subjects[i] for i in _spread(len(subjects), LOOKED)]
    annotations = [read_channel(found.root, subject, LABEL_CHANNEL) for subject in looked]
    values = {subject.layout.name: set() for subject in looked}
    for subject, volume in zip(looked, annotations, strict=True):
        values[subject.layout.name] |= _values_of(volume)
    labels = _labels(found, values)
    layouts = {layout.name: layout for layout in layouts_of(found.layout, labels)}
    size = _size(annotations)
    windows = ct_windows(found, looked, annotations)
    _check(found, [_with(subject, layouts[subject.layout.name]) for subject in looked], size, windows)
    _tell_planes(found, looked, annotations)
    decisive = "t1" if "t1" in found.channels else found.channels[0]
    best, slices = [], []
    for subject, annotation in zip(looked, annotations, strict=True):
        images = {c: read_channel(found.root, subject, c).data_XYZ for c in found.channels if c != LABEL_CHANNEL}
        window = windows.get(decisive)
        best.append(bright_fraction(images[decisive], _DEFAULTS["intensity_threshold"], size, window).max())
        slices.append(_slice(subject.name, images, annotation.data_XYZ, windows))
    return Survey(
        subjects=[subject.name for subject in subjects],
        patients=patients(subject.name for subject in subjects),
        labels=labels,
        label_names={value: name for layout in layouts.values() for value, name in layout.labels.items()},
        size=size,
        shapes=_different("x".join(map(str, volume.data_XYZ.shape)) for volume in annotations),
        spacings_mm=_different("x".join(f"{mm:.3g}" for mm in volume.spacing_mm) for volume in annotations),
        pixel_mm=float(max(max(volume.spacing_mm[:2]) for volume in annotations)),
        decisive=decisive,
        windows=windows,
        area_fraction=None if min(best) > _DEFAULTS["area_fraction"] else float(f"{min(best) / 2:.1g}"),
        slices=slices,
    )


def _subjects(found: Found) -> list[Subject]:
    placeholder = None if _is_preset(found) else {1: "any"}  # values are looked at later
    subjects, problems = find_subjects(found.root, layouts_of(found.layout, placeholder), found.channels)
    lacking = {s.name: [c for c in found.channels if c not in s.files] for s in subjects}
    if lacking := {name: channels for name, channels in lacking.items() if channels}:
        shown = "; ".join(f"{name}: {', '.join(channels)}" for name, channels in list(lacking.items())[:_MOST_LINES])
        raise ValueError(
            f"{found.root}: found {len(lacking)} of {len(subjects)} subjects without a file ({shown}"
            f"{'; ...' if len(lacking) > _MOST_LINES else ''}), expected {', '.join(found.channels)} of each. Complete "
            "them, move them away, or name the channels that all have with --channels."
        )
    if problems:
        raise ValueError(_few(problems))
    if len(subjects) < LEAST:
        raise ValueError(f"{found.root}: found subjects: {len(subjects)}, {EXPECTED}")
    return subjects


def _is_preset(found: Found) -> bool:
    return not isinstance(found.layout, dict)


def _spread(count: int, most: int) -> list[int]:
    """Numbers from 0 to count - 1, at most so many, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _values_of(annotation: Volume) -> set[int]:
    values = np.unique(annotation.data_XYZ)
    wrong = values[~np.isfinite(values) | (values < 0) | (values != np.floor(values))]
    if len(wrong):
        raise ValueError(
            f"{annotation.path}: found the label value {wrong[0]:g}, expected whole numbers, 0 where nothing is "
            "annotated. Is this the annotation? Round its values, or rename it."
        )
    if len(values) > _MOST_VALUES:
        raise ValueError(
            f"{annotation.path}: found {len(values)} label values, expected an annotation of at most {_MOST_VALUES}. "
            "Merge labels that belong together."
        )
    return {int(value) for value in values if value}


def _labels(found: Found, values: Mapping[str, set[int]]) -> dict[int, str] | None:
    """Raw value -> label name; none where the presets' own do. Says what had to be guessed."""
    if not set().union(*values.values()):
        raise ValueError(f"{found.root}: found only empty annotations in {LOOKED} subjects at most, expected a label.")
    if not _is_preset(found):
        return _named(found, set().union(*values.values()), {})
    strange = {name: there - PRESETS[name].labels.keys() for name, there in values.items()}
    if not any(strange.values()):
        return None
    if len(values) > 1:
        name = next(name for name in strange if strange[name])
        raise ValueError(
            f"{found.root}: found label {min(strange[name])} in subjects of {name}, expected one of "
            f"{', '.join(map(str, PRESETS[name].labels))}. Put each year into a folder of its own."
        )
    ((name, there),) = values.items()
    own = dict(PRESETS[name].labels)
    if there <= {1, 2, 3} and 4 in own:  # from 2023 on the enhancing tumor is 3
        found.open.append(f"label 3 is taken for et, as from BraTS 2023 on: datasets.{found.dataset}.labels")
        own = {3 if value == 4 else value: label for value, label in own.items()}
    return _named(found, there, own | _LATER_LABELS.get(name, {}))


def _named(found: Found, there: set[int], known: Mapping[int, str]) -> dict[int, str]:
    names = {**found.label_names, **known}
    if known:  # of a preset: what is not met is no label here
        names = {value: name for value, name in names.items() if value in there or value in (1, 2, 3)}
    elif len(there) > 1 and set(names) == {1}:
        names = {}
    nameless = sorted(there - names.keys())
    if nameless and len(there) == 1 and set(names) == {1}:  # one label, drawn as 255
        names, nameless = {nameless[0]: names[1]}, []
    if nameless:
        found.open.append(
            f"nothing says what label {', '.join(map(str, nameless))} is: rename it in "
            f"datasets.{found.dataset}.labels and images.labels"
        )
    names |= {value: f"label_{value}" for value in nameless}
    return {value: f"label_{value}" if name in RESERVED else name for value, name in sorted(names.items())}


def _size(volumes: Sequence[Volume]) -> int:
    """The smallest power of two that holds a slice of each."""
    longest = max(max(volume.data_XYZ.shape[:2]) for volume in volumes)
    return max(32, 1 << (longest - 1).bit_length())


def _tell_planes(found: Found, subjects: Sequence[Subject], volumes: Sequence[Volume]) -> None:
    """Slices are cut across the third axis, whatever plane a volume was taken in."""
    long = [s.name for s, v in zip(subjects, volumes, strict=True) if max(v.spacing_mm[:2]) > 2 * min(v.spacing_mm[:2])]
    if long:
        found.open.append(
            f"{len(long)} of {len(subjects)} subjects, such as {long[0]}, were taken in another plane than axial: "
            "their slices have long pixels. Resample them, or move them away"
        )


def _with(subject: Subject, layout: Layout) -> Subject:
    return Subject(subject.name, layout, subject.files)


def _check(found: Found, subjects: Sequence[Subject], size: int, windows: Mapping) -> None:
    """As `prepare` will, so that what it would refuse is told now."""
    with tempfile.TemporaryDirectory() as work:
        names = tuple(dict.fromkeys(name for subject in subjects for name in subject.layout.labels.values()))
        how = (tuple(found.channels), size, _DEFAULTS["orientation"], names, tuple(windows))
        settings = Settings(found.root, *how, Path(work))
        problems = [line for subject in subjects for line in check_subject(settings, subject)["problems"]]
    if problems:
        raise ValueError(_few(problems))


def _slice(subject: str, images: Mapping[str, np.ndarray], annotation_XYZ: np.ndarray, windows: Mapping) -> Slice:
    annotated_Z = np.count_nonzero(annotation_XYZ, axis=(0, 1))
    k = int(annotated_Z.argmax()) if annotated_Z.any() else len(annotated_Z) // 2
    shown = {name: x_XYZ[:, :, k].T for name, x_XYZ in images.items()}
    shown |= {name: window_scale(window)(shown[name]) for name, window in windows.items()}
    return Slice(subject, k, shown, annotation_XYZ[:, :, k].T)


def _different(texts) -> list[str]:
    return sorted(set(texts))


def _few(problems: Sequence[str]) -> str:
    more = [f"... and {len(problems) - _MOST_LINES} more"] if len(problems) > _MOST_LINES else []
    return "\n".join([*problems[:_MOST_LINES], *more])
