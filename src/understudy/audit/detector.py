"""When is an image a copy? One score of all views, and a threshold at a stated rate of false alarms, learned from real
images of other people (people.py).

In each view, two numbers say how near an image comes to one training subject. The first: an image is near if both its
correlation with the nearest image and its lead are large. The lead is the difference between this correlation and the
correlation with the fifth nearest subject (search.CROWD). Both are needed: an image without noise correlates more with
everybody, and an image of something rare leads without being near. The second: an image stands out if the next subject
is far (Carlini et al. 2023 and Yoon et al. 2023 use such ratios of distances); mixtures of two or three people do not
stand out. Each number is scaled by real images: 0 at their median, 1 where the share `rate` of them lies beyond. The
score is the largest of all these numbers, so a copy needs to be seen in only one view. The threshold comes from the
scores of the real images, so all views together raise false alarms at the stated rate.

A second threshold, far beyond every real image, finds a few copies among very many images, where false alarms would
hide them from the first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from .search import NONE, Found

CONFIDENCE = 0.95
LEAST_WIDTH = 0.01  # of a statistic of correlations: for views in which real images hardly differ
LEAST_NEARNESS_WIDTH = 0.25  # in units of what is usual
STATISTICS = ("correlation", "lead", "standing_out")
NEARNESS = "nearness"  # the lesser of correlation and lead, in units of what is usual


@dataclass(frozen=True)
class Detector:
    """An image is flagged if its score is above `threshold`, and is surely a copy if its score is above `far`."""

    usual: Mapping[str, Mapping[str, tuple[float, float]]]  # view -> statistic -> (median, width) of real images
    threshold: float
    rate: float  # of false alarms of `threshold`
    far: float
    far_rate: float

    @classmethod
    def of(cls, calibration: Mapping, which: str = "detector") -> "Detector":
        """As calibration.json has it, its views in the order of the config. which: `detector`, which judges, or
        `filter`, which drops images."""
        told = calibration[which]
        views = [view for view in calibration["views"] if view in told["usual"]]
        return cls(**told | {"usual": {view: told["usual"][view] for view in views}})

    def flags(self, found: Mapping[str, Found]) -> np.ndarray:
        """bool (N,)"""
        return self.scores(found)[0] > self.threshold

    def scores(self, found: Mapping[str, Found]) -> tuple[np.ndarray, np.ndarray]:
        """(score (N,), place in `usual` of the view that gives it (N,)). `found`: view -> what its search found."""
        by_view_VN = np.stack([_of_view(found[view], usual) for view, usual in self.usual.items()])
        return by_view_VN.max(0), by_view_VN.argmax(0)


def statistics(found: Found) -> dict[str, np.ndarray]:
    """{name: (N,)}, larger where an image is nearer to one subject."""
    lead_N = np.clip(found.r[:, 0] - found.crowd_r, 0, None)  # the crowd's is rounded
    return dict(zip(STATISTICS, (found.r[:, 0], lead_N, 1 - distance_ratio(found)), strict=True))


def distance_ratio(found: Found) -> np.ndarray:
    """(N,): distance to the nearest image over that to the nearest of another subject; correlations r of standardised
    images are distances sqrt(2 - 2 r). 1 where there is no other subject, or the image is one with both."""
    near_N, next_N = (np.clip(1 - r, 0, None) for r in (found.r[:, 0], found.other_r))
    ratio_N = np.sqrt(np.divide(near_N, next_N, out=np.ones_like(near_N), where=next_N > 0))
    return np.where(found.other == NONE, 1.0, ratio_N)


def _of_view(found: Found, usual: Mapping[str, tuple[float, float]]) -> np.ndarray:
    z = {name: _standardised(x_N, usual[name]) for name, x_N in statistics(found).items()}
    return np.maximum(_standardised(_nearness(z), usual[NEARNESS]), z["standing_out"])


def _nearness(z: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.minimum(z["correlation"], z["lead"])


def _standardised(x_N: np.ndarray, usual: tuple[float, float]) -> np.ndarray:
    median, width = usual
    return (x_N - median) / width


def learned(real: Mapping[str, Found], rate: float) -> Detector:
    """From images of real people among those of others (view -> found), with the threshold of these very images.

    Raises ValueError where they are too few for the rate.
    """
    place = place_at(len(next(iter(real.values())).r), rate)
    detector = Detector({view: _usual_in(one, place) for view, one in real.items()}, np.inf, rate, np.inf, 0.0)
    score_N = detector.scores(real)[0]
    return with_thresholds(detector, score_N, np.arange(len(score_N)))


def with_thresholds(detector: Detector, score_N: np.ndarray, owner_N: np.ndarray) -> Detector:
    """With those of these scores of real people; owner_N: whose each is.

    `far` is beyond every real image, and so far beyond the threshold that its rate is that of one image among all of
    them, times how much rarer that is than a false alarm. It supposes that the tail beyond the threshold falls as an
    exponential does. The mean excess is that of few people, so the predictive distribution of one more excess counts
    (of Pareto; Aitchison, Dunsmore 1975, table 2.1): (1 + x / (k mean))^-k with k of them.
    """
    rate, beyond_all = detector.rate, 1 / (1 + len(score_N))
    threshold, largest = float(np.sort(score_N)[-place_at(len(score_N), rate)]), float(score_N.max())
    above_N = score_N > threshold
    far_rate, far = beyond_all * min(1.0, beyond_all / rate), largest
    if above_N.any():
        people, mean = len(np.unique(owner_N[above_N])), float((score_N[above_N] - threshold).mean())
        far = max(far, threshold + people * mean * ((rate / far_rate) ** (1 / people) - 1))
    return replace(detector, threshold=threshold, far=far, far_rate=far_rate)


def _usual_in(found: Found, place: int) -> dict[str, tuple[float, float]]:
    """Of a view: {statistic, or nearness: (median, width)}."""
    values = statistics(found)
    usual = {name: _usual(x_N, place, LEAST_WIDTH) for name, x_N in values.items()}
    z = {name: _standardised(x_N, usual[name]) for name, x_N in values.items()}
    return usual | {NEARNESS: _usual(_nearness(z), place, LEAST_NEARNESS_WIDTH)}


def _usual(x_N: np.ndarray, place: int, least: float) -> tuple[float, float]:
    median = float(np.median(x_N))
    return median, max(float(np.sort(x_N)[-place]) - median, least)


def reachable(n: int, rate: float) -> float:
    """The rate, or the lowest that n real images can hold where they are too few. Raises ValueError where n is 0."""
    if not n:
        raise ValueError("audit: found no images of people who are there once, expected some to calibrate on")
    return max(rate, 1 / (1 + n))


def place_at(n: int, rate: float) -> int:
    """Which of n real images, from the most extreme on, is the threshold: a further one exceeds the k-th of n with a
    probability of k / (n + 1) (conformal prediction). Raises ValueError where n are too few."""
    place = math.floor(rate * (n + 1) + 1e-9)
    if place < 1:
        raise ValueError(
            f"audit.false_positive_rate: found {rate:g} with {n} images to calibrate on; expected at least "
            f"{math.ceil(1 / rate) - 1} images, or a rate of at least {1 / (n + 1):.3g}"
        )
    return place


def share(count: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval (Wilson 1927)."""
    low, high = stats.binomtest(count, n).proportion_ci(CONFIDENCE, "wilson")
    return {"count": count, "share": count / n, "low": max(float(low), 0.0), "high": min(float(high), 1.0)}
