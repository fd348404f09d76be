"""The area under the ROC curve of readers' ratings, with intervals for one reader and for readers in general.

Of calls without confidence the area is the balanced accuracy, so the same code serves both.
"""

import numpy as np
from scipy import optimize, stats

LEAST_READERS = 3


def area(synthetic_M: np.ndarray, real_N: np.ndarray) -> float:
    """Probability that a synthetic image is rated as more synthetic than a real one; ties count half."""
    return float(_wins(synthetic_M, real_N).mean())


def area_interval(theta: float, m: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's method 5 (Statistics in Medicine 25, 559, 2006): as Wilson's, so areas of 0 and 1 have some, too."""
    z, k = stats.norm.ppf((1 + level) / 2), (m + n) / 2 - 1

    def beyond(t: float) -> float:
        variance = t * (1 - t) / (m * n) * (1 + k * (1 - t) / (2 - t) + k * t / (1 + t))
        return (t - theta) ** 2 - z**2 * variance

    nearly = 1e-9  # at 0 and at 1 there is a root of no interest
    low = optimize.brentq(beyond, 0, min(theta, 1 - nearly)) if theta > 0 else 0.0
    high = optimize.brentq(beyond, max(theta, nearly), 1) if theta < 1 else 1.0
    return float(low), float(high)


def areas_of_readers(ratings_RN: np.ndarray, synthetic_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas (R,) and their covariance (R, R) over images, which all readers have read (DeLong 1988)."""
    wins = np.stack([_wins(r[synthetic_N], r[~synthetic_N]) for r in ratings_RN])  # (R, M, N)
    areas = wins.mean(axis=(1, 2))
    parts = (wins.mean(axis=2), wins.mean(axis=1))  # of each synthetic, of each real image
    covariance = sum(np.atleast_2d(np.cov(part)) / part.shape[1] for part in parts)
    return areas, covariance


def readers_in_general(areas_R: np.ndarray, covariance_RR: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean area over readers and images: Obuchowski and Rockette's, with Hillis' degrees of freedom
    (Statistics in Medicine 33, 330, 2014). nan for fewer than three readers: of two it held the truth in 88 % alone."""
    readers = len(areas_R)
    if readers < LEAST_READERS:
        return np.nan, np.nan
    between = float(np.var(areas_R, ddof=1))
    shared = max(0.0, float(covariance_RR[~np.eye(readers, dtype=bool)].mean()))
    whole = between + readers * shared
    if whole == 0:
        return float(areas_R.mean()), float(areas_R.mean())
    freedom = whole**2 / (between**2 / (readers - 1)) if between else np.inf
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(whole / readers)
    return float(max(0, areas_R.mean() - half)), float(min(1, areas_R.mean() + half))


def _wins(synthetic_M: np.ndarray, real_N: np.ndarray) -> np.ndarray:
    """(M, N): 1 where the synthetic image is rated higher, 0.5 where both are alike."""
    difference = synthetic_M[:, None].astype(float) - real_N[None, :]
    return (np.sign(difference) + 1) / 2
