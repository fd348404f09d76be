"""How well a Frechet distance is known: its 95 % interval, by resampling the people and the images behind it.

Slices of one subject are alike, so real images are drawn by subject; each synthetic image is drawn by itself. Resampled
covariances have lower rank, which moves the distance upwards, so the draws give the width alone: the interval is the
distance of all images plus and minus 1.96 standard deviations of the draws, and never below 0.
"""

from collections.abc import Sequence

import numpy as np
import torch

DRAWS = 100
QUANTILE = 1.96
LEAST_GROUPS = 2


def frechet_interval(
    distance: float,
    a_ND: np.ndarray,
    b_MD: np.ndarray,
    groups_a: Sequence[str] | None,
    groups_b: Sequence[str] | None,
    draws: int = DRAWS,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[float, float]:
    """(low, high) of the distance of two sets of features; nan where a side has fewer than two groups, or `draws` is 0.

    Args:
        distance: of all images.
        groups_a, groups_b: the person of each image; None: each image is its own group.
    """
    sides = [
        (torch.from_numpy(np.float32(f)).to(device), _numbers(g, f)) for f, g in ((a_ND, groups_a), (b_MD, groups_b))
    ]
    if draws < 2 or any(numbers.max() + 1 < LEAST_GROUPS for _, numbers in sides):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    found = [_distance(*(_moments(f, _weights(numbers, rng)) for f, numbers in sides)) for _ in range(draws)]
    half = QUANTILE * float(np.std(found, ddof=1))
    return max(distance - half, 0.0), distance + half


def _numbers(groups: Sequence[str] | None, features: np.ndarray) -> np.ndarray:
    """The number of each image's group, from 0."""
    if groups is None:
        return np.arange(len(features))
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def _weights(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How often each image is drawn, where its group is."""
    groups = int(numbers.max()) + 1
    return rng.multinomial(groups, np.full(groups, 1 / groups))[numbers]


def _moments(f_ND: torch.Tensor, weights_N: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (D,) and covariance (D, D), float64, of the images as often as they were drawn."""
    chosen = torch.from_numpy(np.flatnonzero(weights_N)).to(f_ND.device)
    w_N1 = torch.from_numpy(weights_N[weights_N > 0].astype(np.float64)).to(f_ND.device)[:, None]
    drawn_ND = f_ND[chosen].double()
    mean = (w_N1 * drawn_ND).sum(0) / w_N1.sum()
    centred_ND = (drawn_ND - mean) * w_N1.sqrt()
    return mean, centred_ND.T @ centred_ND / (w_N1.sum() - 1)


def _distance(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> float:
    """As frechet.frechet_distance, on the device."""
    values, vectors = torch.linalg.eigh(a[1])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    roots = torch.linalg.eigvalsh(root @ b[1] @ root).clamp(min=0).sqrt().sum()
    return float((a[0] - b[0]).square().sum() + a[1].trace() + b[1].trace() - 2 * roots)
