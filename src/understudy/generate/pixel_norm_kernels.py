"""The kernels of pixel_norm.py. Imported when the first one runs, as this imports Triton.

A program takes some pixels of one image, in either layout: sums over channels, then a second look at the channels,
which the cache still has.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .kernels import SLOPE, sizes
from .layout import layout_of
from .pixel_norm import NORM_EPSILON, PIXELS

_SLOPE = tl.constexpr(SLOPE)
_EPSILON = tl.constexpr(NORM_EPSILON)
CHANNELS = 16  # of a tile
CHANNELS_LAST = 32  # where they are neighbours in memory


@triton.jit
def _activated(x_ptr, bias_ptr, at, c, C, inside, limit, x_gain, ACTIVE: tl.constexpr):
    """(the activation of a tile, its slopes); without one, the tile and 1."""
    t = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    slope = tl.where(inside, 1.0, 0.0)
    if ACTIVE:
        bias = tl.load(bias_ptr + c, mask=c < C, other=0.0).to(tl.float32)
        t = tl.where(inside, t * x_gain + bias[:, None], 0.0)
        slope = tl.where(t > 0, 1.0, _SLOPE)
        t = t * slope
        slope = tl.where(tl.abs(t) >= limit, 0.0, slope)
        t = tl.where(t > limit, limit, tl.where(t < -limit, -limit, t))  # a NaN stays one
    return t, slope


@triton.jit
def _kernel(
    x_ptr, bias_ptr, y_ptr, C, P, c_stride, p_stride, limit, x_gain,
    ACTIVE: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr
):  # fmt: skip
    image = tl.program_id(0).to(tl.int64) * C * P
    p = tl.program_id(1) * PB + tl.arange(0, PB)
    squares = tl.zeros((CB, PB), tl.float32)
    for first in range(0, C, CB):
        c = first + tl.arange(0, CB)
        at = image + c[:, None] * c_stride + p[None, :] * p_stride
        inside = (c < C)[:, None] & (p < P)[None, :]
        t, _ = _activated(x_ptr, bias_ptr, at, c, C, inside, limit, x_gain, ACTIVE)
        squares += t * t
    r = 1 / tl.sqrt(tl.sum(squares, 0) / C + _EPSILON)
    for first in range(0, C, CB):
        c = first + tl.arange(0, CB)
        at = image + c[:, None] * c_stride + p[None, :] * p_stride
        inside = (c < C)[:, None] & (p < P)[None, :]
        t, _ = _activated(x_ptr, bias_ptr, at, c, C, inside, limit, x_gain, ACTIVE)
        tl.store(y_ptr + at, (t * r[None, :]).to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(
    g_ptr, x_ptr, bias_ptr, out_ptr, sums_ptr, C, P, c_stride, p_stride, limit, x_gain,
    ACTIVE: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(0).to(tl.int64) * C * P
    p = tl.program_id(1) * PB + tl.arange(0, PB)
    squares = tl.zeros((CB, PB), tl.float32)
    along = tl.zeros((CB, PB), tl.float32)
    for first in range(0, C, CB):
        c = first + tl.arange(0, CB)
        at = image + c[:, None] * c_stride + p[None, :] * p_stride
        inside = (c < C)[:, None] & (p < P)[None, :]
        t, _ = _activated(x_ptr, bias_ptr, at, c, C, inside, limit, x_gain, ACTIVE)
        squares += t * t
        along += t * tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
    r = 1 / tl.sqrt(tl.sum(squares, 0) / C + _EPSILON)
    pulled = tl.sum(along, 0) / C * r * r
    for first in range(0, C, CB):
        c = first + tl.arange(0, CB)
        at = image + c[:, None] * c_stride + p[None, :] * p_stride
        inside = (c < C)[:, None] & (p < P)[None, :]
        t, slope = _activated(x_ptr, bias_ptr, at, c, C, inside, limit, x_gain, ACTIVE)
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        g = (g - t * pulled[None, :]) * r[None, :] * slope
        tl.store(out_ptr + at, (g * x_gain).to(out_ptr.dtype.element_ty), mask=inside)
        if ACTIVE:
            at_sum = (tl.program_id(0).to(tl.int64) * C + c) * tl.num_programs(1) + tl.program_id(1)
            tl.store(sums_ptr + at_sum, tl.sum(tl.where(inside, g, 0.0), 1), mask=c < C)


def _launch(x: Tensor) -> tuple[tuple[int, int], tuple[int, ...], dict[str, int]]:
    """Grid; channels, pixels and their strides; tile."""
    N, C, P = sizes(x)
    last = layout_of(x) == torch.channels_last
    strides = (1, C) if last else (P, 1)
    return (N, triton.cdiv(P, PIXELS)), (C, P, *strides), {"CB": CHANNELS_LAST if last else CHANNELS, "PB": PIXELS}


def pixel_norm(x: Tensor, bias: Tensor | None, limit: float, x_gain: float, y: Tensor) -> Tensor:
    (grid, maps, tile), active = _launch(x), bias is not None
    _kernel[grid](x, bias if active else x, y, *maps, limit, x_gain, ACTIVE=active, **tile)
    return y


def pixel_norm_backward(g, x, bias: Tensor | None, limit: float, x_gain: float, out: Tensor, sums: Tensor):
    (grid, maps, tile), active = _launch(x), bias is not None
    _backward_kernel[grid](g, x, bias if active else x, out, sums, *maps, limit, x_gain, ACTIVE=active, **tile)
    return out, sums
