"""A reader study: experts call images real or synthetic. Were they able to tell, and how surely do we know?

Raw accuracy misleads if most images are synthetic: with 5 synthetic images of 6, calling all synthetic is right in 5 of
6. Balanced accuracy is 0.5 for a reader who cannot tell, whatever the mixture and the reader's bias.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

REAL = "real"


@dataclass(frozen=True)
class ReaderStudy:
    """Of one reader's calls on images of several types."""

    chi_squared: float  # were all types called real equally often?
    freedom: int
    p: float
    balanced_accuracy: float
    low: float  # of balanced accuracy
    high: float
    accuracy: float
    majority: float  # accuracy of calling everything what most images are
    sensitivity_index: float  # d': 0 for whoever cannot tell
    criterion: float  # below 0: leans to "synthetic"
    images: int

    def as_dict(self) -> dict:
        return asdict(self)


def analyse(calls: pd.DataFrame, level: float = 0.95) -> ReaderStudy:
    """The analysis of a table with columns image_type, classified_real, classified_synthetic: counts, a row per type.

    Raises ValueError where there is no row `real`, no other row, or a type without images.
    """
    table = calls.set_index("image_type")[["classified_real", "classified_synthetic"]]
    if list(table.index).count(REAL) != 1 or len(table) < 2 or (table.sum(axis=1) <= 0).any():
        raise ValueError(
            f"reader study: found the image types {', '.join(map(str, table.index))}, expected one row {REAL!r} and "
            "at least one of synthetic images, each with images. Correct the table of calls."
        )
    chi_squared, p, freedom = homogeneity(table.to_numpy(float))
    real, synthetic = table.loc[REAL], table.drop(REAL).sum()
    called = real["classified_real"], synthetic["classified_synthetic"]  # right calls on real, on synthetic images
    of = real.sum(), synthetic.sum()
    low, high = mean_of_proportions(called, of, level)
    hits, correct_rejections = ((c + 0.5) / (n + 1) for c, n in zip(called, of, strict=True))  # log-linear: never 0, 1
    z_real, z_false = stats.norm.ppf(hits), stats.norm.ppf(1 - correct_rejections)
    return ReaderStudy(
        chi_squared=chi_squared,
        freedom=freedom,
        p=p,
        balanced_accuracy=float(np.mean([c / n for c, n in zip(called, of, strict=True)])),
        low=low,
        high=high,
        accuracy=float(sum(called) / sum(of)),
        majority=float(max(of) / sum(of)),
        sensitivity_index=float(z_real - z_false),
        criterion=float((z_real + z_false) / 2),
        images=int(sum(of)),
    )


def homogeneity(counts_TC: np.ndarray) -> tuple[float, float, int]:
    """Pearson's chi-squared of a table of counts, its p, and its degrees of freedom; an empty column is no evidence."""
    counts = counts_TC[:, counts_TC.sum(axis=0) > 0]
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if not freedom:
        return 0.0, 1.0, 0
    found = stats.chi2_contingency(counts, correction=False)
    return float(found.statistic), float(found.pvalue), freedom


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion. Equal to SciPy's (a test), which takes whole numbers alone: of several
    readers `n` is the number of images that theirs are worth."""
    z, share = stats.norm.ppf((1 + level) / 2), successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(centre - half), float(centre + half)


def mean_of_proportions(successes: tuple, n: tuple, level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of two independent proportions, from their Wilson intervals (Newcombe 1998; Zou, Donner)."""
    shares = [c / k for c, k in zip(successes, n, strict=True)]
    ends = [wilson(c, k, level) for c, k in zip(successes, n, strict=True)]
    below = np.sqrt(sum((share - low) ** 2 for share, (low, _) in zip(shares, ends, strict=True)))
    above = np.sqrt(sum((high - share) ** 2 for share, (_, high) in zip(shares, ends, strict=True)))
    middle = np.mean(shares)
    return float(middle - below / 2), float(middle + above / 2)
