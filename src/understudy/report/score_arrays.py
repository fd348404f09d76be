"""Scores as arrays: of every setting and metric the matrix of subjects and repeats that statistics are made of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from understudy.evaluate.metrics import METRIC
from understudy.statistics.intervals import linearised, nanmean

KEYS = ["dataset", "segmenter", "training_set", "augmentation"]
REPEATS = "repeats"
# setting -> metric -> values_LSR (labels, subjects, repeats), nan where undefined; and REPEATS -> their numbers
Cells = dict[tuple, dict[str, np.ndarray]]


def cells_of(counted: pd.DataFrame, metrics: Sequence[str], labels: Sequence[str]) -> Cells:
    """Of scores to which the policy for empty labels was applied."""
    found: Cells = {}
    subjects = {name: sorted(part["subject"].unique()) for name, part in counted.groupby("dataset", sort=False)}
    for key, part in counted.groupby(KEYS, sort=False):
        axes = [list(labels), subjects[key[0]], sorted(part["repeat"].unique())]
        whole = pd.MultiIndex.from_product(axes)
        values = part.set_index(["label", "subject", "repeat"])[[METRIC[m].column for m in metrics]].reindex(whole)
        shape = tuple(map(len, axes))
        found[key] = {REPEATS: np.array(axes[2], int)} | {
            m: values[METRIC[m].column].to_numpy(float).reshape(shape) for m in metrics
        }
    return found


def means_of(values_LSR: np.ndarray, metric: str) -> np.ndarray:
    """x_SR of the mean over labels, taken as the tables take it."""
    return linearised(values_LSR, subjects_first=METRIC[metric].subjects_first)


def means_of_repeats(values_LSR: np.ndarray, metric: str) -> np.ndarray:
    """The same mean of every repeat; nan where nothing is defined."""
    first, then = (0, 0) if METRIC[metric].subjects_first else (1, 0)
    return nanmean(nanmean(values_LSR, first), then)
