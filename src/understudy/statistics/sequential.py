"""Looks at a study before all repeats are trained, with the error of its tests spent over them.

At look k of K every training set has n_k repeats of n_K. The difference of two means over the same test subjects has
the variance a + b / n_k: subjects are the same at all looks, repeats are added. So looks have the joint distribution of
a group-sequential trial with the information 1 / (a + b / n_k), and the correlation of looks j < k is the root of the
ratio of theirs (Jennison and Turnbull 2000, chapters 2 and 3). A test at level alpha spends

    alpha(t) = 2 - 2 Phi(z(alpha / 2) / sqrt(t))                       O'Brien-Fleming-like, Lan and DeMets 1983

until the share t of the information is there. `levels` are the nominal levels that spend exactly this, found by
recursive numerical integration (Armitage, McPherson, Rowe 1969). They are compared with p of Student's t (the
significance level approach: Jennison and Turnbull 2000, section 3.8). A p that holds over the looks is the smallest
alpha whose test has rejected at one of them (Liu and Anderson 2008), so that Holm's correction follows as for any p
(Maurer and Bretz 2013).

The share of repeats in the variance, which looks are correlated by, is rounded up: less correlated looks have stricter
levels (Slepian's inequality).
"""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import optimize, stats

from .intervals import Difference
from .power import Design, Deviations

STEP = 0.05  # of the share of repeats
ALPHAS = np.geomspace(1e-6, 0.5, 40)
LOWEST, POINTS = -8.0, 400  # of the grid of integration
FUTILE = 0.02  # chance of a decision at the last look below which further repeats are not worth it
FEWEST = 4  # repeats: fewer do not know their own deviation well enough to say so
PATHS = 2**12  # of a difference over the looks


def spent(alpha: float, fraction: float) -> float:
    return 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(fraction))


def share_of_repeats(found: Deviations, subjects: int, last: tuple[int, int]) -> float:
    """Of the variance of a difference at the last look, what repeats bring: 0 to 1.

    Where columns are trainings of a generator, these and the repeats within them are added together. What trainings
    bring then falls with the number of repeats at most, so the share, and with it the distance of looks, is rather too
    large, which is stricter.

    Args:
        last: columns at the last look, of the made set and of the real one.
    """
    fixed = found.by_subject**2 / subjects
    added = sum((c**2 + r**2 / subjects) / n for c, r, n in zip(found.columns, found.rest, last, strict=True))
    return added / (fixed + added) if added else 0.0


def fractions(looks: Sequence[int], share: float) -> list[float]:
    """Information at each look, of that at the last."""
    return [1 / (1 - share + share * looks[-1] / n) for n in looks]


def levels(looks: Sequence[int], share: float) -> np.ndarray:
    """(looks, ALPHAS): what a one-sided p is compared with at each look, for a test at each alpha."""
    return _levels(tuple(looks), _steps(share))


def _steps(share: float) -> int:
    return min(max(int(np.ceil(share / STEP - 1e-9)), 1), round(1 / STEP))


@functools.lru_cache(maxsize=256)
def _levels(looks: tuple[int, ...], steps: int) -> np.ndarray:
    times = fractions(looks, steps * STEP)
    return np.stack([_of_alpha(times, alpha) for alpha in ALPHAS], axis=1)


def _of_alpha(times: Sequence[float], alpha: float) -> np.ndarray:
    """Nominal levels of one test. Integrates the density of the scores b = z sqrt(t) that have not rejected."""
    bounds = [stats.norm.isf(spent(alpha, times[0]))]
    b = np.linspace(LOWEST, bounds[0] * np.sqrt(times[0]), POINTS)
    density = stats.norm.pdf(b, scale=np.sqrt(times[0]))
    for before, now in zip(times, times[1:], strict=False):
        weights, sd = _trapezoid(b) * density, np.sqrt(now - before)
        goal = spent(alpha, now) - spent(alpha, before)

        def beyond(z: float, b=b, weights=weights, sd=sd, now=now) -> float:
            return float(weights @ stats.norm.sf((z * np.sqrt(now) - b) / sd))

        bounds.append(optimize.brentq(lambda z, goal=goal, beyond=beyond: beyond(z) - goal, -2, 12, xtol=1e-6))
        further = np.linspace(LOWEST, bounds[-1] * np.sqrt(now), POINTS)
        density = stats.norm.pdf((further[:, None] - b) / sd) / sd @ weights
        b = further
    return stats.norm.sf(bounds)


def _trapezoid(b: np.ndarray) -> np.ndarray:
    weights = np.full(len(b), b[1] - b[0])
    weights[[0, -1]] /= 2
    return weights


def sequential_p(p_looks: Sequence[float], looks: Sequence[int], shares: Sequence[float]) -> float:
    """The p that holds over all looks so far.

    Args:
        p_looks: one-sided, of each look until now; nan where there was nothing to test.
        looks: repeats at every look, the last one included, whether it was reached or not.
        shares: share_of_repeats as each look knew it; what a look has found does not change later.
    """
    known = [
        _smallest_alpha(p, levels(looks, share)[k])
        for k, (p, share) in enumerate(zip(p_looks, shares, strict=True))
        if not np.isnan(p)
    ]
    return float(min(known, default=np.nan))


def _smallest_alpha(p: float, level_A: np.ndarray) -> float:
    """The smallest alpha at which a look with these levels rejects; beyond ALPHAS nothing is a finding."""
    if p > level_A[-1]:
        return 1.0
    tiny = np.finfo(float).tiny
    return float(np.exp(np.interp(np.log(max(p, tiny)), np.log(np.maximum(level_A, tiny)), np.log(ALPHAS))))


def level_at(alpha: float, look: int, looks: Sequence[int], share: float) -> float:
    """The nominal level of a look (0 the first) for a test at alpha."""
    tiny = np.finfo(float).tiny
    of_look = np.log(np.maximum(levels(looks, share)[look], tiny))
    return float(np.exp(np.interp(np.log(alpha), np.log(ALPHAS), of_look)))


def chance_to_decide(
    found: Difference,
    share: float,
    last: tuple[int, int],
    look: int,
    looks: Sequence[int],
    alpha: float,
    margin: float,
) -> float:
    """Chance that the last look finds the two equivalent, or different by more than the margin, if the true difference
    is the one that is seen now (conditional power under the current trend: Jennison and Turnbull 2000, section 10.2).

    Args:
        found: at this look (0 the first). last: subjects, and columns at the last look. alpha: of one comparison.
    """
    now = fractions(looks, share)[look]
    error = float(found.error) * np.sqrt(now)  # standard error at the last look
    left = error * np.sqrt(1 - now)  # how far the difference may still move
    subjects, columns = last
    freedom = 1 / ((1 - share) ** 2 / (subjects - 1) + share**2 / (columns - 1))  # Satterthwaite, at the last look
    half, wide = (
        error * stats.t.isf(level_at(one_sided, len(looks) - 1, looks, share), freedom)
        for one_sided in (alpha, alpha / 2)
    )
    room, seen = margin - half, abs(float(found.value))
    equal = stats.norm.cdf(room, seen, left) - stats.norm.cdf(-room, seen, left) if room > 0 else 0.0
    return float(equal + stats.norm.sf(margin + wide, seen, left))


# ---- power beforehand ------------------------------------------------------------------------------------------------


def at_last_look(design: Design, looks: Sequence[int]) -> tuple[Design, float]:
    """The test of the last look alone, and how much likelier equal sets are found by any of the looks.

    The first is `design`, whose columns are those of the last look, at that look's level. The second is of the process
    of the difference over the looks with its error known, by quasi random paths; that futile comparisons end early is
    no part of it. benchmarks/power.py compares the sum with simulated studies.
    """
    d, s = design.deviations, design.subjects
    share = share_of_repeats(d, s, design.columns)
    level_K = _of_alpha(fractions(looks, _steps(share) * STEP), design.alpha)
    last = replace(design, alpha=float(level_K[-1]))
    variance = d.by_subject**2 / s
    variance += sum((c**2 + r**2 / s) / n for c, r, n in zip(d.columns, d.rest, design.columns, strict=True))
    times_K = np.array(fractions(looks, share))
    freedom = 1 / ((1 - share) ** 2 / (s - 1) + share**2 / (min(design.columns) - 1))
    error_K = np.sqrt(variance / times_K)
    uniform = stats.qmc.Sobol(len(looks), seed=0).random(PATHS)
    steps = np.sqrt(np.diff(times_K, prepend=0)) * stats.norm.ppf(np.clip(uniform, 1e-9, 1 - 1e-9))
    seen = np.abs(steps.cumsum(axis=1) / np.sqrt(times_K)) * error_K
    found = seen < design.margin - stats.t.isf(level_K, freedom) * error_K
    return last, float(found.any(axis=1).mean() - found[:, -1].mean())
