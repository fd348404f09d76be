"""How many flags chance explains, and how many copies the audit would have found.

The threshold comes from a few test subjects, and slices of one person are alike. So flags come in clusters, and the
rate of false alarms for other people is not exactly the stated rate. The test subjects themselves show both effects:
their scores are resampled by subject, once to learn a threshold and once to be judged by it (bootstrap of clusters,
Davison & Hinkley 1997, 3.8). The scores are those of people from whom nothing was learned (people.py).

Images far beyond the threshold come in clusters, too: as many people as a Poisson law says, each with a geometric
number of images whose mean is that of the flags of a flagged person (a compound Poisson law of Polya and Aeppli).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .detector import Detector

DRAWS = 4000
_AT_ONCE = 4e6  # numbers in memory
MOST_FAR = 50  # people far beyond, of a clean set
SURE = 0.01  # probability that a clean set fails, all reasons together


@dataclass(frozen=True)
class Chance:
    """Of a set of n images: shares of flags that a clean one would have had, ascending."""

    shares: np.ndarray
    n: int
    detector: Detector
    together: float = 1.0  # flags of a flagged person

    @classmethod
    def of(
        cls, detector: Detector, score_N: np.ndarray, owner_N: np.ndarray, n: int, seed: int = 0, draws: int = DRAWS
    ) -> "Chance":
        """score_N, owner_N: of the test images, by detectors of other people, and whose they are."""
        above_N = score_N > detector.threshold
        together = above_N.sum() / len(np.unique(owner_N[above_N])) if above_N.any() else 1.0
        rng = np.random.default_rng(seed)
        owner_N = np.unique(owner_N[np.argsort(-score_N, kind="stable")], return_inverse=True)[1]
        people = int(owner_N.max()) + 1
        # a set of n images is one of so many people
        many, equal = max(1, round(n * people / len(score_N))), np.full(people, 1 / people)
        shares = []
        for _ in range(0, draws, step := min(draws, max(1, int(_AT_ONCE / len(score_N))))):
            learned_BN, judged_BN = (
                rng.multinomial(size, equal, step)[:, owner_N].cumsum(1) for size in (people, many)
            )
            place_B1 = (learned_BN <= detector.rate * (learned_BN[:, -1:] + 1)).sum(1, keepdims=True)
            flagged_B = np.where(place_B1 > 0, np.take_along_axis(judged_BN, np.maximum(place_B1 - 1, 0), 1), 0)[:, 0]
            shares.append(flagged_B / np.maximum(1, judged_BN[:, -1]))
        return cls(np.sort(np.concatenate(shares)[:draws]), n, detector, float(together))

    def of_flags(self, count: int | np.ndarray) -> np.ndarray:
        """Probability that a clean set has so many flags or more."""
        below = np.searchsorted(self.shares, np.asarray(count) / self.n - 1e-12, side="left")
        return (1 + len(self.shares) - below) / (1 + len(self.shares))

    def of_copies(self, count: int | np.ndarray) -> np.ndarray:
        """Probability that a clean set has so many images beyond `far`, or more."""
        count = np.asarray(count)
        people, expected = np.arange(1, MOST_FAR + 1), self.n * self.detector.far_rate / self.together
        # of so many people: at least `count` images, of which each has one, and the others are failures of a draw
        images = stats.nbinom.sf(count[..., None] - people - 1, people, 1 / self.together)
        return np.where(count > 0, (stats.poisson.pmf(people, expected) * images).sum(-1), 1.0)

    def power(self, flagged_K: np.ndarray, far_K: np.ndarray, shares: Sequence[float], level: float) -> np.ndarray:
        """(K, S): probability that a set with such a share of copies fails, of kinds of copies of which the
        detector flags a share `flagged_K` and sees a share `far_K` far beyond all real images."""
        counts = np.arange(self.n + 2)
        needed, needed_far = (int(np.argmax(p(counts) < level)) or self.n + 1 for p in (self.of_flags, self.of_copies))
        copies_1S, flagged_K1, far_K1 = np.array(shares)[None], flagged_K[:, None], far_K[:, None]
        by_flags = stats.binom.sf(needed - 1, self.n, copies_1S * flagged_K1 + (1 - copies_1S) * self.detector.rate)
        return np.maximum(by_flags, stats.binom.sf(needed_far - 1, self.n, copies_1S * far_K1))
