"""What all the adversarial generators share: options, one descent step, the EMA's half-life, sampling by index."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import fields

import torch
from torch import Tensor

from understudy.core import distributed, seeds

CHUNK = 8  # images of one forward pass when sampling; a constant, since the batch size changes the last bits


def read_options(kind: type, name: str, given: dict):
    """An instance of the options dataclass `kind`. Raises ValueError on an unknown option, with the nearest known."""
    known = [f.name for f in fields(kind)]
    for option in given:
        if option not in known:
            nearest = difflib.get_close_matches(option, known, n=1, cutoff=0.0)[0]
            raise ValueError(f"{name}: unknown option {option!r}; the nearest known one is {nearest!r}")
    return kind(**given)


def adam(parameters: Iterable[Tensor], learning_rate: float, betas: tuple, epsilon: float, lazy_interval: int | None):
    """Adam, corrected for a regularisation that makes its own step every `lazy_interval` iterations: k + 1 steps in
    place of k, so c = k / (k + 1) multiplies the learning rate and is the power of the decays (StyleGAN 2, app. B)."""
    parameters = list(parameters)
    c = lazy_interval / (lazy_interval + 1) if lazy_interval else 1.0
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, learning_rate * c, tuple(beta**c for beta in betas), epsilon, fused=fused)


def descend(optimizer: torch.optim.Adam, losses: Iterable[Tensor]) -> Tensor:
    """One step down the gradient of the sum of `losses` (of all processes); each is freed before the next is asked for.

    Parameters that no loss depends on keep their values and their moments. Returns the number of gradient entries that
    were not finite: NaN counts as 0, infinity as 1e5, so that one bad batch does not end a training of days.
    """
    parameters = optimizer.param_groups[0]["params"]
    sums: dict[int, Tensor] = {}
    for loss in losses:
        for i, gradient in enumerate(torch.autograd.grad(loss, parameters, allow_unused=True)):
            if gradient is not None:
                sums[i] = sums[i] + gradient if i in sums else gradient
    flat = distributed.all_reduce_sum(torch.cat([gradient.reshape(-1) for gradient in sums.values()]))
    nonfinite = flat.isfinite().logical_not().sum()
    flat = flat.nan_to_num(nan=0.0, posinf=1e5, neginf=-1e5)
    for i, gradient in zip(sums, flat.split([g.numel() for g in sums.values()]), strict=True):
        parameters[i].grad = gradient.view_as(parameters[i])
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return nonfinite


def half_life_decay(batch: int, half_life_images: float) -> float:
    """Decay of an average per iteration such that a weight halves in `half_life_images`."""
    return 0.5 ** (batch / max(half_life_images, 1e-8))


def latents(seed: int, first: int, n: int, size: int) -> Tensor:
    """(n, size) standard normal on the CPU; row i depends on (seed, first + i) only."""
    rows = [torch.randn(size, generator=seeds.generator("cpu", "latent", seed, first + i)) for i in range(n)]
    return torch.stack(rows) if rows else torch.empty(0, size)


@torch.no_grad()
def sample_by_index(forward: Callable[[Tensor], Tensor], n: int, seed: int, first: int, size: int, device) -> Tensor:
    """float32 (n, C, H, W) in [-1, 1], bit for bit the same for an index, whatever n and first.

    Forward passes are blocks of CHUNK at multiples of CHUNK; images of a block that were not asked for are dropped.
    """
    parts = []
    for start in range(first - first % CHUNK, first + max(n, 1), CHUNK):
        x_NCHW = forward(latents(seed, start, CHUNK, size).to(device)).float().clamp(-1, 1)
        parts.append(x_NCHW[max(first - start, 0) : max(first + n - start, 0)])
    return torch.cat(parts)
