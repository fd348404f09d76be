"""How well a mean over subjects and repeats is known, and whether two of them differ, or are as good as equal.

A score depends on the subject, on the repeat (the seed of the training), and on both together. Written as a matrix
x_SR of S subjects and R repeats, it is mean + subject + repeat + rest, a two-way layout without replication. Subjects
and repeats are both samples: of other patients, of other trainings. So the variance of the grand mean is

    (MS_subjects + MS_repeats - MS_rest) / (S R)                      expected mean squares of the layout

and its degrees of freedom follow Satterthwaite (1946). With 10 repeats the percentile bootstrap is too narrow: it
resamples ten values with their population variance, and takes normal quantiles where t is due. `interval` therefore
bootstraps subjects and repeats for the shape of the distribution, its skewness, and sets its width by the variance
above and the quantile of t (the expanded percentile interval of Hesterberg 2015). docs/evaluation.md says how often
such intervals hold the truth.

Where repeats are spread over several trainings of a generator, they are nested in these: repeats that learned from one
training share its luck. Of such a balanced layout the means over the repeats of each training are a two-way layout of
subjects and trainings again, and all of the above holds with trainings in the place of repeats: between them varies
what a training of the generator brings, and the repeats' own luck over their number (Searle, Casella, McCulloch 1992,
chapter 4). `linearised` takes these means, so R is the number of trainings then.

Tests of differences pair the subjects; repeats of two settings have nothing in common and are not paired. Two settings
that learned from the same trainings of a generator are paired by these as well.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import stats

DRAWS = 2000  # resamplings: quantiles at 2.5 % are exact to a tenth of a standard error


def linearised(
    values_LSR: np.ndarray, subjects_first: bool = False, trainings_R: np.ndarray | None = None
) -> np.ndarray:
    """x_SR whose mean is the study's mean of scores with gaps (nan), and in which each subject has its weight in it.

    A score that is left out (nan) changes what the others weigh. To first order a subject's part in the mean of a
    label is its deviation from that mean, over the number of subjects that have one: from there on there are no gaps.

    Args:
        values_LSR: labels, subjects, repeats.
        subjects_first: average over the labels of each subject first (distances); else over subjects first (Dice).
        trainings_R: of the generator, which each repeat has learned from; None: no generator, or one training alone.
    Returns:
        x_SR; a repeat in which nothing is defined is left out, so R may be smaller, or 0. With trainings_R, R counts
        trainings, each the mean of its repeats.
    """
    values = np.asarray(values_LSR, float)
    if subjects_first:
        values = nanmean(values, 0)[None]
    known = ~np.isnan(values)
    means_L1R = nanmean(values, 1)[:, None]
    share = values.shape[1] / np.maximum(known.sum(axis=1, keepdims=True), 1)
    parts = np.where(known, (values - means_L1R) * share, 0) + means_L1R  # nan where a label is nowhere defined
    x_SR = nanmean(parts, 0)
    defined_R = ~np.isnan(x_SR).any(axis=0)
    if trainings_R is None:
        return x_SR[:, defined_R]
    own = [defined_R & (trainings_R == training) for training in np.unique(trainings_R[defined_R])]
    return np.stack([x_SR[:, of].mean(axis=1) for of in own], axis=1) if own else x_SR[:, :0]


def nanmean(x: np.ndarray, axis: int) -> np.ndarray:
    """nanmean that is nan, without a warning, where nothing is defined."""
    known = ~np.isnan(x)
    count = known.sum(axis=axis)
    return np.where(count, np.where(known, x, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Parts:
    """What the mean of x_SR and its error are made of; arrays where x has leading axes."""

    mean: np.ndarray
    subjects: np.ndarray  # variance of the mean that each of the three contributes: its mean square / (S R)
    repeats: np.ndarray
    rest: np.ndarray
    shape: tuple[int, int]  # S, R

    @property
    def repeats_alone(self) -> np.ndarray:
        """Variance of the mean by repeats, without the rest that their mean square also holds."""
        return np.maximum(self.repeats - self.rest, 0)

    @property
    def variance(self) -> np.ndarray:
        return self.subjects + self.repeats_alone

    @property
    def freedom(self) -> np.ndarray:
        """Degrees of freedom of `variance` (Satterthwaite)."""
        return satterthwaite(self.variance, [(self.subjects, self.shape[0] - 1), *self.terms_of_repeats])

    @property
    def terms_of_repeats(self) -> list[tuple[np.ndarray, int]]:
        s, r = self.shape
        counted = self.repeats > self.rest  # else repeats add nothing
        return [(self.repeats * counted, r - 1), (self.rest * counted, (s - 1) * (r - 1))]


def satterthwaite(variance: np.ndarray, terms: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """variance^2 / sum(term^2 / df), at least 1."""
    below = sum(np.square(term) / df for term, df in terms)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(np.where(below > 0, np.square(variance) / below, np.inf), 1)


def parts(x_SR: np.ndarray) -> Parts:
    """Of (..., S, R) scores without gaps, at least 2 x 2."""
    s, r = x_SR.shape[-2:]
    mean = x_SR.mean(axis=(-2, -1))
    by_subject, by_repeat = x_SR.mean(axis=-1), x_SR.mean(axis=-2)
    subjects, repeats = by_subject.var(axis=-1, ddof=1) / s, by_repeat.var(axis=-1, ddof=1) / r
    rest = x_SR - by_subject[..., None] - by_repeat[..., None, :] + mean[..., None, None]
    return Parts(mean, subjects, repeats, np.square(rest).sum(axis=(-2, -1)) / ((s - 1) * (r - 1) * s * r), (s, r))


def interval(x_SR: np.ndarray, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of the mean over subjects and repeats; nan where there are fewer than two of either.

    `x_SR` may have leading axes, of other cells. The same seed resamples the same subjects whatever the scores are.
    """
    x_SR = np.asarray(x_SR, float)
    if min(x_SR.shape[-2:]) < 2:
        return (np.full(x_SR.shape[:-2], np.nan),) * 2
    known = parts(x_SR)
    deviations_B = _resampled(x_SR, draws, seed, 0, np.ones(1)) - known.mean[..., None]
    wide = stats.t.ppf((1 + level) / 2, known.freedom) / stats.norm.ppf((1 + level) / 2)
    sd = deviations_B.std(axis=-1)
    scale = wide * np.sqrt(known.variance) / np.where(sd > 0, sd, 1)
    low, high = np.quantile(deviations_B, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return known.mean + scale * low, known.mean + scale * high


def resampled_means(x_SR: np.ndarray, draws: int = DRAWS, seed: int = 0, own: int = 0) -> np.ndarray:
    """(..., draws) means after subjects and repeats were drawn anew, with replacement.

    Subjects drawn by one `seed` are the same for all: settings that are compared share them. Their repeats differ by
    `own`. Deviations are enlarged by n / (n - 1), as a resampled mean of n values varies by that factor too little.
    Those of repeats have the variance of repeats alone, as their mean square holds the rest that subjects' holds
    already, and are widened from the normal quantile to that of t: five trainings of a generator are very few.
    """
    return _resampled(x_SR, draws, seed, own, _widening(x_SR))


def _resampled(x_SR: np.ndarray, draws: int, seed: int, own: int, widening: np.ndarray) -> np.ndarray:
    s, r = x_SR.shape[-2:]
    mean = x_SR.mean(axis=(-2, -1))[..., None]
    total = np.broadcast_to(mean, (*x_SR.shape[:-2], draws)).copy()
    for values, weights, wide in (
        (x_SR.mean(axis=-1), _weights(s, draws, seed, 0), 1),
        (x_SR.mean(axis=-2), _weights(r, draws, seed, own + 1), widening),
    ):
        n = values.shape[-1]
        total += wide * ((values - mean) @ weights.T) * np.sqrt(n / max(n - 1, 1))
    return total


def _widening(x_SR: np.ndarray) -> np.ndarray:
    """(..., 1): what deviations of resampled repeats are multiplied by."""
    if min(x_SR.shape[-2:]) < 2:
        return np.ones((*x_SR.shape[:-2], 1))
    known = parts(x_SR)
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.where(known.repeats > 0, known.repeats_alone / known.repeats, 0)
    return (np.sqrt(alone) * stats.t.ppf(0.975, known.shape[1] - 1) / stats.norm.ppf(0.975))[..., None]


@functools.lru_cache(maxsize=64)
def _weights(n: int, draws: int, seed: int, stream: int) -> np.ndarray:
    """(draws, n): how often each of n was drawn, over n."""
    return np.random.default_rng((seed, n, stream)).multinomial(n, np.full(n, 1 / n), draws) / n


# ---- two settings on the same subjects -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """Of two means over the same subjects, and how well it is known."""

    value: np.ndarray
    error: np.ndarray  # standard error
    freedom: np.ndarray

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        half = self.error * stats.t.ppf((1 + level) / 2, self.freedom)
        return self.value - half, self.value + half

    @property
    def p(self) -> np.ndarray:
        """Two-sided, of no difference."""
        return 2 * stats.t.sf(np.abs(self._in_errors(self.value)), self.freedom)

    def p_equivalent(self, margin: float) -> np.ndarray:
        """Of the difference being as large as the margin, either way (two one-sided tests, Schuirmann 1987): where it
        is below alpha, the two are equivalent at that level."""
        below = stats.t.sf(self._in_errors(self.value + margin), self.freedom)  # of <= -margin
        above = stats.t.sf(self._in_errors(margin - self.value), self.freedom)  # of >= margin
        return np.maximum(below, above)

    def p_beyond(self, margin: float) -> np.ndarray:
        """Of the difference being within the margin, two-sided: where it is below alpha, the whole interval at that
        level lies beyond the margin on one side."""
        return np.minimum(2 * stats.t.sf(self._in_errors(np.abs(self.value) - margin), self.freedom), 1)

    def probability_below(self, limit: float = 0.0) -> np.ndarray:
        """Posterior probability that the true difference is below a limit: P(t < (limit - value) / error), with the
        degrees of freedom of the error.

        Before the study every difference is taken to be as likely as any other (flat prior), and the error is that of
        the model above; then the posterior is Student's t around the difference that was found. Of a claim "better" it
        is the probability that the claim is false, as Christodoulou et al. ask for (arXiv 2505.04720). It is about one
        claim, and not corrected for the number of claims.
        """
        return stats.t.sf(self._in_errors(self.value - limit), self.freedom)

    def _in_errors(self, distance: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            certain = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
            return np.where(self.error == 0, certain, distance / self.error)


def difference(a_SR: np.ndarray, b_SR: np.ndarray, paired: bool = False) -> Difference:
    """a - b of scores of the same subjects, in the same order; repeats are those of two settings, and not paired,
    unless `paired`: the columns of both are the same trainings of a generator, in the same order.

    nan where there are fewer than two subjects, or fewer than two repeats of either. May have leading axes.
    """
    a, b = np.asarray(a_SR, float), np.asarray(b_SR, float)
    if a.shape[-2] != b.shape[-2]:
        raise ValueError(f"comparison: found {a.shape[-2]} and {b.shape[-2]} subjects, expected the same ones")
    if min(a.shape[-2], a.shape[-1], b.shape[-1]) < 2:
        value = a.mean(axis=(-2, -1)) - b.mean(axis=(-2, -1)) if a.size and b.size else np.full(a.shape[:-2], np.nan)
        return Difference(value, np.full(a.shape[:-2], np.nan), np.full(a.shape[:-2], np.nan))
    if paired:
        of_both = parts(a - b)
        return Difference(of_both.mean, np.sqrt(of_both.variance), of_both.freedom)
    s, both = a.shape[-2], (parts(a), parts(b))
    subjects = (a.mean(axis=-1) - b.mean(axis=-1)).var(axis=-1, ddof=1) / s
    variance = subjects + sum(p.repeats_alone for p in both)
    terms = [(subjects, s - 1), *(term for p in both for term in p.terms_of_repeats)]
    return Difference(both[0].mean - both[1].mean, np.sqrt(variance), satterthwaite(variance, terms))


def holm(p: np.ndarray) -> np.ndarray:
    """p of each of several tests, corrected for their number (Holm 1979); nan is no test."""
    p = np.asarray(p, float)
    corrected, order = np.full(p.shape, np.nan), np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return corrected
