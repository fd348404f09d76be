"""The table of an experiment: a row per point of its curves, with intervals and the change since the previous point.
For few patients, the table also says how many real patients a training set is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from understudy.statistics.intervals import difference
from understudy.study.experiment_registry import EXPERIMENTS, REAL, Curves, Point
from understudy.study.grid import Setting

from .comparisons import LEVEL
from .from_own import FROM_OWN, from_own
from .notes import OfTrainings
from .patients_equivalent import patients_equivalent
from .score_arrays import FAILED, REPEATS, TRAININGS, Cell, Cells, far_repeats, key_of, matrix_of, means_of_repeats
from .score_tables import summary
from .snapshots_table import POINT

CURVE = ["dataset", "segmenter", "augmentation", "generator", "kind"]
COLUMNS = [
    *CURVE, "amount", "training_set", "mean_mean", "mean_sd", "mean_low", "mean_high", "mean_median",
    "repeats", "failed", "missing", "far", "change", "change_low", "change_high",
]  # fmt: skip
WORTH = ["worth", "worth_low", "worth_high"]


@dataclass(frozen=True)
class Trained(OfTrainings):
    """What the table of an experiment is built from."""

    name: str
    curves: Sequence[Curves]
    cells: Cells  # scores of the settings; of a failed setting none
    repeats: int  # expected of each
    subjects: Mapping[str, int]  # real training subjects of each dataset, the amount of points with 0
    along: pd.DataFrame | None = None  # of an experiment along a training: snapshots_table.along_training


def experiment_table(
    name: str,
    curves: Sequence[Curves],
    cells: Cells,
    repeats: int,
    draws: int,
    subjects: Mapping[str, int],
    along: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Columns COLUMNS, and WORTH where the curve is of patients, FROM_OWN where it is of another site's images, and
    those of `along`; curve by curve, amounts ascending. Arguments as in Trained."""
    rows = []
    for c in curves:
        points = [(_amount(point, subjects[c.dataset], name), point) for point in c.points]
        for _, curve in pd.DataFrame(points, columns=["amount", "point"]).groupby(
            [f"{p.generator}/{p.kind}" for _, p in points], sort=False
        ):
            before = None
            for amount, point in sorted(curve.itertuples(index=False, name=None), key=lambda pair: pair[0]):
                setting = Setting(c.dataset, c.segmenter, point.training_set, c.augmentation, repeats)
                row, now = _row(setting, point, amount, cells, draws), cells.get(key_of(setting))
                rows.append(row | _change(now, before))
                before = now
    table = pd.DataFrame(rows, columns=COLUMNS)
    if along is not None:
        table = table.merge(along, on=POINT, how="left", validate="many_to_one")
    if EXPERIMENTS[name].of_sites:
        table = with_difference_from_own(table, cells)
    return with_worth(table, cells, draws) if EXPERIMENTS[name].of_patients else table


def _amount(point: Point, subjects: int, experiment: str) -> int:
    return point.amount or (subjects if EXPERIMENTS[experiment].of_patients and point.kind == REAL else 0)


def _row(setting: Setting, point: Point, amount: int, cells: Cells, draws: int) -> dict:
    values = cells.get(key_of(setting))
    row = {"dataset": setting.dataset, "segmenter": setting.segmenter, "augmentation": setting.augmentation}
    row |= {"generator": point.generator, "kind": point.kind, "amount": amount, "training_set": point.training_set}
    there = [] if values is None else list(values[REPEATS])
    row |= {"repeats": len(there), "missing": " ".join(str(r) for r in setting.numbers if r not in there)}
    if values is None:
        return row
    numbers = summary(values["dice"], means_of_repeats(values["dice"], "dice"), "dice", draws, values.get(TRAININGS))
    row |= {"failed": " ".join(map(str, values[FAILED])), "far": " ".join(map(str, far_repeats(values)))}
    return row | {f"mean_{key}": value for key, value in numbers.items()}


def _change(now: Cell | None, before: Cell | None) -> dict[str, float]:
    """Since the point before of the curve: of the same test subjects, and of the same trainings of its generator."""
    if now is None or before is None:
        return {}
    a_SR, b_SR = matrix_of(now, "dice"), matrix_of(before, "dice")
    if not a_SR.size or not b_SR.size:
        return {}
    shared = TRAININGS in now and TRAININGS in before and set(now[TRAININGS]) == set(before[TRAININGS])
    found = difference(a_SR, b_SR, paired=shared and a_SR.shape == b_SR.shape)
    low, high = found.interval(LEVEL)
    return {"change": float(found.value), "change_low": float(low), "change_high": float(high)}


# ---- few subjects ----------------------------------------------------------------------------------------------------


def with_worth(table: pd.DataFrame, cells: Cells, draws: int) -> pd.DataFrame:
    """With the number of real subjects at which real images alone reach the Dice of each row, and its interval."""
    found = {column: np.full(len(table), np.nan) for column in WORTH}
    for key, rows in table.groupby(CURVE[:3], sort=False):
        real = rows[(rows["kind"] == REAL) & rows["mean_mean"].notna()].drop_duplicates("amount", keep="last")
        if len(real) < 2:
            continue
        curve = [_scores(cells, key, name) for name in real["training_set"]]
        for place, row in rows[(rows["kind"] != REAL) & rows["mean_mean"].notna()].iterrows():
            numbers = patients_equivalent(_scores(cells, key, row["training_set"]), list(real["amount"]), curve, draws)
            for column, number in zip(WORTH, numbers, strict=True):
                found[column][place] = number
    return table.assign(**found)


def _scores(cells: Cells, key: tuple, training_set: str) -> np.ndarray:
    dataset, segmenter, augmentation = key
    return matrix_of(cells[dataset, segmenter, training_set, augmentation], "dice")


# ---- another site's images -------------------------------------------------------------------------------------------


def with_difference_from_own(table: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """With the difference of mean Dice from the site's own real images alone, all of them."""
    keys = table[["dataset", "segmenter", "training_set", "augmentation"]].itertuples(index=False, name=None)
    found = [from_own(cells, key, (*key[:2], REAL, key[3])) for key in keys]
    return table.assign(**{name: [one[name] for one in found] for name in FROM_OWN})
