"""Convolution whose gradients of every order are convolutions.

A convolution is linear in its maps and in its weights, and so are its two gradients. Each of the three Functions below
has the other two as its gradients, and keeps and reads only what the requested gradients need. PyTorch's
convolution keeps the maps even if the weights take no gradient. It also differentiates the gradient of a grouped
convolution (for R1 and R2) group by group, with dozens of small operations a layer.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels
from .first_gradient import of_parameters
from .layout import dense, layout_of


class Geometry(NamedTuple):
    stride: int
    padding: int
    groups: int = 1
    transposed: bool = False


def conv(x_NIHW: Tensor, w_OIKK: Tensor, *, padding: int = 0, stride: int = 1) -> Tensor:
    """F.conv2d, which is what a CPU takes where the weights want a gradient."""
    if w_OIKK.requires_grad and not kernels.fused(x_NIHW):
        return F.conv2d(x_NIHW, w_OIKK, padding=padding, stride=stride)
    return _Conv.apply(x_NIHW, w_OIKK, Geometry(stride, padding))


def grouped_conv(x_NIHW: Tensor, w_OIKK: Tensor, groups: int = 1) -> Tensor:
    """The same size, zeros outside. w is (O, I / groups, K, K), K odd.

    A CPU takes maps with channels last, which is two to three times as fast where there are few of them; on a GPU
    precision.py decides.
    """
    if x_NIHW.device.type == "cpu":
        x_NIHW, w_OIKK = (t.contiguous(memory_format=torch.channels_last) for t in (x_NIHW, w_OIKK))
    return _Conv.apply(x_NIHW, w_OIKK, Geometry(1, w_OIKK.shape[2] // 2, groups))


def gradients(g: Tensor, x: Tensor, w: Tensor, at: Geometry, wanted: list[bool]) -> tuple[Tensor | None, ...]:
    """Of maps and of weights, those that are wanted, and None: one operation."""
    stride, padding = [at.stride] * 2, [at.padding] * 2
    return torch.ops.aten.convolution_backward(
        g, x, w, None, stride, padding, [1, 1], at.transposed, [0, 0], at.groups, [*wanted, False]
    )


def _laid(g: Tensor, layout: torch.memory_format) -> Tensor:
    """On a CPU, a gradient as its maps lie: a leaky ReLU takes twenty times as long for two layouts as for one."""
    return dense(g, layout) if g.device.type == "cpu" else g


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, w: Tensor, at: Geometry) -> Tensor:
        form = F.conv_transpose2d if at.transposed else F.conv2d
        return form(x, w, stride=at.stride, padding=at.padding, groups=at.groups)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, w, ctx.at = inputs
        ctx.x_shape, ctx.w_shape, ctx.layout = x.shape, w.shape, layout_of(x)
        x_wanted, w_wanted, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if w_wanted else None, w if x_wanted else None)

    @staticmethod
    def backward(ctx, g: Tensor):
        (x, w), g = ctx.saved_tensors, _laid(g, ctx.layout)
        w_wanted = x is not None and of_parameters()
        if w is not None and w_wanted and kernels.fused(g) and not torch.is_grad_enabled():  # one operation
            return *gradients(g, x, w, ctx.at, [True, True])[:2], None
        gradient_x = None if w is None else of_maps(g, w, ctx.x_shape, ctx.at)
        return gradient_x, of_weights(g, x, ctx.w_shape, ctx.at) if w_wanted else None, None


def of_maps(g: Tensor, w: Tensor, x_shape: torch.Size, at: Geometry) -> Tensor:
    """The gradient by x of a convolution of x with w, where g is that of its result."""
    return _OfMaps.apply(g, w, x_shape, at)


def of_weights(g: Tensor, x: Tensor, w_shape: torch.Size, at: Geometry) -> Tensor:
    """The gradient by w."""
    return _OfWeights.apply(g, x, w_shape, at)


class _OfMaps(torch.autograd.Function):
    """The gradient by x, linear in g and in w."""

    @staticmethod
    def forward(g: Tensor, w: Tensor, x_shape: torch.Size, at: Geometry) -> Tensor:
        if g.device.type == "cpu":  # the result lies as it does
            x = torch.empty(x_shape, dtype=g.dtype, memory_format=layout_of(g))
        else:
            x = g.new_empty(1).expand(x_shape)  # its shape is asked for, not what is in it
        return gradients(g, x, w, at, [True, False])[0]

    @staticmethod
    def setup_context(ctx, inputs, output):
        g, w, _, ctx.at = inputs
        ctx.w_shape, ctx.layout = w.shape, layout_of(g)
        g_wanted, w_wanted, *_ = ctx.needs_input_grad
        ctx.save_for_backward(g if w_wanted else None, w if g_wanted else None)

    @staticmethod
    def backward(ctx, h: Tensor):
        (g, w), h = ctx.saved_tensors, _laid(h, ctx.layout)
        gradient_g = None if w is None else _Conv.apply(h, w, ctx.at)
        wanted = g is not None and of_parameters()
        return gradient_g, _OfWeights.apply(g, h, ctx.w_shape, ctx.at) if wanted else None, None, None


class _OfWeights(torch.autograd.Function):
    """The gradient by w, linear in g and in x."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, w_shape: torch.Size, at: Geometry) -> Tensor:
        w = g.new_empty(1).expand(w_shape)
        return gradients(g, x, w, at, [False, True])[1]

    @staticmethod
    def setup_context(ctx, inputs, output):
        g, x, _, ctx.at = inputs
        ctx.save_for_backward(g, x)

    @staticmethod
    def backward(ctx, v: Tensor):
        g, x = ctx.saved_tensors
        g_wanted, x_wanted, *_ = ctx.needs_input_grad
        gradient_g = _Conv.apply(x, v, ctx.at) if g_wanted else None
        return gradient_g, _OfMaps.apply(g, v, x.shape, ctx.at) if x_wanted else None, None, None
