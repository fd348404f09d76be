"""When is an image a copy? Two thresholds, each at a stated false positive rate, learned from real images of subjects
that no generator has seen.

A synthetic image is flagged where
- it is nearer to a training image than real images of other people are (correlation), and
- that subject stands out: the distance to it, over the distance to the next subject, is smaller than with real images
  (Carlini et al. 2023 and Yoon et al. 2023 use such ratios). A smooth image is near to many and copies nobody.

A threshold at rate a is the k-th most extreme of n real images, k = floor(a (n + 1)): a further real image exceeds it
with probability at most a, whatever the distribution (conformal prediction). As both must be exceeded, the rate of
false alarms is at most a.

A second pair of thresholds, beyond every real image, finds a few copies among very many images, where flags at rate a
alone would drown them.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .search import NONE, Found

CONFIDENCE = 0.95
SEES = 0.95  # of planted training images: a detector that misses more says nothing by finding none
SURE = 0.01  # probability that chance explains an excess which the verdict is about


@dataclass(frozen=True)
class Detector:
    """An image is flagged where its correlation is larger and its ratio of distances smaller than these."""

    correlation: float
    ratio: float
    rate: float  # of false alarms, at most

    def flags(self, found: Found) -> np.ndarray:
        """bool (N,)."""
        return (found.r[:, 0] > self.correlation) & (distance_ratio(found) < self.ratio)


def distance_ratio(found: Found) -> np.ndarray:
    """(N,): distance to the nearest image over that to the nearest of another subject; correlations r of standardised
    images are distances sqrt(2 - 2 r). 0 where there is no other subject."""
    near_N, next_N = (np.clip(1 - r, 0, None) for r in (found.r[:, 0], found.other_r))
    # a patient who is there twice, under two names, does not hide the copies of himself
    alone_N = np.where(near_N > 0, 1.0, 0.0)
    ratio_N = np.sqrt(np.divide(near_N, next_N, out=alone_N, where=next_N > 0))
    return np.where(found.other == NONE, 0.0, ratio_N)


def at_rate(real: Found, rate: float) -> Detector:
    """Raises ValueError where the real images are too few for the rate."""
    place = place_at(len(real.r), rate)
    return Detector(float(np.sort(real.r[:, 0])[-place]), float(np.sort(distance_ratio(real))[place - 1]), rate)


def place_at(n: int, rate: float) -> int:
    """Which of n real images, from the most extreme on, is the threshold. Raises ValueError where n are too few."""
    place = math.floor(rate * (n + 1) + 1e-9)
    if place < 1:
        raise ValueError(
            f"audit.false_positive_rate: found {rate:g} with {n} images to calibrate on; expected at least "
            f"{math.ceil(1 / rate) - 1} images, or a rate of at least {1 / (n + 1):.3g}"
        )
    return place


def beyond_all(*real: Found) -> Detector:
    """More extreme than every one of these real images."""
    correlation = max(float(found.r[:, 0].max()) for found in real)
    ratio = min(float(distance_ratio(found).min()) for found in real)
    return Detector(correlation, ratio, 1 / (1 + sum(len(found.r) for found in real)))


def share(count: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval (Wilson 1927)."""
    low, high = stats.binomtest(count, n).proportion_ci(CONFIDENCE, "wilson")
    return {"count": count, "share": count / n, "low": max(float(low), 0.0), "high": min(float(high), 1.0)}


def excess(count: int, n: int, rate: float) -> float:
    """Probability that false alarms at this rate alone give so many flags or more."""
    return float(stats.binom.sf(count - 1, n, rate))


def verdict(
    flagged: int, copies: int, n: int, detector: Detector, sure: Detector, limit: float, identical: float
) -> list[str]:
    """Why the images must not be shared; empty: nothing speaks against it. `limit`: share of memorized images that is
    tolerated beyond false alarms. `identical`: share of planted training images, unchanged, that the detector finds."""
    reasons = []
    if not identical >= SEES:
        reasons.append(
            f"the detector is blind: it finds {identical:.0%} of training images that were planted unchanged, expected "
            f"at least {SEES:.0%}. Are there subjects twice, or one subject alone?"
        )
    for count, one, what in (
        (flagged, detector, "nearer to a training image than real images of others are"),
        (copies, sure, "nearer to a training image than any real image"),
    ):
        if excess(count, n, min(one.rate + limit, 1.0)) < SURE:
            reasons.append(
                f"{count} of {n} images are {what}: {count / n:.2%}, where false alarms explain {one.rate:.2g}"
                + (f" and the limit is {limit:.2g}" if limit else "")
            )
    return reasons
