"""What all generators share: one descent step, sampling by index."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from understudy.run import distributed

from . import kernels


def mirrored(x_NCHW: Tensor, rng: torch.Generator | None) -> Tensor:
    """Each image left to right with probability 1/2, all channels together."""
    flip_N = torch.rand(len(x_NCHW), device=x_NCHW.device, generator=rng) < 0.5
    return torch.where(flip_N[:, None, None, None], x_NCHW.flip(3), x_NCHW)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Meanwhile gradients flow through the network and its parameters take none, so that what theirs would need is not
    kept."""
    wanted = [p for p in network.parameters() if p.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_()


def descend(optimizer: torch.optim.Optimizer, losses: Iterable[Tensor], largest_norm: float | None = None) -> Tensor:
    """One step down the gradient of the sum of `losses` (of all processes); each is freed before the next is asked for.
    A gradient longer than `largest_norm` is shortened to it.

    Parameters that no loss depends on keep their values and their moments. Returns the number of gradient entries that
    were not finite: NaN counts as 0, infinity as 1e5, so that one bad batch does not end a training of days.
    """
    parameters = optimizer.param_groups[0]["params"]
    sums: dict[int, Tensor] = {}
    for loss in losses:
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        new = {i: gradient for i, gradient in enumerate(found) if gradient is not None}
        again = [i for i in new if i in sums]
        if again:
            new |= zip(again, torch._foreach_add([sums[i] for i in again], [new[i] for i in again]), strict=True)
        sums |= new
    flat = distributed.all_reduce_sum(torch.cat([gradient.reshape(-1) for gradient in sums.values()]))
    nonfinite = make_finite(flat)
    if largest_norm is not None:
        flat *= (largest_norm / flat.norm()).clamp(max=1)
    for i, gradient in zip(sums, flat.split([g.numel() for g in sums.values()]), strict=True):
        parameters[i].grad = gradient.view_as(parameters[i])
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return nonfinite


def make_finite(flat: Tensor) -> Tensor:
    """In place; how many were not."""
    if kernels.fused(flat):
        return torch.ops.understudy.make_finite(flat)
    nonfinite = flat.numel() - flat.isfinite().count_nonzero()
    flat.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
    return nonfinite


@torch.no_grad()
def sample_by_index(draw: Callable[[range], Tensor], n: int, first: int, chunk: int) -> Tensor:
    """float32 (n, C, H, W) in [-1, 1], bit for bit the same for an index, whatever n and first.

    `draw` is asked for blocks of `chunk` indices at multiples of it, since the batch size changes the last bits; images
    of a block that were not asked for are dropped.
    """
    parts = []
    for start in range(first - first % chunk, first + max(n, 1), chunk):
        x_NCHW = draw(range(start, start + chunk)).float().clamp(-1, 1)
        parts.append(x_NCHW[max(first - start, 0) : max(first + n - start, 0)])
    return torch.cat(parts)
