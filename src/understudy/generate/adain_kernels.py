"""The kernels of adain.py. Imported when the first one runs, as this imports Triton.

A program takes a map, or several small ones: sums over its pixels, then a second look, which the cache still has.
"""

import triton
import triton.language as tl
from torch import Tensor

from .adain import EPSILON
from .kernels import SLOPE, rows_of
from .triton_kernels import tile_of

_SLOPE = tl.constexpr(SLOPE)
_EPSILON = tl.constexpr(EPSILON)


@triton.jit
def _activated(x_ptr, noise_ptr, row, p, inside, C, P, strength, bias, limit):
    """(t, its slopes, noise)."""
    x = tl.load(x_ptr + row[:, None] * P + p[None, :], mask=inside, other=0.0).to(tl.float32)
    noise = tl.load(noise_ptr + (row // C * P)[:, None] + p[None, :], mask=inside, other=0.0).to(tl.float32)
    t = x + strength[:, None] * noise + bias[:, None]
    slope = tl.where(t > 0, 1.0, _SLOPE)
    t = t * slope
    slope = tl.where(tl.abs(t) >= limit, 0.0, slope)
    return tl.where(t > limit, limit, tl.where(t < -limit, -limit, t)), slope, noise  # a NaN stays one


@triton.jit
def _of_channel(strength_ptr, bias_ptr, row, rows, C):
    strength = tl.load(strength_ptr + row % C, mask=row < rows, other=0.0).to(tl.float32)
    return strength, tl.load(bias_ptr + row % C, mask=row < rows, other=0.0).to(tl.float32)


@triton.jit
def _styled_kernel(
    x_ptr, noise_ptr, strength_ptr, bias_ptr, factor_ptr, shift_ptr, y_ptr, statistics_ptr, rows, C, P, limit,
    R: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """Sums are around the first pixel's value, so that squares do not cancel."""
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    strength, bias = _of_channel(strength_ptr, bias_ptr, row, rows, C)
    first_pixel = tl.zeros((1,), tl.int32)
    pivot, _, _ = _activated(x_ptr, noise_ptr, row, first_pixel, (row < rows)[:, None], C, P, strength, bias, limit)
    total = tl.zeros((R, B), tl.float32)
    squares = tl.zeros((R, B), tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        t, _, _ = _activated(x_ptr, noise_ptr, row, p, inside, C, P, strength, bias, limit)
        t = tl.where(inside, t - pivot, 0.0)
        total += t
        squares += t * t
    apart = tl.sum(total, 1) / P
    mean = tl.sum(pivot, 1) + apart
    inverse = 1 / tl.sqrt(tl.sum(squares, 1) / P - apart * apart + _EPSILON)
    tl.store(statistics_ptr + row, mean, mask=row < rows)
    tl.store(statistics_ptr + rows + row, inverse, mask=row < rows)
    factor = inverse * tl.load(factor_ptr + row, mask=row < rows, other=0.0).to(tl.float32)
    shift = tl.load(shift_ptr + row, mask=row < rows, other=0.0).to(tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        t, _, _ = _activated(x_ptr, noise_ptr, row, p, inside, C, P, strength, bias, limit)
        y = (t - mean[:, None]) * factor[:, None] + shift[:, None]
        tl.store(y_ptr + row[:, None] * P + p[None, :], y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _styled_backward_kernel(
    g_ptr, x_ptr, noise_ptr, strength_ptr, bias_ptr, factor_ptr, statistics_ptr, out_ptr, sums_ptr, rows, C, P, limit,
    R: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    strength, bias = _of_channel(strength_ptr, bias_ptr, row, rows, C)
    mean = tl.load(statistics_ptr + row, mask=row < rows, other=0.0)[:, None]
    inverse = tl.load(statistics_ptr + rows + row, mask=row < rows, other=0.0)[:, None]
    along = tl.zeros((R, B), tl.float32)
    total = tl.zeros((R, B), tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        t, _, _ = _activated(x_ptr, noise_ptr, row, p, inside, C, P, strength, bias, limit)
        g = tl.load(g_ptr + row[:, None] * P + p[None, :], mask=inside, other=0.0).to(tl.float32)
        along += g * (t - mean) * inverse
        total += g
    sum_along = tl.sum(along, 1)
    sum_total = tl.sum(total, 1)
    factor = tl.load(factor_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None] * inverse
    sum_bias = tl.zeros((R, B), tl.float32)
    sum_noise = tl.zeros((R, B), tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        t, slope, noise = _activated(x_ptr, noise_ptr, row, p, inside, C, P, strength, bias, limit)
        at = row[:, None] * P + p[None, :]
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        normal = (t - mean) * inverse
        g = factor * (g - sum_total[:, None] / P - normal * sum_along[:, None] / P) * slope
        g = tl.where(inside, g, 0.0)
        sum_bias += g
        sum_noise += g * noise
        tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)
    tl.store(sums_ptr + row, sum_along, mask=row < rows)
    tl.store(sums_ptr + rows + row, sum_total, mask=row < rows)
    tl.store(sums_ptr + 2 * rows + row, tl.sum(sum_bias, 1), mask=row < rows)
    tl.store(sums_ptr + 3 * rows + row, tl.sum(sum_noise, 1), mask=row < rows)


def styled(x, noise, strength, bias, factor, shift, limit: float, y: Tensor, statistics: Tensor):
    rows, C, P = rows_of(x)
    tile = tile_of(P)
    _styled_kernel[(triton.cdiv(rows, tile["R"]),)](
        x, noise, strength, bias, factor, shift, y, statistics, rows, C, P, limit, **tile
    )
    return y, statistics


def styled_backward(g, x, noise, strength, bias, factor, statistics, limit: float, out: Tensor, sums: Tensor):
    rows, C, P = rows_of(x)
    tile = tile_of(P)
    _styled_backward_kernel[(triton.cdiv(rows, tile["R"]),)](
        g, x, noise, strength, bias, factor, statistics, out, sums, rows, C, P, limit, **tile
    )
    return out, sums
