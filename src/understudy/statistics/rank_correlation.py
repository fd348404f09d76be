"""Does a metric of the images predict how useful they are? Rank correlation over generators, with its exact p.

A study has few generators, so nothing here is asymptotic: every order that the generators could have had is counted.
With few of them not even a perfect order need be significant, and `power_sentence` says what could have been found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from scipy import stats

LARGEST = 9  # 9! = 362 880 orders are counted in a second; of more, as many are drawn
ROUNDING = 1e-9  # coefficients that differ by less are equal


@dataclass(frozen=True)
class RankCorrelation:
    coefficient: float  # nan where one side is all alike
    p: float  # two-sided: share of all orders with a coefficient at least as far from 0
    n: int
    exact: bool  # every order was counted


def spearman(x: np.ndarray, y: np.ndarray) -> RankCorrelation:
    """Spearman's rho: the correlation of the ranks; equal values share the mean of theirs."""
    return _permuted(x, y, _rho)


def kendall(x: np.ndarray, y: np.ndarray) -> RankCorrelation:
    """Kendall's tau-b."""
    return _permuted(x, y, _tau)


def _permuted(x: np.ndarray, y: np.ndarray, coefficient: Callable) -> RankCorrelation:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"rank correlation: found {x.shape} and {y.shape}, expected two lists of one length")
    known = ~(np.isnan(x) | np.isnan(y))
    ranks_x, ranks_y = stats.rankdata(x[known]), stats.rankdata(y[known])
    n = len(ranks_x)
    if n < 2 or np.ptp(ranks_x) == 0 or np.ptp(ranks_y) == 0:
        return RankCorrelation(np.nan, np.nan, n, True)
    found = float(coefficient(ranks_x, ranks_y[None])[0])
    extreme = np.abs(coefficient(ranks_x, ranks_y[orders(n)])) >= abs(found) - ROUNDING
    exact = n <= LARGEST
    # drawn orders: the one that was found is one of them
    p = extreme.mean() if exact else (extreme.sum() + 1) / (len(extreme) + 1)
    return RankCorrelation(found, float(p), n, exact)


def _rho(ranks_N: np.ndarray, orders_PN: np.ndarray) -> np.ndarray:
    a, b = ranks_N - ranks_N.mean(), orders_PN - orders_PN.mean(axis=1, keepdims=True)
    return b @ a / np.sqrt((a @ a) * np.square(b).sum(axis=1))


def _tau(ranks_N: np.ndarray, orders_PN: np.ndarray) -> np.ndarray:
    """(concordant - discordant) pairs, over the geometric mean of the pairs that are not tied in either."""
    first, second = np.triu_indices(len(ranks_N), 1)
    a = np.sign(ranks_N[first] - ranks_N[second])
    total, untied = np.zeros(len(orders_PN)), np.zeros(len(orders_PN))
    for i, j, sign in zip(first, second, a, strict=True):
        b = np.sign(orders_PN[:, i] - orders_PN[:, j])
        total, untied = total + sign * b, untied + np.abs(b)
    return total / np.sqrt(np.abs(a).sum() * untied)


@lru_cache(maxsize=4)
def orders(n: int) -> np.ndarray:
    """(P, n): all n! orders of n things, or as many drawn at random as 9 things have."""
    if n <= LARGEST:
        flat = np.fromiter((i for order in permutations(range(n)) for i in order), np.int8, math.factorial(n) * n)
        return flat.reshape(-1, n)
    return np.argsort(np.random.default_rng(0).random((math.factorial(LARGEST), n)), axis=1)


# ---- what so few could show ------------------------------------------------------------------------------------------


def smallest_significant(n: int, alpha: float = 0.05) -> float | None:
    """The smallest |rho| of n different values that is significant, two-sided; None where not even 1 is."""
    rho = np.round(np.abs(_rho(np.arange(n) + 1.0, orders(n) + 1.0)), 9)
    candidates, counts = np.unique(rho, return_counts=True)
    p = counts[::-1].cumsum()[::-1] / len(rho)
    significant = candidates[p <= alpha]
    return float(significant[0]) if len(significant) else None


def power(n: int, true_correlation: float, alpha: float = 0.05, studies: int = 20000) -> float:
    """Share of studies of n generators that would find a correlation of this size (of normal values) significant."""
    needed = smallest_significant(n, alpha)
    if needed is None:
        return 0.0
    host = np.random.default_rng(0)
    x = host.standard_normal((studies, n))
    y = true_correlation * x + math.sqrt(1 - true_correlation**2) * host.standard_normal((studies, n))
    a, b = (stats.rankdata(v, axis=1) - (n + 1) / 2 for v in (x, y))
    rho = (a * b).sum(axis=1) / (a * a).sum(axis=1)
    return float((np.abs(rho) >= needed - ROUNDING).mean())
