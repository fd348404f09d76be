"""Scores per subject and label: computing them, their file, and what an undefined value counts as.

A score is undefined where a label is in one volume only, or in neither. The file keeps it, as an empty cell; the policy
for it is applied when tables are made, and how often it applied is counted there.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.core.files import write_text_atomically

from .distance import edge_distances, spacing_of, union_box
from .overlap import dice_of_counts

COLUMNS = [
    "dataset", "segmenter", "training_set", "augmentation", "repeat", "subject",
    "label", "dice", "hausdorff_mm", "reference_voxels", "predicted_voxels",
]  # fmt: skip
KEYS = COLUMNS[:6]
POLICIES = ("study", "challenge", "nan")
CHALLENGE_MM = 373.12866  # diagonal of 240 x 240 x 155 voxels of 1 mm: the BraTS challenge's distance to nothing


def score_volume(
    prediction_ZYX: np.ndarray,
    reference_ZYX: np.ndarray,
    labels: Sequence[str],
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> list[dict]:
    """Dice and Hausdorff distance of each label of one subject.

    Args:
        prediction_ZYX, reference_ZYX: class numbers, 0 background, i + 1 is labels[i]; uint8, one shape.
        labels: names, in order of the class numbers.
        spacing_mm: of the axes in the order of the arrays.

    Returns:
        One dict per label: label, dice, hausdorff_mm (nan where undefined), reference_voxels, predicted_voxels.

    Raises:
        ValueError: shapes differ, or a class number has no label.
    """
    prediction, reference = _as_classes(prediction_ZYX, "prediction"), _as_classes(reference_ZYX, "reference")
    if prediction.shape != reference.shape:
        raise ValueError(f"scores: found a prediction of {prediction.shape} voxels, a reference of {reference.shape}")
    spacing = spacing_of(spacing_mm, prediction.ndim)
    box = union_box(prediction, reference)
    prediction, reference = np.ascontiguousarray(prediction[box]), np.ascontiguousarray(reference[box])
    highest = max(prediction.max(initial=0), reference.max(initial=0))
    if highest > len(labels):
        raise ValueError(f"scores: found class {highest}, expected 0 to {len(labels)}: {', '.join(labels)}")
    predicted, referred = (np.bincount(x.reshape(-1), minlength=len(labels) + 1) for x in (prediction, reference))
    both = np.bincount(prediction[prediction == reference], minlength=len(labels) + 1)
    distances_mm = edge_distances(prediction, reference, len(labels), spacing)
    return [
        {
            "label": label,
            "dice": dice_of_counts(int(both[c]), int(predicted[c]), int(referred[c])),
            "hausdorff_mm": distances_mm[c - 1],
            "reference_voxels": int(referred[c]),
            "predicted_voxels": int(predicted[c]),
        }
        for c, label in enumerate(labels, start=1)
    ]


def _as_classes(x: np.ndarray, name: str) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype == np.uint8:
        return x
    if not (np.issubdtype(x.dtype, np.integer) or x.dtype == bool) or x.min(initial=0) < 0 or x.max(initial=0) > 255:
        raise ValueError(f"scores: found a {name} of {x.dtype}, expected whole class numbers from 0 to 255")
    return x.astype(np.uint8)


def write_scores(path: str | Path, rows: Iterable[Mapping]) -> None:
    """Writes rows (dicts with the keys COLUMNS) as CSV, whole or not at all; undefined values are empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        assert row.keys() == set(COLUMNS), sorted(row.keys() ^ set(COLUMNS))
        writer.writerow(row | {name: _cell(row[name]) for name in ("dice", "hausdorff_mm")})
    write_text_atomically(path, text.getvalue())


def _cell(value: float) -> str:
    return "" if value is None or np.isnan(value) else repr(float(value))


def read_scores(path: str | Path) -> pd.DataFrame:
    """A scores.csv with nan for empty cells. Raises ValueError where the file is missing or is none."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such scores. Run the training that writes them: snakemake {path}")
    text = dict.fromkeys(["dataset", "segmenter", "training_set", "augmentation", "subject", "label"], str)
    numbers = {"repeat": int, "dice": float, "hausdorff_mm": float, "reference_voxels": int, "predicted_voxels": int}
    try:  # only an empty cell is undefined: a subject may be called "NA"
        scores = pd.read_csv(path, dtype=text | numbers, keep_default_na=False, na_values=dict.fromkeys(numbers, [""]))
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path}: found {error}, expected a scores file: {', '.join(COLUMNS)}") from error
    if list(scores.columns) != COLUMNS:
        raise ValueError(f"{path}: found the columns {', '.join(scores.columns)}, expected {', '.join(COLUMNS)}")
    return scores


def kinds_of_empties(scores: pd.DataFrame) -> pd.Series:
    """Of each row: "both", "reference" or "prediction" is empty, or "" where neither is."""
    no_reference, no_prediction = scores["reference_voxels"] == 0, scores["predicted_voxels"] == 0
    kinds = np.select(
        [no_reference & no_prediction, no_reference, no_prediction], ["both", "reference", "prediction"], ""
    )
    return pd.Series(kinds, index=scores.index)


def apply_policy(scores: pd.DataFrame, policy: str, undefined_mm: float = CHALLENGE_MM) -> pd.DataFrame:
    """A copy of the scores in which undefined values are what the policy says; nan is left out of means.

    - "study": Dice 0 where one volume lacks the label, left out where both do; distance left out in either case.
    - "challenge": Dice 1 and distance 0 where both lack it; Dice 0 and `undefined_mm` where one does.
    - "nan": Dice and distance left out wherever a volume lacks the label.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy for empty labels: found {policy!r}, expected one of {', '.join(POLICIES)}")
    kinds = kinds_of_empties(scores)
    both, one = kinds == "both", kinds.isin(["reference", "prediction"])
    dice_mm = {"study": ((np.nan, np.nan), (0.0, np.nan)), "challenge": ((1.0, 0.0), (0.0, undefined_mm))}
    for_both, for_one = dice_mm.get(policy, ((np.nan, np.nan), (np.nan, np.nan)))
    scores = scores.copy()
    scores.loc[both, ["dice", "hausdorff_mm"]] = for_both
    scores.loc[one, ["dice", "hausdorff_mm"]] = for_one
    return scores


def count_empties(scores: pd.DataFrame, by: Sequence[str] = ("dataset", "segmenter", "training_set", "augmentation")):
    """DataFrame: per group and label, in how many volumes (of `volumes`) both, the reference, the prediction is empty.

    Returns columns: *by, label, volumes, both_empty, reference_empty, prediction_empty.
    """
    kinds = kinds_of_empties(scores)
    flags = {f"{kind}_empty": (kinds == kind).astype(int) for kind in ("both", "reference", "prediction")}
    table = scores[[*by, "label"]].assign(volumes=1, **flags)
    return table.groupby([*by, "label"], sort=False, as_index=False).sum()
