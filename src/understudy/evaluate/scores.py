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

from understudy.files import escape
from understudy.files.atomic import write_text_atomically
from understudy.files.csv_files import read_csv
from understudy.files.outside import shortened

from .edges import spacing_of, union_box
from .lesions import lesions
from .metrics import DISTANCE, MEASURED, OVERLAP, Compared, columns_treated_as
from .surface import TOLERANCE_MM, surfaces

KEYS = ["dataset", "segmenter", "training_set", "augmentation", "repeat", "subject"]
_METRICS = [metric.column for metric in MEASURED]
_SIZES = ["reference_voxels", "predicted_voxels"]
COLUMNS = [*KEYS, "label", *_METRICS[:2], *_SIZES, *_METRICS[2:], "reference_ml", "predicted_ml", "kind", "failure"]
LABEL, REGION = "label", "region"  # of column `kind`: a region is several labels taken together
# column `failure`: why the training failed, empty where it did not; what it finds counts all the same
POLICIES = ("penalty", "study", "challenge", "nan")
DEFAULT_POLICY = POLICIES[0]
CHALLENGE_MM = 373.12866  # diagonal of 240 x 240 x 155 voxels of 1 mm: the BraTS challenge's distance to nothing


Predicted = tuple[str, np.ndarray, np.ndarray, Sequence[float]]  # subject, prediction, reference, spacing_mm


def score_subjects(
    keys: Mapping, predicted: Iterable[Predicted], labels: Sequence[str], regions: Mapping, tolerance_mm: float
) -> list[dict]:
    """The rows of a scores file: of every subject what score_volume gives, with the names of the training."""
    return [
        {**keys, "subject": subject, **row}
        for subject, prediction_ZYX, reference_ZYX, spacing_mm in predicted
        for row in score_volume(prediction_ZYX, reference_ZYX, labels, spacing_mm, regions, tolerance_mm)
    ]


def score_volume(
    prediction_ZYX: np.ndarray,
    reference_ZYX: np.ndarray,
    labels: Sequence[str],
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    regions: Mapping[str, Sequence[str]] | None = None,
    tolerance_mm: float = TOLERANCE_MM,
) -> list[dict]:
    """All scores of each label of one subject, then of each region.

    Args:
        prediction_ZYX, reference_ZYX: class numbers, 0 background, i + 1 is labels[i]; uint8, one shape.
        labels: names, in order of the class numbers.
        spacing_mm: of the axes in the order of the arrays.
        regions: name -> the labels that it unites, such as tumor_core -> [ncr_net, et].
        tolerance_mm: of surface Dice.

    Returns:
        One dict per label and region: label (or region's name), kind, the columns of metrics.MEASURED (nan where
        undefined), {reference,predicted}_voxels, {reference,predicted}_ml.

    Raises:
        ValueError: shapes differ, a class number has no label, or a region names an unknown label.
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
    rows = _scored(prediction, reference, len(labels), spacing, tolerance_mm)
    named = [{"label": label, "kind": LABEL, **row} for label, row in zip(labels, rows, strict=True)]
    for name, members in (regions or {}).items():
        if len(numbers := class_numbers(name, members, labels)) == 1:
            row = rows[numbers[0] - 1]  # a region of one label is that label
        else:
            inside = np.isin(np.arange(len(labels) + 1), numbers).view(np.uint8)
            (row,) = _scored(inside[prediction], inside[reference], 1, spacing, tolerance_mm)
        named.append({"label": name, "kind": REGION, **row})
    return named


def class_numbers(name: str, members: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Of a region's labels. Raises ValueError where one is not among the labels."""
    if unknown := [label for label in members if label not in labels]:
        raise ValueError(f"region {name}: found {', '.join(unknown)}, expected labels of {', '.join(labels)}")
    return sorted({labels.index(label) + 1 for label in members})


def _scored(prediction: np.ndarray, reference: np.ndarray, classes: int, spacing_mm, tolerance_mm: float) -> list[dict]:
    """The scores of the classes 1 ... `classes`."""
    predicted, referred = (np.bincount(x.reshape(-1), minlength=classes + 1) for x in (prediction, reference))
    both = np.bincount(prediction[prediction == reference], minlength=classes + 1)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    rows = []
    for c, surface in enumerate(surfaces(prediction, reference, classes, spacing_mm), start=1):
        sizes = int(predicted[c]), int(referred[c]), int(both[c])
        found = lesions(prediction == c, reference == c, 1000 * voxel_ml)
        compared = Compared(*sizes, surface, tolerance_mm, voxel_ml, found)
        row = {metric.column: metric.measure(compared) for metric in MEASURED}
        row |= {"reference_voxels": compared.reference, "predicted_voxels": compared.predicted}
        row |= {"reference_ml": compared.reference * voxel_ml, "predicted_ml": compared.predicted * voxel_ml}
        rows.append(row)
    return rows


def _as_classes(x: np.ndarray, name: str) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype == np.uint8:
        return x
    if not (np.issubdtype(x.dtype, np.integer) or x.dtype == bool) or x.min(initial=0) < 0 or x.max(initial=0) > 255:
        raise ValueError(f"scores: found a {name} of {x.dtype}, expected whole class numbers from 0 to 255")
    return x.astype(np.uint8)


def write_scores(path: str | Path, rows: Iterable[Mapping]) -> None:
    """Writes rows, dicts with the keys COLUMNS, as CSV, whole or not at all; undefined values are empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        assert row.keys() == set(COLUMNS), sorted(row.keys() ^ set(COLUMNS))
        decimal = {name: _cell(row[name]) for name in NUMBERS if NUMBERS[name] is float}
        writer.writerow({k: escape.csv_cell(v) for k, v in {**row, **decimal}.items()})
    write_text_atomically(path, text.getvalue())


def _cell(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


MOST_REPEATS = 10_000
TEXTS = ["dataset", "segmenter", "training_set", "augmentation", "subject", "label", "kind", "failure"]
NUMBERS = {"repeat": int, "reference_voxels": int, "predicted_voxels": int} | dict.fromkeys(
    [*_METRICS, "reference_ml", "predicted_ml"], float
)
BOUNDS = {metric.column: metric.bounds for metric in MEASURED} | dict.fromkeys(
    [*_SIZES, "reference_ml", "predicted_ml"], (0, np.inf)
)


def read_scores(path: str | Path) -> pd.DataFrame:
    """A scores.csv with nan for empty cells. Raises ValueError where the file is missing or is none."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such scores. Run the training that writes them: snakemake {path}")
    types = dict.fromkeys(TEXTS, str) | NUMBERS
    # only an empty cell is undefined: a subject may be called "NA"
    how = {"dtype": types, "keep_default_na": False, "na_values": dict.fromkeys(NUMBERS, [""])}
    scores = read_csv(path, expected=f"a scores file: {', '.join(COLUMNS)}", **how)
    if "failure" not in scores:  # of a version in which a training that failed had no scores
        scores = scores.assign(failure="")
    if list(scores.columns) != COLUMNS:
        raise ValueError(
            f"{path}: found the columns {shortened(', '.join(scores.columns))}, expected {', '.join(COLUMNS)}"
        )
    if not len(scores) or not scores["repeat"].between(0, MOST_REPEATS).all():
        raise ValueError(f"{path}: found no scores, or a repeat beyond {MOST_REPEATS}, expected a scores file")
    for column in scores.columns.intersection(list(BOUNDS)):
        low, high = BOUNDS[column]
        found = scores[column].dropna()
        if (wrong := found[~(np.isfinite(found) & found.between(low, high))]).size:
            raise ValueError(
                f"{path}: found {wrong.iloc[0]:g} in column {column}, expected a number of {low} to {high}"
            )
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

    Which metric is an overlap, such as Dice, and which a distance, metrics.METRICS says.

    - "penalty": overlap 0 and distance `undefined_mm` where one volume lacks the label, left out where both do. A
      network that finds nothing in a hard case has the worst distance there, not none.
    - "study": the same, but distance is left out in either case, so that finding nothing in hard cases lowers its mean.
    - "challenge": overlap 1 and distance 0 where both lack it; overlap 0 and `undefined_mm` where one does.
    - "nan": overlap and distance left out wherever a volume lacks the label.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy for empty labels: found {policy!r}, expected one of {', '.join(POLICIES)}")
    kinds = kinds_of_empties(scores)
    both, one = kinds == "both", kinds.isin(["reference", "prediction"])
    of_policy = {
        "penalty": ((np.nan, np.nan), (0.0, undefined_mm)),
        "study": ((np.nan, np.nan), (0.0, np.nan)),
        "challenge": ((1.0, 0.0), (0.0, undefined_mm)),
    }
    for_both, for_one = of_policy.get(policy, ((np.nan, np.nan), (np.nan, np.nan)))
    scores = scores.copy()
    for kind, of_both, of_one in zip((OVERLAP, DISTANCE), for_both, for_one, strict=True):
        known = [column for column in columns_treated_as(kind) if column in scores]
        scores.loc[both, known], scores.loc[one, known] = of_both, of_one
    return scores


def count_empties(scores: pd.DataFrame, by: Sequence[str] = ("dataset", "segmenter", "training_set", "augmentation")):
    """DataFrame: per group and label, in how many volumes (of `volumes`) both, the reference, the prediction is empty.

    Returns columns: *by, label, volumes, both_empty, reference_empty, prediction_empty.
    """
    kinds = kinds_of_empties(scores)
    flags = {f"{kind}_empty": (kinds == kind).astype(int) for kind in ("both", "reference", "prediction")}
    table = scores[[*by, "label"]].assign(volumes=1, **flags)
    return table.groupby([*by, "label"], sort=False, as_index=False).sum()
