"""A feature space that needs no download: a small convolutional network with fixed random weights.

For any number of channels; features are means and deviations of its maps, from fine to coarse. Random features order
generators of small images well (Naeem et al. 2020, section 4); they are not Inception's, and distances in them compare
with each other alone. They serve tests, the demo and `make learn`.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WIDTHS = (16, 32, 64, 64)  # maps of each layer, every one half the size of the one before
SEED = 20231002
BLOCK = 256  # images of one forward pass


def random_weights(channels: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(SEED)
    pairs = zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True)
    return [torch.randn(o, i, 3, 3, generator=rng) * math.sqrt(2 / (9 * i)) for i, o in pairs]


@torch.no_grad()
def random_features(x_NCHW: Tensor, weights: list[Tensor]) -> Tensor:
    """float32 (N, 352) of a uint8 batch: mean and standard deviation of every map."""
    h_NCHW, parts = x_NCHW.float() / 127.5 - 1, []
    for weight in weights:
        h_NCHW = F.leaky_relu(F.conv2d(h_NCHW, weight, stride=2, padding=1), 0.2)
        parts += [h_NCHW.mean((2, 3)), h_NCHW.std((2, 3), correction=0)]
    return torch.cat(parts, 1)


def features(x_NCHW: np.ndarray) -> np.ndarray:
    """float64 (N, 352) of uint8 images (N, C, H, W), block by block."""
    weights = random_weights(x_NCHW.shape[1])
    blocks = (torch.from_numpy(x_NCHW[start : start + BLOCK]) for start in range(0, len(x_NCHW), BLOCK))
    return np.concatenate([random_features(block, weights).double().numpy() for block in blocks])
