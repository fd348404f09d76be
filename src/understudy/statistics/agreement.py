"""Do readers agree, with each other and with themselves? Kappa: agreement beyond what chance would bring.

Where nearly all calls are alike, kappa is small however often two readers agree (Feinstein, Cicchetti 1990), so the
share of equal calls stands beside it. SciPy has no kappa, and statsmodels and scikit-learn are no dependencies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Agreement:
    images: int
    equal: float  # share of equal calls, averaged over the pairs of readers
    kappa: float  # nan where nobody ever differs from one call
    low: float
    high: float


def agreement(calls_NR: np.ndarray, level: float = 0.95) -> Agreement:
    """Of R readers of the same N images: Cohen's kappa of two, Fleiss' of more. Interval: jackknife over images.

    `calls_NR` are whole numbers from 0, a category each.
    """
    kappa = cohen if calls_NR.shape[1] == 2 else fleiss
    value, images = kappa(calls_NR), len(calls_NR)
    low, high = _jackknife(kappa, calls_NR, value, level) if images > 2 else (np.nan, np.nan)
    return Agreement(images, float(np.mean(_equal(calls_NR))) if images else np.nan, value, low, high)


def cohen(calls_N2: np.ndarray) -> float:
    """Cohen 1960: each reader has leanings of their own."""
    one, other = calls_N2.T
    categories = np.union1d(one, other)
    chance = sum(np.mean(one == c) * np.mean(other == c) for c in categories)
    return _beyond(np.mean(one == other), chance) if len(one) else np.nan


def fleiss(calls_NR: np.ndarray) -> float:
    """Fleiss 1971: any number of readers, as if of one leaning."""
    chance = sum(np.mean(calls_NR == c) ** 2 for c in np.unique(calls_NR))
    return _beyond(np.mean(_equal(calls_NR)), chance) if len(calls_NR) else np.nan


def _equal(calls_NR: np.ndarray) -> np.ndarray:
    """Of each image, the share of pairs of readers who call it the same."""
    readers = calls_NR.shape[1]
    counts = np.stack([(calls_NR == c).sum(axis=1) for c in np.unique(calls_NR)])
    return (counts * (counts - 1)).sum(axis=0) / (readers * (readers - 1))


def _beyond(seen: float, chance: float) -> float:
    return float((seen - chance) / (1 - chance)) if chance < 1 else np.nan


def _jackknife(kappa: Callable, calls_NR: np.ndarray, value: float, level: float) -> tuple[float, float]:
    without = np.array([kappa(np.delete(calls_NR, i, axis=0)) for i in range(len(calls_NR))])
    without = without[~np.isnan(without)]
    if np.isnan(value) or len(without) < 3:
        return np.nan, np.nan
    error = np.sqrt((len(without) - 1) * np.var(without))
    half = stats.norm.ppf((1 + level) / 2) * error
    return float(max(-1, value - half)), float(min(1, value + half))
