"""The activation of all GANs: scale, noise, bias, leaky ReLU, gain and limit as one function with gradients of every
order.

    y = limit(gain * leaky_relu(x_gain * scale * x + strength * noise + bias))

It is piecewise linear in x, so its output determines its slopes. The backward pass keeps nothing else, except x where a
scale needs its gradient. On a GPU one kernel computes the value and writes the slopes, two bits an entry, so no
backward pass reads the output. A second kernel computes all sums for the gradients of scale, strength and bias. Where a
gradient is differentiated again (R1, gradient penalty, path length), the same formulas run as differentiable
operations, around one kernel that applies these slopes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels
from .first_gradient import of_parameters
from .kernels import SLOPE, UNLIMITED
from .layout import dense, layout_of
from .modulation import scale_gradients

_BITS = {torch.float16: 11, torch.bfloat16: 8, torch.float32: 24}  # of a mantissa


def activate(
    x_NC: Tensor,
    bias_C: Tensor | None = None,
    gain: float = math.sqrt(2),
    limit: float | None = None,
    *,
    scale_NC: Tensor | None = None,
    noise_N1HW: Tensor | None = None,
    strength: Tensor | None = None,
    x_gain: float = 1.0,
) -> Tensor:
    """The formula above; x is (N, C) or (N, C, H, W).

    Args:
        limit: of the output's size.
        noise_N1HW: numbers without a gradient, of each image or (H, W) of all.
        strength: of the noise, one number or (C,).
        x_gain: where there are neither scale nor noise; what comes before then needs no gain.
    """
    assert x_gain == 1 or (scale_NC is None and noise_N1HW is None)
    limit = None if limit is None else representable(limit, x_NC.dtype)
    if x_NC.device.type == "cpu" and not kernels.fused(x_NC):  # small maps wait longer for Python than for passes
        return composed(x_NC, scale_NC, noise_N1HW, strength, bias_C, gain, limit, x_gain)
    kept = torch.is_grad_enabled()
    return _Activation.apply(x_NC, scale_NC, noise_N1HW, strength, bias_C, gain, limit, x_gain, kept)[0]


def representable(limit: float, dtype: torch.dtype) -> float:
    """The nearest number of the type: what is limited to it compares as equal to it, in any type."""
    mantissa, exponent = math.frexp(limit)
    bits = _BITS.get(dtype, 53)
    return math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)


class _Activation(torch.autograd.Function):
    """y and, on a GPU, its slopes if they are `kept`."""

    @staticmethod
    def forward(x, scale_NC, noise, strength, bias_C, gain: float, limit: float | None, x_gain: float, kept: bool):
        if kernels.fused(x):
            limit = UNLIMITED if limit is None else limit
            inputs = dense(x), scale_NC, noise, strength, bias_C
            return torch.ops.understudy.activate(*inputs, gain, limit, x_gain, kept)
        return _plain(x, scale_NC, noise, strength, bias_C, gain, limit, x_gain), None

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, scale_NC, noise, strength, bias_C, ctx.gain, ctx.limit, ctx.x_gain, _ = inputs
        y, slopes = output
        ctx.set_materialize_grads(False)
        ctx.layout = layout_of(y)
        ctx.bias_dtype = None if bias_C is None else bias_C.dtype
        if slopes is not None:
            ctx.mark_non_differentiable(slopes)
        scaled = None if scale_NC is None else x
        ctx.save_for_backward(y if slopes is None else slopes, scaled, scale_NC, noise, strength)

    @staticmethod
    def backward(ctx, g: Tensor, _):
        if g is None:  # nobody asks for y but as what was kept, which is constant
            return (None,) * 9
        kept, x, scale_NC, noise, strength = ctx.saved_tensors
        if kernels.fused(g) and g.ndim == 4 and not torch.is_grad_enabled():
            return _fused_gradients(ctx, g, kept, x, scale_NC, noise, strength)
        slope = _Bend.apply(g, kept, ctx.gain * ctx.x_gain, ctx.limit, ctx.layout)
        gradient_bias = gradient_strength = None
        if ctx.bias_dtype and of_parameters():
            gradient_bias = _over(slope.sum([0, *range(2, g.ndim)], dtype=ctx.bias_dtype), ctx.x_gain)
        if noise is not None and of_parameters():
            gradient_strength = _of_strength(slope, noise, strength)
        if scale_NC is None:
            return slope, None, None, gradient_strength, gradient_bias, *[None] * 4
        gradient, gradient_scale = scale_gradients(slope, x, scale_NC)
        return gradient, gradient_scale, None, gradient_strength, gradient_bias, *[None] * 4


class _Bend(torch.autograd.Function):
    """g times the slopes of an activation: linear in g, constant in `kept`, its output or its slopes, but at kinks.
    `layout`: of the activation's output, by which slopes are packed."""

    @staticmethod
    def forward(g: Tensor, kept: Tensor, gain: float, limit: float | None, layout: torch.memory_format) -> Tensor:
        if kernels.fused(g):
            return torch.ops.understudy.bend(dense(g, layout), kept, gain)
        if limit is not None:
            g = torch.ops.aten.hardtanh_backward(g, kept, -limit, limit)
        return torch.ops.aten.leaky_relu_backward(g if gain == 1 else g * gain, kept, SLOPE, True)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, kept, ctx.gain, ctx.limit, ctx.layout = inputs
        ctx.save_for_backward(kept)

    @staticmethod
    def backward(ctx, h: Tensor):
        return _Bend.apply(h, *ctx.saved_tensors, ctx.gain, ctx.limit, ctx.layout), *[None] * 4


def _over(t: Tensor, gain: float) -> Tensor:
    return t if gain == 1 else t / gain


def composed(x, scale_NC, noise, strength, bias_C, gain: float, limit: float | None, x_gain: float) -> Tensor:
    """Step by step, with PyTorch's own gradients."""
    x = x if x_gain == 1 else x * x_gain
    if scale_NC is not None:
        x = x * scale_NC.to(x.dtype)[:, :, None, None]
    if noise is not None:
        x = x + (noise * (strength if strength.ndim == 0 else strength[:, None, None])).to(x.dtype)
    if bias_C is not None:
        x = x + bias_C.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
    y = F.leaky_relu(x, SLOPE)
    y = y if gain == 1 else y * gain
    return y if limit is None else F.hardtanh(y, -limit, limit)


def _plain(x, scale_NC, noise, strength, bias_C, gain: float, limit: float | None, x_gain: float) -> Tensor:
    """The same for what has gradients of its own: each step after the first one is made in place."""
    x = x if x_gain == 1 else x * x_gain
    if scale_NC is not None:
        x = x * scale_NC.to(x.dtype)[:, :, None, None]
    if noise is not None:
        x = x + (noise * (strength if strength.ndim == 0 else strength[:, None, None])).to(x.dtype)
    if bias_C is None:
        y = F.leaky_relu(x, SLOPE)
    else:
        y = F.leaky_relu_(x + bias_C.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2)), SLOPE)
    y = y if gain == 1 else y.mul_(gain)
    return y if limit is None else F.hardtanh_(y, -limit, limit)


def _of_strength(slope_NCHW: Tensor, noise: Tensor, strength: Tensor) -> Tensor:
    if strength.ndim == 0:
        return (slope_NCHW.sum(1, keepdim=True).to(noise.dtype) * noise).sum().to(strength.dtype)
    return (slope_NCHW * noise.to(slope_NCHW.dtype)).sum((0, 2, 3)).to(strength.dtype)


def _fused_gradients(ctx, g, slopes, x, scale_NC, noise, strength):
    gain = ctx.gain * ctx.x_gain
    g, x = dense(g, ctx.layout), None if x is None else dense(x, ctx.layout)
    gradient, sums_3NC = torch.ops.understudy.activate_backward(g, slopes, x, scale_NC, noise, gain)
    gradient_bias = ctx.bias_dtype and _over(sums_3NC[0].sum(0), ctx.x_gain).to(ctx.bias_dtype)
    gradient_scale = None if scale_NC is None else sums_3NC[1].to(scale_NC.dtype)
    gradient_strength = None
    if noise is not None:
        sums_NC = sums_3NC[2]
        gradient_strength = (sums_NC.sum() if strength.ndim == 0 else sums_NC.sum(0)).to(strength.dtype)
    return gradient, gradient_scale, None, gradient_strength, gradient_bias, *[None] * 4
