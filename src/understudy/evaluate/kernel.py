"""The kernel distance, KID where features are Inception's (Binkowski et al. 2018): unbiased at any number of images.

The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, by the unbiased estimate (section 3, eq. 4), on
random subsets without replacement; mean and population standard deviation over them. 100 subsets of 1000 are the usual
choice, and ours. It may be a little below 0 where two sets are alike: that is what unbiased means.

torch-fidelity has the same estimate, and a test holds ours to it (1e-6 relative). It is a dependency of tests alone: it
brings an Inception of its own, and what is needed of it are these lines.
"""

from typing import NamedTuple

import numpy as np

SUBSETS = 100
SUBSET_IMAGES = 1000


class KernelDistance(NamedTuple):
    mean: float
    sd: float


def kernel_distance(
    a_ND: np.ndarray, b_MD: np.ndarray, subsets: int = SUBSETS, subset_images: int = SUBSET_IMAGES, seed: int = 0
) -> KernelDistance:
    """Of two sets of features. Raises ValueError where a set is smaller than a subset."""
    if (fewest := min(len(a_ND), len(b_MD))) < subset_images or subset_images < 2:
        raise ValueError(f"kernel distance: found {fewest} images, expected at least {max(subset_images, 2)}")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(subsets):
        x_ND, y_ND = (np.float64(f[rng.choice(len(f), subset_images, replace=False)]) for f in (a_ND, b_MD))
        found.append(squared_mmd(x_ND, y_ND))
    return KernelDistance(float(np.mean(found)), float(np.std(found)))


def squared_mmd(x_ND: np.ndarray, y_MD: np.ndarray) -> float:
    """The unbiased estimate: pairs of an image with itself do not count."""
    n, m = len(x_ND), len(y_MD)
    within_x, within_y = _kernel(x_ND, x_ND), _kernel(y_MD, y_MD)
    between = _kernel(x_ND, y_MD).mean()
    return float(
        (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
        + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
        - 2 * between
    )


def _kernel(x_ND: np.ndarray, y_MD: np.ndarray) -> np.ndarray:
    return (x_ND @ y_MD.T / x_ND.shape[1] + 1) ** 3
