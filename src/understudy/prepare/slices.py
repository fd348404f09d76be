"""Volumes -> stacks of 8-bit slices, by the rule of the published study (config `images` holds its numbers).

Each volume of each modality is scaled by its own maximum to 0 ... 255, rounded half up, or by its window where it is a
CT (window.py); the annotation is coded in grey levels; slices are zero padded to a square. A slice is kept where the
share of its padded pixels whose decisive modality lies above a threshold, before rounding, exceeds a fraction.
train.zip holds the kept slices, test.zip all of them and, in its meta, which were kept.

With `downsample` k, areas of k x k padded pixels become one pixel (downsample.py). Slices are
chosen before this, so the choice does not depend on k. The mean of the voxels is taken before rounding to grey levels.
The spacing in the meta is the spacing of the stack's pixels.

A volume in LPS order x_XYZ gives the slices x_XYZ[:, :, k].T, (Y, X): rows run from anterior at the top to posterior,
columns from the patient's right at the left to the patient's left. That is the radiological convention.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from understudy.files.atomic import hash_of, sha256_of_file, write_json
from understudy.files.outside import first_twice
from understudy.stack import Stack, StackWriter
from understudy.stack.labels import LABEL_CHANNEL

from .downsample import area_majority, area_sums
from .index import read_index, side_of_padded
from .layouts import PRESETS, by_file, layouts_of
from .read_volumes import read_volumes
from .splits import SPLITS, check_identities, how_drawn
from .subject_processes import map_subjects
from .volume import Volume
from .window import Window, share_in_window, window_scale

RULE = 1  # version of the slicing: a larger number makes kept files of the work folder be done again
_TABLE = 2**24  # entries of the largest look-up table; integer voxels above are scaled as floats


@dataclass(frozen=True)
class Rule:
    """How a subject becomes slices: config `images`, and what each raw label value is in grey."""

    size: int
    downsample: int
    padded: int  # pixels along a side of a padded slice
    channels: tuple[str, ...]
    decisive: str
    intensity_threshold: float
    area_fraction: float
    orientation: str
    windows: Mapping[str, Window]
    grey: Mapping[int, int]


def slice_volumes(
    dataset: str,
    root: str | Path,
    options: Mapping,
    images: Mapping,
    index: str | Path,
    train: str | Path,
    test: str | Path,
    manifest: str | Path,
    work: str | Path,
    workers: int = 1,
) -> None:
    """Writes the stacks of both splits, and a manifest with their hashes, counts and lineage.

    Subjects are cut in parallel, each to a file of the work folder; these survive a kill and are removed when the
    stacks are there. The bytes of a stack depend on the data and `images` alone.

    Args:
        options: config datasets.NAME: layout and labels.
        index: subjects.csv of index_subjects.
    Raises:
        ValueError: a file that has changed since the index, a split none of whose slices is kept, a full disk.
    """
    rows = read_index(index)
    root, work, outputs = Path(root), Path(work), {"train": Path(train), "test": Path(test)}
    if not root.is_dir():
        raise ValueError(f"{root}: found nothing, expected the folder of the raw data. Correct the dataset's `root`.")
    _check_rows(index, rows, images)
    rules = {name: _rule(images, grey) for name, grey in _greys(options, images).items()}
    tasks = [Task(row, rules[row["layout"]], row["split"] == "test", root, work) for row in rows]
    cuts = map_subjects(cut_subject, tasks, workers, f"slice {dataset}")
    cut = {row["subject"]: one for row, one in zip(rows, cuts, strict=True)}
    members = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    for split in SPLITS:
        _tell_kept(split, {row["subject"]: cut[row["subject"]] for row in members[split]}, images)
    summary = {}
    for split, path in outputs.items():
        meta = _meta(dataset, split, how_drawn(options), members[split], cut, images)
        with StackWriter(path, meta) as stack:
            for row in members[split]:
                part = Stack.open(cut[row["subject"]].path)
                for i, name in enumerate(part.names):
                    stack.add_png(name, part.png(i))
        summary[split] = _summary(path, meta)
    write_json(manifest, {"dataset": dataset, "images": dict(images), "splits": summary})
    _clean(work, outputs.values())


def _check_rows(index: str | Path, rows: Sequence[Mapping], images: Mapping) -> None:
    """Raises ValueError where an index is not one of these channels, or is not split as it was checked."""
    needed = [f"{channel}_{what}" for channel in images["channels"] for what in ("file", "crc32")]
    problems = [f"found no column {name}" for name in needed if name not in rows[0]]
    if twice := first_twice(row["subject"] for row in rows):
        problems.append(f"found {twice} twice")
    problems += [f"found no {split} subject" for split in SPLITS if split not in {row["split"] for row in rows}]
    problems += check_identities(*({row["subject"]: row[key] for row in rows} for key in ("split", "identity")))
    problems += [f"found the layout {row['layout']!r}" for row in rows if row["layout"] not in (*PRESETS, "own")]
    if problems:
        raise ValueError(f"{index}: {problems[0][:200]}, expected the index of a data set. Run index_subjects again.")


def _check_volume(task: "Task", volume: Volume, channel: str, decisive: Volume) -> None:
    """What the index has seen, looked at once more: an index may be another's. Raises ValueError."""
    shape, size = volume.data_XYZ.shape, task.rule.padded
    values = set(np.unique(volume.data_XYZ).tolist()) if channel == LABEL_CHANNEL else set()
    if shape != decisive.data_XYZ.shape or max(shape[:2]) > size or values - {0, *task.rule.grey}:
        raise ValueError(
            f"{task.row['subject']}  {volume.path}: found shape {shape} or label values that do not fit "
            f"{decisive.path.name} and slices of {size} pixels. Run index_subjects again."
        )


@dataclass(frozen=True)
class Task:
    """One subject to cut: its row of subjects.csv; `whole` keeps every slice, as test stacks do."""

    row: Mapping[str, str]
    rule: Rule
    whole: bool
    root: Path
    work: Path


@dataclass(frozen=True)
class Cut:
    """A subject that is cut: the stack of its slices, which numbers passed the rule, and how near the best one came."""

    path: Path
    included: list[int]
    spacing_mm: list[float]  # z, y, x
    largest_fraction: float


def cut_subject(task: Task) -> Cut:
    """Writes the stack of one subject to the work folder, unless it is there.

    Raises:
        ValueError: a file has changed since the index, or the disk is full.
    """
    name, rule = task.row["subject"], task.rule
    crcs = [task.row[f"{channel}_crc32"] for channel in rule.channels]
    path = task.work / f"{name}.{hash_of([RULE, asdict(rule), task.whole, crcs])}.zip"
    if not path.exists():
        _write_cut(task, path)
    about = Stack.open(path).meta["cut"]
    return Cut(path, about["included"], about["spacing_mm"], about["largest_fraction"])


def _write_cut(task: Task, path: Path) -> None:
    rule, name = task.rule, task.row["subject"]
    files = by_file({channel: task.row[f"{channel}_file"] for channel in rule.channels})
    images_NCHW = numbers = None
    # the file with the decisive modality comes first, as it tells which slices the others are needed for
    for file in sorted(files, key=lambda file: rule.decisive not in files[file]):
        volumes = dict(zip(files[file], _read_unchanged(task, file, files[file]), strict=True))
        if numbers is None:
            decisive = volumes[rule.decisive]
            window = rule.windows.get(rule.decisive)
            fraction_Z = bright_fraction(decisive.data_XYZ, rule.intensity_threshold, rule.padded, window)
            included = np.flatnonzero(fraction_Z > rule.area_fraction)
            numbers = np.arange(len(fraction_Z)) if task.whole else included
            images_NCHW = np.zeros((len(numbers), len(rule.channels), rule.size, rule.size), np.uint8)
        for channel, volume in volumes.items():
            _check_volume(task, volume, channel, decisive)
            padded_HW, reduced = _reduced(rule, channel, volume.data_XYZ)
            _fill(images_NCHW[:, rule.channels.index(channel)], volume.data_XYZ, numbers, padded_HW, reduced)
    about = {
        "included": included.tolist(),
        "spacing_mm": [decisive.spacing_mm[2], *(mm * rule.downsample for mm in decisive.spacing_mm[1::-1])],
        "largest_fraction": float(fraction_Z.max()),
    }
    shape = {"channels": rule.channels, "labels": {}, "height": rule.size, "width": rule.size}
    with StackWriter(path, shape | {"source": {"subject": name}, "lineage": [], "cut": about}) as stack:
        for number, x_CHW in zip(numbers, images_NCHW, strict=True):
            stack.add(f"{name}/{number:03d}.png", x_CHW)


def _read_unchanged(task: Task, file: str, channels: Mapping[str, int | None]) -> list[Volume]:
    volumes = read_volumes(task.root / file, list(channels.values()), task.rule.orientation)
    for channel, volume in zip(channels, volumes, strict=True):
        indexed = task.row[f"{channel}_crc32"]
        if volume.crc32 != indexed:
            raise ValueError(
                f"{task.row['subject']}  {volume.path}: found CRC {volume.crc32}, expected {indexed} as in the index: "
                "the file has changed since. Run index_subjects again."
            )
    return volumes


def bright_fraction(x_XYZ: np.ndarray, threshold: float, size: int, window: Window | None = None) -> np.ndarray:
    """(Z,) share of each slice's size * size padded pixels with v / max(v) * 255 > threshold, nothing rounded; of a CT
    within its window."""
    if window:
        return share_in_window(x_XYZ, window, threshold, size)
    high = x_XYZ.max()
    if x_XYZ.dtype.kind in "iu":  # v > floor(limit) is v > limit for whole numbers, and stays in their type
        limit = math.floor(Fraction(threshold) * int(high) / 255)
        above = np.greater(x_XYZ.T, limit)
    else:
        above = x_XYZ.T.astype(np.float64) * 255 > threshold * float(high)
    return np.count_nonzero(above, axis=(1, 2)) / (size * size)


def grey_scale(high: float, dtype: type) -> Callable[[np.ndarray], np.ndarray]:
    """The function voxels of `dtype` -> uint8 grey: v / high * 255 rounded half up, exactly for whole numbers."""
    if np.dtype(dtype).kind not in "iu" or high >= _TABLE:
        return lambda voxels: np.floor(voxels.astype(np.float64) * 255 / float(high) + 0.5).astype(np.uint8)
    whole, maximum = np.arange(int(high) + 1), int(high)
    table = ((2 * 255 * whole + maximum) // (2 * maximum)).astype(np.uint8)
    # float32 arithmetic is four times faster than a table; taken where it gives the table for every possible value,
    # as it does below maxima of 14 000. The half is raised by half the distance between a tie and its neighbours.
    scaled = partial(_scaled, slope=np.float32(255 / maximum), half=np.float32(0.5 + 1 / (4 * maximum)))
    return scaled if np.array_equal(scaled(whole.astype(dtype)), table) else lambda voxels: table[voxels]


def _scaled(voxels: np.ndarray, slope: np.float32, half: np.float32) -> np.ndarray:
    grey = np.multiply(voxels, slope, dtype=np.float32)
    return np.add(grey, half, out=grey).astype(np.uint8)


def _reduced(rule: Rule, channel: str, x_XYZ: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """(what a padded slice of this channel is filled with, the function padded slice -> grey image)."""
    if channel in rule.windows:  # 0 HU is water; what is black lies below, and may not fit the type of the voxels
        k, window = rule.downsample, rule.windows[channel]
        scale = window_scale(window)
        black_HW = np.full((rule.padded, rule.padded), window[0], np.float64)
        return black_HW, lambda padded_HW: scale(area_sums(padded_HW, k, np.float64) / (k * k))
    reduced = _labels_reduced(rule) if channel == LABEL_CHANNEL else _grey_reduced(rule, x_XYZ)
    return np.zeros((rule.padded, rule.padded), x_XYZ.dtype), reduced


def _grey_reduced(rule: Rule, x_XYZ: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The function padded slice -> grey image of a modality. A sum of k * k voxels is scaled by k * k * the maximum, so
    that a mean is rounded once."""
    k, high = rule.downsample, x_XYZ.max()
    if k == 1:
        return grey_scale(high, x_XYZ.dtype)
    high = high.astype(np.float64) * k * k
    dtype = np.uint32 if x_XYZ.dtype.kind in "iu" and high < _TABLE else np.float64
    scale = grey_scale(high, dtype)
    return lambda padded_HW: scale(area_sums(padded_HW, k, dtype))


def _labels_reduced(rule: Rule) -> Callable[[np.ndarray], np.ndarray]:
    """The function padded slice -> grey image of an annotation. The index has seen that there are no other values."""
    table = np.zeros(max(rule.grey) + 1, np.uint8)
    table[list(rule.grey)] = list(rule.grey.values())
    return lambda padded_HW: area_majority(table[padded_HW.astype(np.intp)], rule.downsample)


def _fill(
    images_NHW: np.ndarray, x_XYZ: np.ndarray, numbers: np.ndarray, padded_HW: np.ndarray, reduced: Callable
) -> None:
    """Puts the slices into the middle of `padded_HW`, an odd pixel more below and right, and what they become into
    images."""
    width, height, _ = x_XYZ.shape
    top, left = (len(padded_HW) - height) // 2, (len(padded_HW) - width) // 2
    for image_HW, z in zip(images_NHW, numbers, strict=True):
        padded_HW[top : top + height, left : left + width] = x_XYZ[:, :, z].T
        image_HW[:] = reduced(padded_HW)


def _rule(images: Mapping, grey: Mapping[int, int]) -> Rule:
    names = ("size", "downsample", "decisive", "intensity_threshold", "area_fraction", "orientation", "windows")
    own = {name: images[name] for name in names}
    return Rule(channels=tuple(images["channels"]), grey=grey, padded=side_of_padded(images), **own)


def _greys(options: Mapping, images: Mapping) -> dict[str, dict[int, int]]:
    """Layout name -> raw label value -> grey level."""
    layouts = layouts_of(options.get("layout") or "brats2020", options.get("labels"))
    return {one.name: {value: images["labels"][name] for value, name in one.labels.items()} for one in layouts}


def _tell_kept(split: str, cut: Mapping[str, Cut], images: Mapping) -> None:
    """Raises ValueError where the rule keeps no slice of a whole split; names the subjects that it keeps none of."""
    without = [name for name, one in cut.items() if not one.included]
    if len(without) == len(cut):
        largest = max(one.largest_fraction for one in cut.values())
        raise ValueError(
            f"{split}: found no slice to keep in {len(cut)} subjects; at best {largest:.2%} of the padded pixels have "
            f"{images['decisive']} above {images['intensity_threshold']}, expected more than "
            f"{images['area_fraction']:.2%}. Lower images.area_fraction or images.intensity_threshold."
        )
    if without:
        shown = ", ".join(without[:5]) + (", ..." if len(without) > 5 else "")
        print(f"warning: no slice of {len(without)} {split} subjects is kept: {shown}", flush=True)


def _meta(
    dataset: str, split: str, drawn: str, rows: Sequence[Mapping], cut: Mapping[str, Cut], images: Mapping
) -> dict:
    """What a stack says of itself; lineage names all its subjects, also those that no slice is kept of."""
    return {
        "channels": list(images["channels"]),
        "labels": dict(images["labels"]),
        "height": images["size"],
        "width": images["size"],
        "source": {"dataset": dataset, "split": split, "drawn": drawn},
        "lineage": sorted({row["identity"] for row in rows}),
        "subjects": {
            row["subject"]: {
                "identity": row["identity"],
                "spacing_mm": cut[row["subject"]].spacing_mm,
                "included": cut[row["subject"]].included,
            }
            for row in rows
        },
    }


def _summary(path: Path, meta: Mapping) -> dict:
    kept = {name: len(subject["included"]) for name, subject in meta["subjects"].items()}
    return {
        "file": path.name,
        "sha256": sha256_of_file(path),
        "count": len(Stack.open(path)),
        "included": sum(kept.values()),
        "size": meta["height"],
        "channels": meta["channels"],
        "lineage": meta["lineage"],
        "subjects": kept,
    }


def _clean(work: Path, published: Iterable[Path]) -> None:
    """Removes the subjects' own stacks, and what killed runs left beside them and beside the published ones."""
    for path in [*work.glob("*.zip"), *work.glob(".*.zip.*.tmp")]:
        path.unlink()
    for path in published:
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            leftover.unlink()
    if not any(work.iterdir()):
        work.rmdir()
