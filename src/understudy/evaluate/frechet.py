"""How far samples are from real images: the Frechet distance in a feature space that needs no download.

The features are those of a small convolutional network with fixed random weights, for any number of channels: means and
deviations of its maps, from fine to coarse. Random features order generators of small images well (Naeem et al. 2020,
section 4); they are not Inception's, and distances in them compare with each other alone.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WIDTHS = (16, 32, 64, 64)  # maps of each layer, every one half the size of the one before
SEED = 20231002
BLOCK = 256  # images of one forward pass


def _weights(channels: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(SEED)
    pairs = zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True)
    return [torch.randn(o, i, 3, 3, generator=rng) * math.sqrt(2 / (9 * i)) for i, o in pairs]


@torch.no_grad()
def features(x_NCHW: np.ndarray) -> np.ndarray:
    """float64 (N, 352) of uint8 images (N, C, H, W): mean and standard deviation of every map."""
    weights, rows = _weights(x_NCHW.shape[1]), []
    for start in range(0, len(x_NCHW), BLOCK):
        h_NCHW = torch.from_numpy(x_NCHW[start : start + BLOCK]).float() / 127.5 - 1
        parts = []
        for weight in weights:
            h_NCHW = F.leaky_relu(F.conv2d(h_NCHW, weight, stride=2, padding=1), 0.2)
            parts += [h_NCHW.mean((2, 3)), h_NCHW.std((2, 3), correction=0)]
        rows.append(torch.cat(parts, 1).double().numpy())
    return np.concatenate(rows)


@dataclass(frozen=True)
class Moments:
    """Mean (K,) and covariance (K, K) of features."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray]) -> "Moments":
        """Of uint8 images, block by block. Raises ValueError for fewer than two images."""
        rows = [features(x_NCHW) for x_NCHW in blocks]
        if sum(map(len, rows)) < 2:
            raise ValueError(f"Frechet distance: found {sum(map(len, rows))} images, expected at least 2")
        f_NK = np.concatenate(rows)
        return cls(f_NK.mean(0), np.cov(f_NK, rowvar=False))


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) (Dowson and Landau 1982), by eigenvalues of symmetric matrices,
    which stay real where covariances have no full rank."""
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ b.covariance @ root).clip(min=0)).sum()
    spread = np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    return float(np.square(a.mean - b.mean).sum() + spread)
