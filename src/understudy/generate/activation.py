"""The activation of all GANs: scale, noise, bias, leaky ReLU, gain and limit as one function with gradients of every
order.

    y = limit(gain * leaky_relu(scale * x + strength * noise + bias))

It is piecewise linear in x, so that its slopes follow from its output: nothing else is kept for the backward pass, but
for x where a scale wants its gradient. On a GPU the value is one kernel, and so are the slopes with all sums that the
gradients of scale, strength and bias need. Where a gradient is differentiated again (R1, gradient penalty, path
length), the same formulas run as operations that can be, around one kernel of slopes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels
from .first_gradient import of_parameters
from .kernels import SLOPE, UNLIMITED
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
) -> Tensor:
    """The formula above; x is (N, C) or (N, C, H, W).

    Args:
        limit: of the output's size.
        noise_N1HW: numbers without a gradient, of each image or (H, W) of all.
        strength: of the noise, one number or (C,).
    """
    limit = None if limit is None else representable(limit, x_NC.dtype)
    if x_NC.device.type == "cpu" and not kernels.fused(x_NC):  # small maps wait longer for Python than for passes
        return composed(x_NC, scale_NC, noise_N1HW, strength, bias_C, gain, limit)
    return _Activation.apply(x_NC, scale_NC, noise_N1HW, strength, bias_C, gain, limit)


def representable(limit: float, dtype: torch.dtype) -> float:
    """The nearest number of the type: what is limited to it compares as equal to it, in any type."""
    mantissa, exponent = math.frexp(limit)
    bits = _BITS.get(dtype, 53)
    return math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)


class _Activation(torch.autograd.Function):
    @staticmethod
    def forward(x, scale_NC, noise, strength, bias_C, gain: float, limit: float | None) -> Tensor:
        if kernels.fused(x):
            limit = UNLIMITED if limit is None else limit
            return torch.ops.understudy.activate(x.contiguous(), scale_NC, noise, strength, bias_C, gain, limit)
        return _plain(x, scale_NC, noise, strength, bias_C, gain, limit)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, scale_NC, noise, strength, bias_C, ctx.gain, ctx.limit = inputs
        ctx.bias_dtype = None if bias_C is None else bias_C.dtype
        scaled = None if scale_NC is None else x
        ctx.save_for_backward(output, scaled, scale_NC, noise, strength)

    @staticmethod
    def backward(ctx, g: Tensor):
        y, x, scale_NC, noise, strength = ctx.saved_tensors
        if kernels.fused(g) and g.ndim == 4 and not torch.is_grad_enabled():
            return _fused_gradients(ctx, g, y, x, scale_NC, noise, strength)
        slope = _Slopes.apply(g, y, ctx.gain, ctx.limit)
        gradient_bias = gradient_strength = None
        if ctx.bias_dtype and of_parameters():
            gradient_bias = slope.sum([0, *range(2, g.ndim)], dtype=ctx.bias_dtype)
        if noise is not None and of_parameters():
            gradient_strength = _of_strength(slope, noise, strength)
        if scale_NC is None:
            return slope, None, None, gradient_strength, gradient_bias, None, None
        gradient, gradient_scale = scale_gradients(slope, x, scale_NC)
        return gradient, gradient_scale, None, gradient_strength, gradient_bias, None, None


class _Slopes(torch.autograd.Function):
    """g times the slopes of the activation whose output is y: linear in g, constant in y but at its kinks."""

    @staticmethod
    def forward(g: Tensor, y: Tensor, gain: float, limit: float | None) -> Tensor:
        if kernels.fused(g):
            limit = UNLIMITED if limit is None else limit
            return torch.ops.understudy.slopes(g.contiguous(), y.contiguous(), gain, limit)
        if limit is not None:
            g = torch.ops.aten.hardtanh_backward(g, y, -limit, limit)
        return torch.ops.aten.leaky_relu_backward(g if gain == 1 else g * gain, y, SLOPE, True)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.gain, ctx.limit = inputs[2:]
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, h: Tensor):
        return _Slopes.apply(h, *ctx.saved_tensors, ctx.gain, ctx.limit), None, None, None


def composed(x, scale_NC, noise, strength, bias_C, gain: float, limit: float | None) -> Tensor:
    """Step by step, with PyTorch's own gradients."""
    if scale_NC is not None:
        x = x * scale_NC.to(x.dtype)[:, :, None, None]
    if noise is not None:
        x = x + (noise * (strength if strength.ndim == 0 else strength[:, None, None])).to(x.dtype)
    if bias_C is not None:
        x = x + bias_C.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
    y = F.leaky_relu(x, SLOPE)
    y = y if gain == 1 else y * gain
    return y if limit is None else F.hardtanh(y, -limit, limit)


def _plain(x, scale_NC, noise, strength, bias_C, gain: float, limit: float | None) -> Tensor:
    """The same for what has gradients of its own: each step after the first one is made in place."""
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


def _fused_gradients(ctx, g, y, x, scale_NC, noise, strength):
    limit = UNLIMITED if ctx.limit is None else ctx.limit
    gradient, sums_3NC = torch.ops.understudy.activate_backward(g.contiguous(), y, x, scale_NC, noise, ctx.gain, limit)
    gradient_bias = ctx.bias_dtype and sums_3NC[0].sum(0).to(ctx.bias_dtype)
    gradient_scale = None if scale_NC is None else sums_3NC[1].to(scale_NC.dtype)
    gradient_strength = None
    if noise is not None:
        sums_NC = sums_3NC[2]
        gradient_strength = (sums_NC.sum() if strength.ndim == 0 else sums_NC.sum(0)).to(strength.dtype)
    return gradient, gradient_scale, None, gradient_strength, gradient_bias, None, None
