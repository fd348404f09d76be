"""The Frechet distance between two sets of features, each taken as a Gaussian: FID where they are Inception's.

Heusel et al. 2017 (FID); Dowson and Landau 1982 (the distance); pytorch-fid for the covariance, which divides by N - 1.
The trace of the matrix root is taken by eigenvalues of symmetric matrices: it stays real where covariances have no full
rank, works with every SciPy, and is several times faster than a general matrix root (benchmarks/frechet_trace.py).
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 4096  # rows that are turned to float64 at a time


@dataclass(frozen=True)
class Moments:
    """Mean (D,) and covariance (D, D) of features."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, f_ND: np.ndarray) -> "Moments":
        """Of features of any precision; sums are float64. Raises ValueError for fewer than two, or for NaN."""
        if f_ND.ndim != 2 or len(f_ND) < 2:
            raise ValueError(f"Frechet distance: found features of shape {f_ND.shape}, expected (N, D), N at least 2")
        mean = f_ND.mean(0, dtype=np.float64)
        if not np.isfinite(mean).all():
            raise ValueError("Frechet distance: found features that are no finite numbers, expected finite ones")
        covariance = np.zeros((f_ND.shape[1],) * 2)
        for start in range(0, len(f_ND), BLOCK):
            centred_ND = f_ND[start : start + BLOCK] - mean
            covariance += centred_ND.T @ centred_ND
        return cls(mean, covariance / (len(f_ND) - 1))


def root_trace(a_DD: np.ndarray, b_DD: np.ndarray) -> float:
    """tr (A B)^1/2 of two covariances, as the sum of roots of the eigenvalues of A^1/2 B A^1/2."""
    values, vectors = np.linalg.eigh(a_DD)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return float(np.sqrt(np.linalg.eigvalsh(root @ b_DD @ root).clip(min=0)).sum())


def frechet_distance(a: np.ndarray | Moments, b: np.ndarray | Moments) -> float:
    """|m_a - m_b|^2 + tr(A + B - 2 (A B)^1/2) of two sets of features (N, D), or of their moments.

    It is biased upwards by about D / N: compare values that were made from the same numbers of images.
    """
    a, b = (side if isinstance(side, Moments) else Moments.of(side) for side in (a, b))
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"Frechet distance: found {len(a.mean)} and {len(b.mean)} features, expected as many on both")
    spread = np.trace(a.covariance) + np.trace(b.covariance) - 2 * root_trace(a.covariance, b.covariance)
    return float(np.square(a.mean - b.mean).sum() + spread)
