"""How likely a study finds that two training sets are equivalent, and what it would take to find it in 80 %.

The test is that of `intervals.Difference.p_equivalent`. Of normal scores the estimate of a difference is normal and the
mean squares behind its error are chi-squared, independent of it and of each other. So the mean squares are drawn (quasi
random numbers, the same ones each time), error and degrees of freedom follow from them as in `intervals`, and given
these the chance that both one-sided tests reject is one of the normal distribution. Where several comparisons are
corrected together, `alpha` is that of the first step of Holm, over their number: what is found there is the least.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from .intervals import parts, satterthwaite

WANTED = 0.8
DRAWS = 2**11  # of the mean squares: power is known to a tenth of a point
MOST = 100_000  # subjects or repeats; more is never


@dataclass(frozen=True)
class Deviations:
    """Standard deviations of a comparison. Columns are repeats, or trainings of the generator where it has several."""

    by_subject: float  # of the difference of the two training sets
    columns: tuple[float, float]  # of the made set, of the real one
    rest: tuple[float, float]


@dataclass(frozen=True)
class Design:
    subjects: int
    columns: tuple[int, int]  # of the made set, of the real one
    deviations: Deviations
    margin: float
    alpha: float = 0.05

    def power(self, difference: float = 0.0) -> float:
        """The chance to find equivalence where the true difference is this; nan with fewer than two of anything."""
        s, d = self.subjects, self.deviations
        if min(s, *self.columns) < 2:
            return np.nan
        rest = [sd**2 / (s * r) for sd, r in zip(d.rest, self.columns, strict=True)]
        alone = [sd**2 / r for sd, r in zip(d.columns, self.columns, strict=True)]
        subjects = d.by_subject**2 / s + sum(rest)
        variance = subjects + sum(alone)
        if variance == 0:
            return float(abs(difference) < self.margin)
        drawn = iter(_uniform())
        found = _drawn(subjects, s - 1, next(drawn))
        terms = [(found, s - 1)]
        for r, of_rest, of_columns in zip(self.columns, rest, alone, strict=True):
            columns, own = (
                _drawn(of_columns + of_rest, r - 1, next(drawn)),
                _drawn(of_rest, (s - 1) * (r - 1), next(drawn)),
            )
            counted = columns > own  # as intervals.Parts: else columns add nothing
            found = found + counted * (columns - own)
            terms += [(columns * counted, r - 1), (own * counted, (s - 1) * (r - 1))]
        room = self.margin - stats.t.ppf(1 - self.alpha, satterthwaite(found, terms)) * np.sqrt(found)
        sd = np.sqrt(variance)  # estimates within the room are found
        chance = stats.norm.cdf((room - difference) / sd) - stats.norm.cdf((-room - difference) / sd)
        return float(np.mean(np.where(room > 0, chance, 0)))

    @property
    def largest_difference(self) -> float:
        """True difference up to which equivalence is found in 80 %; nan where not even equal sets are."""
        if not self.power() >= WANTED:
            return np.nan
        return float(optimize.brentq(lambda x: self.power(x) - WANTED, 0, self.margin, xtol=1e-6))

    @property
    def largest_deviation(self) -> float:
        """Standard deviation of the difference by subject up to which equal sets are found in 80 %; nan: none."""

        def power(sd: float) -> float:
            return replace(self, deviations=replace(self.deviations, by_subject=sd)).power() - WANTED

        return float(optimize.brentq(power, 0, 10, xtol=1e-6)) if power(0) >= 0 else np.nan

    @property
    def subjects_needed(self) -> float:
        return _smallest(lambda n: replace(self, subjects=n).power())

    @property
    def columns_needed(self) -> float:
        """Repeats (or trainings) of either set."""
        return _smallest(lambda n: replace(self, columns=(n, n)).power())


@functools.cache
def _uniform() -> np.ndarray:
    """(5, DRAWS): of subjects, and of columns and rest of either set."""
    return stats.qmc.Sobol(5, seed=0).random(DRAWS).T


def _drawn(mean_square: float, freedom: int, uniform: np.ndarray) -> np.ndarray:
    return mean_square * stats.chi2.ppf(uniform, freedom) / freedom


def _smallest(power: Callable[[int], float]) -> float:
    """The smallest number from 2 on with which equal sets are found in 80 %; inf where MOST are too few."""
    if not power(MOST) >= WANTED:
        return np.inf
    low, high = 1, MOST  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= WANTED else (middle, high)
    return float(high)


def deviations_of(made_SR: np.ndarray, real_SR: np.ndarray) -> Deviations:
    """What a study itself says of them; at least 2 x 2 each, of the same subjects."""
    both = [parts(made_SR), parts(real_SR)]
    sizes = [(x.shape[0], x.shape[1]) for x in (made_SR, real_SR)]
    rest = [float(np.sqrt(p.rest * s * r)) for p, (s, r) in zip(both, sizes, strict=True)]
    columns = [float(np.sqrt(p.repeats_alone * r)) for p, (_, r) in zip(both, sizes, strict=True)]
    whole = (made_SR.mean(axis=1) - real_SR.mean(axis=1)).var(ddof=1)
    by_subject = whole - sum(sd**2 / r for sd, (_, r) in zip(rest, sizes, strict=True))
    return Deviations(float(np.sqrt(max(by_subject, 0))), tuple(columns), tuple(rest))
