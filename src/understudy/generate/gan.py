"""What the adversarial generators share beside generate/common.py: their optimizer, the EMA's half-life, latents."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from understudy.core import seeds

from . import common

CHUNK = 8  # images of one forward pass when sampling


def adam(parameters: Iterable[Tensor], learning_rate: float, betas: tuple, epsilon: float, lazy_interval: int | None):
    """Adam, corrected for a regularisation that makes its own step every `lazy_interval` iterations: k + 1 steps in
    place of k, so c = k / (k + 1) multiplies the learning rate and is the power of the decays (StyleGAN 2, app. B)."""
    parameters = list(parameters)
    c = lazy_interval / (lazy_interval + 1) if lazy_interval else 1.0
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, learning_rate * c, tuple(beta**c for beta in betas), epsilon, fused=fused)


def half_life_decay(batch: int, half_life_images: float) -> float:
    """Decay of an average per iteration such that a weight halves in `half_life_images`."""
    return 0.5 ** (batch / max(half_life_images, 1e-8))


def latents(seed: int, first: int, n: int, size: int) -> Tensor:
    """(n, size) standard normal on the CPU; row i depends on (seed, first + i) only."""
    rows = [torch.randn(size, generator=seeds.generator("cpu", "latent", seed, first + i)) for i in range(n)]
    return torch.stack(rows) if rows else torch.empty(0, size)


def sample_by_index(forward: Callable[[Tensor], Tensor], n: int, seed: int, first: int, size: int, device) -> Tensor:
    """common.sample_by_index with forward: latents (N, size) -> images."""

    def draw(indices: range) -> Tensor:
        return forward(latents(seed, indices.start, len(indices), size).to(device))

    return common.sample_by_index(draw, n, first, CHUNK)
