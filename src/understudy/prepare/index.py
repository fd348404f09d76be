"""The index of a data set: every subject found, split, and checked to the last byte, before anything is spent on it.

Problems of all subjects are reported together, one line each. A work folder keeps the check of a subject until its
files or the settings change. So after a kill or a correction of the data, the index checks only the remaining subjects.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from understudy.files import escape
from understudy.files.atomic import hash_of, read_json, write_json, write_text_atomically
from understudy.files.outside import read_rows, shortened
from understudy.stack.labels import LABEL_CHANNEL, label_names

from .layouts import Layout, Subject, by_file, find_subjects, is_safe_id, layouts_of
from .read_volumes import files_of, read_volumes
from .splits import SPLITS, check_identities, identities, split_subjects
from .subject_processes import map_subjects
from .volume import Volume

CHECKS = 1  # version of the checks: a larger number makes those of the work folder be done again
_TOLERANCE = 1e-3  # mm, within which affines of one subject agree


@dataclass(frozen=True)
class Settings:
    """What the check of one subject depends on, beside its files."""

    root: Path
    channels: tuple[str, ...]
    padded: int  # pixels along a side that a slice is padded to
    orientation: str
    labels: tuple[str, ...]
    windows: tuple[str, ...]  # modalities that are CT: their values may be below 0
    work: Path


def index_subjects(
    dataset: str,
    root: str | Path,
    options: Mapping,
    images: Mapping,
    seed: int,
    output: str | Path,
    work: str | Path,
    workers: int = 1,
    salt: bytes | None = None,
) -> None:
    """Checks all subjects of a data set and writes its subjects.csv, sorted by subject.

    Args:
        options: config datasets.NAME: layout, labels, split or test_subjects, draw, subjects, identities.
        salt: of the study, to draw test subjects with.
        images: config images: size, downsample, channels, labels, windows, decisive, orientation.
        work: folder for the finished checks of single subjects.
    Raises:
        ValueError: one line per problem of files, names, split and volumes, of all subjects at once.
    """
    layouts = layouts_of(options.get("layout") or "brats2020", options.get("labels"))
    _check_label_names(layouts, images)
    subjects, problems = find_subjects(root, layouts, images["channels"])
    split, identity = {}, {}
    if subjects:
        try:
            identity = identities(dataset, [s.name for s in subjects], options.get("identities"))
            split = split_subjects(identity, options, seed, salt)
            problems += check_identities(split, identity)
        except ValueError as error:
            problems.append(str(error))

    settings = Settings(
        Path(root),
        tuple(images["channels"]),
        side_of_padded(images),
        images["orientation"],
        tuple(label_names(images["labels"])),
        tuple(images["windows"]),
        Path(work),
    )
    # volumes are looked at even where names or splits are wrong, so that all problems are told at once
    whole = [s for s in subjects if len(s.files) == len(images["channels"]) and is_safe_id(s.name)]
    results = map_subjects(partial(check_subject, settings), whole, workers, f"index {dataset}")
    problems += [line for result in results for line in result["problems"]]
    if problems:
        raise ValueError("\n".join(problems))
    rows = [
        {
            "subject": s.name,
            "split": split[s.name],
            "identity": identity[s.name],
            "layout": s.layout.name,
            **result["row"],
        }
        for s, result in zip(subjects, results, strict=True)
    ]
    if problems := _same_image(rows, images["decisive"]):
        raise ValueError("\n".join(problems))
    _tell_empty(rows)
    write_text_atomically(output, _csv(rows, settings))


def read_index(path: str | Path) -> list[dict[str, str]]:
    """The rows of a subjects.csv. Raises ValueError where there is none."""
    needed = ("subject", "split", "identity", "layout")
    found = read_rows(path, needed, "the index of a data set. Run index_subjects again")
    rows = [{name: escape.of_csv_cell(cell) for name, cell in row.items()} for _, row in found]
    if not rows:
        raise ValueError(f"{path}: found no subjects, expected the index of a data set. Run index_subjects again.")
    for row in rows:
        files = [PurePath(cell) for name, cell in row.items() if name.endswith("_file")]
        outside = [file for file in files if file.is_absolute() or ".." in file.parts]
        if row["split"] not in SPLITS or not is_safe_id(row["subject"]) or outside:
            raise ValueError(
                f"{path}: found {shortened(row['subject'])} in the split {shortened(row['split'])} with files "
                f"{shortened([*map(str, files)])}, expected the index of a data set. Run index_subjects again."
            )
    return rows


def side_of_padded(images: Mapping) -> int:
    """Pixels along each side that a slice is padded to, before areas of them become one pixel (config `images`)."""
    return images["size"] * images["downsample"]


def check_subject(settings: Settings, subject: Subject) -> dict:
    """{"row": columns of subjects.csv, "problems": lines}; from the work folder where nothing changed since."""
    key = hash_of([CHECKS, _as_json(settings), subject.layout.labels, subject.files, _state(settings.root, subject)])
    kept = settings.work / f"{subject.name}.json"
    try:
        result = read_json(kept)
        if result.get("key") == key:
            return result
    except ValueError:
        pass  # nothing kept, or nothing that can be read: then it is checked again
    row, problems = _check_volumes(settings, subject)
    result = {"key": key, "row": row, "problems": problems}
    if not problems:
        write_json(kept, result)
    return result


def _as_json(settings: Settings) -> list:
    return [settings.channels, settings.padded, settings.orientation, settings.labels, settings.windows]


def _state(root: Path, subject: Subject) -> list:
    """Sizes and times of the files, which tell that one has changed."""
    files = [one for file in by_file(subject.files) for one in files_of(root / file)]
    found = [(one.name, one.stat() if one.exists() else None) for one in files]
    return [(name, stat.st_size, stat.st_mtime_ns) if stat else None for name, stat in found]


def _check_volumes(settings: Settings, subject: Subject) -> tuple[dict, list[str]]:
    row, problems = {}, []
    first: Volume | None = None
    for file, channels in by_file(subject.files).items():
        try:
            volumes = read_volumes(settings.root / file, list(channels.values()), settings.orientation)
        except ValueError as error:
            problems.append(f"{subject.name}  {error}")
            continue
        first = first or volumes[0]
        problems += [
            f"{subject.name}  {volumes[0].path}: {text}" for text in _geometry(volumes[0], first, settings.padded)
        ]
        for channel, volume in zip(channels, volumes, strict=True):
            columns, found = _check_values(volume, channel, settings, subject.layout)
            problems += [f"{subject.name}  {volume.path}: {text}" for text in found]
            row |= {f"{channel}_file": subject.files[channel], f"{channel}_crc32": volume.crc32, **columns}
    if first:
        row |= {
            "shape": "x".join(map(str, first.data_XYZ.shape)),
            "spacing_mm": "x".join(f"{mm:.6g}" for mm in first.spacing_mm),
            "orientation": first.stored_axcodes,
        }
    return row, problems


def _geometry(volume: Volume, first: Volume, padded: int) -> list[str]:
    """What is wrong with shape and place of a volume, compared with the subject's first."""
    if volume.names != first.names:
        names = shortened(sorted(set(volume.names) ^ set(first.names)))
        return [f"found {names} in one alone, expected the same images as in {first.path.name}."]
    if volume.stored_shape != first.stored_shape:
        return [f"found shape {volume.stored_shape}, expected {first.stored_shape} as in {first.path.name}."]
    problems = []
    if not np.allclose(volume.stored_affine, first.stored_affine, rtol=0, atol=_TOLERANCE):
        problems.append(
            f"found affine {_shown(volume)}, expected {_shown(first)} as in {first.path.name}. "
            "All files of a subject must lie in one grid: register and resample them first."
        )
    x, y, _ = volume.data_XYZ.shape
    if volume is first and max(x, y) > padded:
        problems.append(f"found slices of {x} x {y} pixels, expected at most {padded} x {padded}. Raise images.size.")
    return problems


def _shown(volume: Volume) -> str:
    return f"{volume.stored_axcodes} {np.round(volume.stored_affine[:3], 3).tolist()}"


def _check_values(volume: Volume, channel: str, settings: Settings, layout: Layout) -> tuple[dict, list[str]]:
    """Columns of one channel, and what is wrong with its voxels."""
    voxels = volume.data_XYZ.ravel(order="K")  # as they lie in memory
    low, high = voxels.min(), voxels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        count = np.count_nonzero(~np.isfinite(voxels))
        return {}, [f"found {count} voxels of NaN or infinity in {channel}, expected finite numbers."]
    columns = {f"{channel}_max": _number(high)}
    if channel == LABEL_CHANNEL:
        counts, problems = _count_labels(voxels, layout)
        names = {name: sum(counts[v] for v in counts if layout.labels.get(v) == name) for name in settings.labels}
        columns["labels"] = " ".join(map(str, counts))
        return columns | {f"voxels_{name}": n for name, n in names.items()}, problems
    if low < 0 and channel not in settings.windows:
        hint = "A z-scored release? Take the one with intensities as acquired. CT? Give it a window: images.windows."
        return columns, [f"found intensities down to {_number(low)} in {channel}, expected none below 0. {hint}"]
    if low == high:
        return columns, [f"found {_number(high)} in every voxel of {channel}, expected an image."]
    return columns, []


def _count_labels(voxels: np.ndarray, layout: Layout) -> tuple[dict[int, int], list[str]]:
    """Raw value -> voxels of it, background left out; and what is wrong with the values."""
    values, counts = np.unique(voxels[voxels != 0], return_counts=True)
    wrong = [value for value in values.tolist() if value not in layout.labels]  # 1.0 is 1 to a mapping, 0.9999 is not
    if wrong:
        shown = ", ".join(_number(v) for v in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        known = ", ".join(f"{value} ({name})" for value, name in layout.labels.items())
        hint = "Other years of BraTS code ET as 3 or 4: check `layout` and `labels`."
        return {}, [f"found label {shown}, expected 0 or one of {known}. {hint}"]
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}, []


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _check_label_names(layouts: Sequence[Layout], images: Mapping) -> None:
    if LABEL_CHANNEL in images["channels"]:
        for name in (name for layout in layouts for name in layout.labels.values()):
            if name not in images["labels"]:
                known = ", ".join(images["labels"])
                raise ValueError(f"labels: found {name!r}, expected one of images.labels ({known}).")


def _same_image(rows: Sequence[Mapping], decisive: str) -> list[str]:
    """Subjects that are copies of each other: a problem across the split, a warning within it."""
    copies: dict[str, list[Mapping]] = {}
    for row in rows:
        if f"{decisive}_crc32" in row:
            copies.setdefault(row[f"{decisive}_crc32"], []).append(row)
    problems = []
    for same in (group for group in copies.values() if len(group) > 1):
        names = " and ".join(row["subject"] for row in same)
        if len({row["split"] for row in same}) > 1:
            problems.append(
                f"{names}: found the same {decisive} image in train and test, expected one split. Correct the split."
            )
        else:
            print(f"warning: {names} have the same {decisive} image: one patient under several names?", flush=True)
    return problems


def _tell_empty(rows: Sequence[Mapping]) -> None:
    empty = [row["subject"] for row in rows if row.get("labels") == ""]
    if empty:
        shown = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        print(f"{len(empty)} of {len(rows)} subjects have an empty segmentation: {shown}", flush=True)


def _csv(rows: Sequence[Mapping], settings: Settings) -> str:
    columns = ["subject", "split", "identity", "layout"]
    columns += [f"{channel}_{what}" for channel in settings.channels for what in ("file", "crc32", "max")]
    columns += ["shape", "spacing_mm", "orientation"]
    if LABEL_CHANNEL in settings.channels:
        columns += ["labels", *(f"voxels_{name}" for name in settings.labels)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: escape.csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()
