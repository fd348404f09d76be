"""Scores as arrays: for every setting and metric, the matrix of subjects and repeats that the statistics use."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from understudy.evaluate.metrics import METRIC
from understudy.statistics.intervals import linearised, nanmean
from understudy.statistics.outliers import far_from_others
from understudy.study.grid import Setting

KEYS = ["dataset", "segmenter", "training_set", "augmentation"]
REPEATS, TRAININGS, FAILED = "repeats", "trainings", "failed"
# setting -> metric -> values_LSR (labels, subjects, repeats), nan where undefined; REPEATS -> their numbers, FAILED ->
# the numbers of those that failed; and where repeats are spread over several trainings of generators, TRAININGS ->
# which of these each has learned from
LEAST = 0.02  # of Dice: repeats that are nearer to each other harm no interval
Cell = dict[str, np.ndarray]
Cells = dict[tuple, Cell]


def key_of(setting: Setting) -> tuple[str, str, str, str]:
    return setting.dataset, setting.segmenter, setting.training_set, setting.augmentation


def cells_of(
    counted: pd.DataFrame, metrics: Sequence[str], labels: Sequence[str], settings: Sequence[Setting]
) -> Cells:
    """Of scores of these settings to which the policy for empty labels was applied."""
    found: Cells = {}
    spread = {key_of(setting): setting for setting in settings if setting.trainings > 1}
    subjects = {name: sorted(part["subject"].unique()) for name, part in counted.groupby("dataset", sort=False)}
    for key, part in counted.groupby(KEYS, sort=False):
        axes = [list(labels), subjects[key[0]], sorted(part["repeat"].unique())]
        whole = pd.MultiIndex.from_product(axes)
        values = part.set_index(["label", "subject", "repeat"])[[METRIC[m].column for m in metrics]].reindex(whole)
        shape = tuple(map(len, axes))
        failed = np.sort(part.loc[part["failure"] != "", "repeat"].unique()).astype(int)
        found[key] = {REPEATS: np.array(axes[2], int), FAILED: failed} | {
            m: values[METRIC[m].column].to_numpy(float).reshape(shape) for m in metrics
        }
        if key in spread:
            found[key][TRAININGS] = np.array([spread[key].training_of(repeat) for repeat in axes[2]])
    return found


def means_of(values_LSR: np.ndarray, metric: str, trainings_R: np.ndarray | None = None) -> np.ndarray:
    """x_SR of the mean over labels, taken as the tables take it; with trainings of generators, R counts these."""
    return linearised(values_LSR, METRIC[metric].subjects_first, trainings_R)


def first(cell: Cell, repeats: int) -> Cell:
    """The scores of the first repeats, by their numbers."""
    kept = cell[REPEATS] <= repeats
    metrics = {name: x[..., kept] for name, x in cell.items() if name != FAILED}
    return metrics | {FAILED: cell[FAILED][cell[FAILED] <= repeats]}


def matrix_of(cell: Cell, metric: str) -> np.ndarray:
    """The same of one setting."""
    return means_of(cell[metric], metric, cell.get(TRAININGS))


def far_repeats(cell: Cell) -> list[int]:
    """The repeats whose mean Dice lies far from that of the others, by their numbers."""
    return list(map(int, cell[REPEATS][far_from_others(means_of_repeats(cell["dice"], "dice"), LEAST)]))


def means_of_repeats(values_LSR: np.ndarray, metric: str) -> np.ndarray:
    """The same mean of every repeat; nan where nothing is defined."""
    first, then = (0, 0) if METRIC[metric].subjects_first else (1, 0)
    return nanmean(nanmean(values_LSR, first), then)
