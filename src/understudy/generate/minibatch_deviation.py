"""Minibatch standard deviation: the discriminator sees how much the images of a group differ (Karras et al. 2018,
section 3).
"""

import torch
from torch import Tensor

from . import kernels


def append_minibatch_stddev(x_NCHW: Tensor, group: int) -> Tensor:
    """(N, C, H, W) -> (N, C + 1, H, W): the last map tells how much the images of a group differ, one number a group.

    A group is every (N / group)-th image: image n belongs to group n mod (N / group).
    """
    N, C, H, W = x_NCHW.shape
    group = min(group, N)
    assert N % group == 0, (N, group)
    x_GMCHW = x_NCHW.reshape(group, N // group, C, H, W)
    deviation_M = _MeanDeviation.apply(x_GMCHW)[0] if kernels.fused(x_NCHW) else _mean_deviation(x_GMCHW)
    map_N1HW = deviation_M.repeat(group).view(N, 1, 1, 1).expand(N, 1, H, W)
    return torch.cat((x_NCHW, map_N1HW), 1)


def _mean_deviation(x_GMCHW: Tensor) -> Tensor:
    return (x_GMCHW.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))


class _MeanDeviation(torch.autograd.Function):
    """Its first gradient in three kernels; PyTorch's own takes a dozen."""

    @staticmethod
    def forward(x_GMCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        variance_MCHW, mean_MCHW = torch.var_mean(x_GMCHW, 0, correction=0)
        deviation_MCHW = variance_MCHW.add_(1e-8).sqrt_()
        return deviation_MCHW.mean((1, 2, 3)), mean_MCHW, deviation_MCHW

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, *output[1:])

    @staticmethod
    def backward(ctx, g_M: Tensor | None, *_):
        if g_M is None:
            return None
        x_GMCHW, mean_MCHW, deviation_MCHW = ctx.saved_tensors
        if torch.is_grad_enabled():
            variance_MCHW, mean_MCHW = torch.var_mean(x_GMCHW, 0, correction=0)
            deviation_MCHW = (variance_MCHW + 1e-8).sqrt()
        factor_MCHW = g_M[:, None, None, None] / deviation_MCHW / x_GMCHW[:, 0].numel()
        return (x_GMCHW - mean_MCHW) * factor_MCHW
