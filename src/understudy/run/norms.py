"""Group and instance norm with the activation beside it, in one pass forward and one backward.

    y = act(factor * (t - mean) / sqrt(variance + eps) + shift),  t = leaky_relu(x, slope)

Mean and variance are those of a group of channels of an image (Wu, He 2018); with a group for each channel it is
instance norm. `factor` and `shift` are of an image and channel, so that an affine norm, one that is modulated by time,
and AdaIN are all of this form; act is SiLU or nothing.

Autograd's own backward pass would keep every step. Here x and two numbers a group are kept, and the steps are computed
again. Statistics and sums are those of fp32 (fp64 for such maps) in any precision, and maps keep their layout, planes
or channels_last. A GPU has a kernel for each direction (norm_kernels.py); the plain form says what is computed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .triton_operations import define, fused


def normalized(
    x_NCHW: Tensor,
    factor_NC: Tensor,
    shift_NC: Tensor,
    groups: int,
    eps: float,
    *,
    slope: float = 1.0,
    silu: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y of the formula above, y once more, x itself), for whoever needs them twice: all gradients are added in a pass.

    Args:
        groups: a divisor of C.
        slope: of the leaky ReLU before the norm; 1: there is none.
        silu: whether y is the SiLU of the norm. Gradients are of first order.
    """
    return _Normalized.apply(x_NCHW, factor_NC, shift_NC, groups, eps, slope, silu)[:3]


class _Normalized(torch.autograd.Function):
    @staticmethod
    def forward(x, factor_NC, shift_NC, groups: int, eps: float, slope: float, silu: bool):
        form = torch.ops.understudy.norm if fused(x) else _norm
        y, statistics_2NG = form(_dense(x), factor_NC, shift_NC, groups, eps, slope, silu)
        return y, y.view_as(y), x.view_as(x), statistics_2NG

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, factor_NC, shift_NC, ctx.groups, _, ctx.slope, ctx.silu = inputs
        ctx.save_for_backward(x, factor_NC, shift_NC, output[3])
        ctx.mark_non_differentiable(output[3])
        ctx.set_materialize_grads(False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, again, g_x, _):
        x, factor_NC, shift_NC, statistics_2NG = ctx.saved_tensors
        g, again = (again, None) if g is None else (g, again)
        if g is None:
            return g_x, *[None] * 6
        form = torch.ops.understudy.norm_backward if fused(g) else _norm_backward
        gradients = (t if t is None or _rows_follow(t) else t.contiguous() for t in (g, again, g_x))
        kept = _dense(x), factor_NC, shift_NC, statistics_2NG
        gradient, sums_2NC = form(*gradients, *kept, ctx.groups, ctx.slope, ctx.silu)
        return gradient, sums_2NC[0].to(factor_NC.dtype), sums_2NC[1].to(shift_NC.dtype), *[None] * 4


def _dense(x: Tensor) -> Tensor:
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def _rows_follow(g_NCHW: Tensor) -> bool:
    """Whether a pixel's place in memory is a multiple of its number, as it is in a part of the channels."""
    return g_NCHW.stride(2) == g_NCHW.shape[3] * g_NCHW.stride(3)


# ------------------------------------------------------------------------------------------------ plain form
def _norm(x, factor_NC, shift_NC, groups: int, eps: float, slope: float, silu: bool) -> tuple[Tensor, Tensor]:
    t_NCHW = _entering(x, slope)
    variance_NG, mean_NG = torch.var_mean(_grouped(t_NCHW, groups), (2, 3, 4), correction=0)
    statistics_2NG = torch.stack((mean_NG, (variance_NG + eps).rsqrt()))
    y_NCHW, _ = _affine(t_NCHW, statistics_2NG, factor_NC, shift_NC)
    return (F.silu(y_NCHW) if silu else y_NCHW).to(x.dtype), statistics_2NG


def _norm_backward(g, again, g_x, x, factor_NC, shift_NC, statistics_2NG, groups: int, slope: float, silu: bool):
    """The gradient of x, and the sums over pixels that are those of factor and shift."""
    t_NCHW, g_NCHW = _entering(x, slope), _exact(g if again is None else g + again)
    y_NCHW, normal_NCHW = _affine(t_NCHW, statistics_2NG, factor_NC, shift_NC)
    if silu:
        sigmoid_NCHW = y_NCHW.sigmoid()
        g_NCHW = g_NCHW * sigmoid_NCHW * (1 + y_NCHW * (1 - sigmoid_NCHW))
    sums_2NC = torch.stack(((g_NCHW * normal_NCHW).sum((2, 3)), g_NCHW.sum((2, 3))))
    per_group = sums_2NC * factor_NC
    along_NG, mean_NG = per_group.unflatten(2, (groups, -1)).sum(3) / t_NCHW[0].numel() * groups
    along, mean, inverse = (_per_channel(t_NG, x.shape[1]) for t_NG in (along_NG, mean_NG, statistics_2NG[1]))
    gradient = inverse * (g_NCHW * factor_NC[:, :, None, None] - mean - normal_NCHW * along)
    gradient = (gradient if slope == 1 else torch.where(t_NCHW > 0, gradient, gradient * slope)).to(x.dtype)
    return gradient if g_x is None else gradient + g_x, sums_2NC


def _exact(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _entering(x: Tensor, slope: float) -> Tensor:
    return _exact(x) if slope == 1 else F.leaky_relu(_exact(x), slope)


def _grouped(x_NCHW: Tensor, groups: int) -> Tensor:
    return x_NCHW.unflatten(1, (groups, -1))


def _per_channel(t_NG: Tensor, channels: int) -> Tensor:
    return t_NG.repeat_interleave(channels // t_NG.shape[1], 1)[:, :, None, None]


def _affine(t_NCHW: Tensor, statistics_2NG: Tensor, factor_NC: Tensor, shift_NC: Tensor) -> tuple[Tensor, Tensor]:
    """(factor * normal + shift, normal)."""
    mean, inverse = (_per_channel(t_NG, t_NCHW.shape[1]) for t_NG in statistics_2NG)
    normal_NCHW = (t_NCHW - mean) * inverse
    factor, shift = (t_NC[:, :, None, None].to(t_NCHW.dtype) for t_NC in (factor_NC, shift_NC))
    return torch.addcmul(shift, normal_NCHW, factor), normal_NCHW


# ------------------------------------------------------------------------------------------------ kernels
def _new_norm(x: Tensor, factor: Tensor, shift: Tensor, groups: int, *_) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((2, x.shape[0], groups), dtype=torch.float32)


def _fused_norm(*inputs) -> tuple[Tensor, Tensor]:
    from . import norm_kernels

    return norm_kernels.norm(*inputs, *_new_norm(*inputs))


def _new_norm_backward(g, again, g_x, x: Tensor, *_) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((2, *x.shape[:2]), dtype=torch.float32)


def _fused_norm_backward(*inputs) -> tuple[Tensor, Tensor]:
    from . import norm_kernels

    return norm_kernels.norm_backward(*inputs, *_new_norm_backward(*inputs))


define(
    "norm(Tensor x, Tensor factor, Tensor shift, int groups, float eps, float slope, bool silu) -> (Tensor, Tensor)",
    _new_norm,
    _fused_norm,
)
define(
    "norm_backward(Tensor g, Tensor? again, Tensor? g_x, Tensor x, Tensor factor, Tensor shift, Tensor statistics,"
    " int groups, float slope, bool silu) -> (Tensor, Tensor)",
    _new_norm_backward,
    _fused_norm_backward,
)
