"""Volumes -> stacks of 8-bit slices, by the rule of the published study (config `images` holds its numbers).

Each volume of each modality is scaled by its own maximum to 0 ... 255, rounded half up; the annotation is coded in grey
levels; slices are zero padded to a square. A slice is kept where the share of its padded pixels whose decisive modality
lies above a threshold, before rounding, exceeds a fraction. train.zip holds the kept slices, test.zip all of them and,
in its meta, which were kept.

A volume in LPS order x_XYZ gives the slices x_XYZ[:, :, k].T, (Y, X): rows run from anterior at the top to posterior,
columns from the patient's right at the left to the patient's left. That is the radiological convention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from understudy.core.files import hash_of, sha256_of_file, write_json
from understudy.core.stack import Stack, StackWriter

from .index import read_index
from .layouts import LABEL_CHANNEL, by_file, layouts_of
from .nifti import Volume, read_volumes
from .pool import map_subjects
from .splits import SPLITS

RULE = 1  # version of the slicing: a larger number makes kept files of the work folder be done again
_TABLE = 2**24  # entries of the largest look-up table; integer voxels above are scaled as floats


@dataclass(frozen=True)
class Rule:
    """How a subject becomes slices: config `images`, and what each raw label value is in grey."""

    size: int
    channels: tuple[str, ...]
    decisive: str
    intensity_threshold: float
    area_fraction: float
    orientation: str
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
    work, outputs = Path(work), {"train": Path(train), "test": Path(test)}
    greys = _greys(options, images)
    tasks = [Task(row, _rule(images, greys[row["layout"]]), row["split"] == "test", Path(root), work) for row in rows]
    results = map_subjects(cut_subject, tasks, workers, f"slice {dataset}")
    summary = {}
    for split in SPLITS:
        parts = [(row, r) for row, r in zip(rows, results, strict=True) if row["split"] == split]
        _tell_kept(split, parts, images)
        meta = _meta(dataset, split, parts, images)
        with StackWriter(outputs[split], meta) as stack:
            for _, result in parts:
                _append(stack, result["file"])
        summary[split] = _summary(outputs[split], meta, parts)
    write_json(manifest, {"dataset": dataset, "images": dict(images), "splits": summary})
    for result in results:
        Path(result["file"]).unlink()
