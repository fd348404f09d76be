"""The kernels of adain.py. Imported when the first one runs, as this imports Triton.

Each map is read twice: for the sums over its pixels, and for its values. In planes, a program takes one map, or several
small ones, and the second read comes from the cache. With channels last, a program would have to take a whole image,
and there would be too few programs. So each takes a chunk of the pixels, and the two reads are two kernels.
"""

import triton
import triton.language as tl
from torch import Tensor

from .adain import EPSILON
from .kernels import SLOPE
from .triton_kernels import Tiling, _at, _channels, _of_channel, _of_row, _store_sum

_SLOPE = tl.constexpr(SLOPE)
_EPSILON = tl.constexpr(EPSILON)


@triton.jit
def _activated(x_ptr, noise_ptr, n, c, p, inside, C, P, channel_stride, pixel_stride, strength, bias, limit):
    """(t, its slopes, noise)."""
    at = _at(n, c, p, C, P, channel_stride, pixel_stride)
    x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    noise = tl.load(noise_ptr + n * P + p, mask=p < P, other=0.0).to(tl.float32)[None, :]
    t = x + strength * noise + bias
    slope = tl.where(t > 0, 1.0, _SLOPE)
    t = t * slope
    slope = tl.where(tl.abs(t) >= limit, 0.0, slope)
    return tl.where(t > limit, limit, tl.where(t < -limit, -limit, t)), slope, noise  # a NaN stays one


# ------------------------------------------------------------------------------------------------ value
@triton.jit
def _styled_kernel(
    x_ptr, noise_ptr, strength_ptr, bias_ptr, factor_ptr, shift_ptr, y_ptr, statistics_ptr, parts_ptr, C, P,
    channel_stride, pixel_stride, chunk, limit, FIRST: tl.constexpr, SECOND: tl.constexpr,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    """The FIRST look, the SECOND, or both of a program that has all pixels. Sums are around the first pixel's value,
    so that squares do not cancel."""
    n, c = _channels(C, CB)
    images = tl.num_programs(0) // ((C + CB - 1) // CB)
    row, rows = n * C + c, images.to(tl.int64) * C
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, P)
    strength, bias = _of_channel(strength_ptr, c, C, 1), _of_channel(bias_ptr, c, C, 1)
    if FIRST:
        at_pivot = begin + tl.zeros((1,), tl.int32)
        pivot, _slope, _noise = _activated(  # names of their own, as a loop's names keep their shapes
            x_ptr, noise_ptr, n, c, at_pivot, (c < C)[:, None], C, P, channel_stride, pixel_stride, strength, bias,
            limit,
        )  # fmt: skip
        total = tl.zeros((CB, PB), tl.float32)
        squares = tl.zeros((CB, PB), tl.float32)
        for first in range(begin, end, PB):
            p = first + tl.arange(0, PB)
            inside = (c < C)[:, None] & (p < end)[None, :]
            t, _, _ = _activated(
                x_ptr, noise_ptr, n, c, p, inside, C, P, channel_stride, pixel_stride, strength, bias, limit
            )
            t = tl.where(inside, t - pivot, 0.0)
            total += t
            squares += t * t
        count = (end - begin).to(tl.float32)
        apart = tl.sum(total, 1) / count
        mean = tl.sum(pivot, 1) + apart
        variance = tl.sum(squares, 1) / count - apart * apart
        if SECOND:
            inverse = 1 / tl.sqrt(variance + _EPSILON)
            tl.store(statistics_ptr + row, mean, mask=c < C)
            tl.store(statistics_ptr + rows + row, inverse, mask=c < C)
        else:
            at = row * tl.num_programs(1) + tl.program_id(1)
            tl.store(parts_ptr + at, mean, mask=c < C)
            tl.store(parts_ptr + rows * tl.num_programs(1) + at, variance, mask=c < C)
    else:
        mean = tl.load(statistics_ptr + row, mask=c < C, other=0.0)
        inverse = tl.load(statistics_ptr + rows + row, mask=c < C, other=0.0)
    if SECOND:
        factor = _of_row(factor_ptr, n, c, C) * inverse[:, None]
        shift = _of_row(shift_ptr, n, c, C)
        for first in range(begin, end, PB):
            p = first + tl.arange(0, PB)
            inside = (c < C)[:, None] & (p < end)[None, :]
            t, _, _ = _activated(
                x_ptr, noise_ptr, n, c, p, inside, C, P, channel_stride, pixel_stride, strength, bias, limit
            )
            y = (t - mean[:, None]) * factor + shift
            at = _at(n, c, p, C, P, channel_stride, pixel_stride)
            tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _statistics_kernel(parts_ptr, out_ptr, rows, P, chunk, K, R: tl.constexpr, KB: tl.constexpr):
    """Mean and 1 / sqrt(variance + epsilon) of maps, of their chunks' means and variances."""
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    k = tl.arange(0, KB)
    inside = (row < rows)[:, None] & (k < K)[None, :]
    at = row[:, None] * K + k[None, :]
    share = tl.where(inside, tl.minimum(chunk, P - k * chunk).to(tl.float32)[None, :] / P, 0.0)
    means = tl.load(parts_ptr + at, mask=inside, other=0.0)
    variances = tl.load(parts_ptr + rows * K + at, mask=inside, other=0.0)
    mean = tl.sum(share * means, 1)
    apart = means - mean[:, None]
    variance = tl.sum(share * (variances + apart * apart), 1)
    tl.store(out_ptr + row, mean, mask=row < rows)
    tl.store(out_ptr + rows + row, 1 / tl.sqrt(variance + _EPSILON), mask=row < rows)


def styled(x, noise, strength, bias, factor, shift, limit: float, y: Tensor, statistics: Tensor):
    maps = Tiling(x)
    parts = maps.parts(statistics)
    inputs = x, noise, strength, bias, factor, shift, y, statistics, parts
    inputs += maps.C, maps.P, *maps.strides, maps.chunk, limit
    if maps.K == 1:
        _styled_kernel[maps.grid_of_chunks](*inputs, FIRST=True, SECOND=True, **maps.tile)
        return y, statistics
    _styled_kernel[maps.grid_of_chunks](*inputs, FIRST=True, SECOND=False, **maps.tile)
    rows, R = maps.N * maps.C, 4
    _statistics_kernel[(triton.cdiv(rows, R),)](
        parts, statistics, rows, maps.P, maps.chunk, maps.K, R=R, KB=triton.next_power_of_2(maps.K)
    )
    _styled_kernel[maps.grid_of_chunks](*inputs, FIRST=False, SECOND=True, **maps.tile)
    return y, statistics


# ------------------------------------------------------------------------------------------------ gradients
@triton.jit
def _styled_backward_kernel(
    g_ptr, x_ptr, noise_ptr, strength_ptr, bias_ptr, factor_ptr, statistics_ptr, out_ptr, sums_ptr, parts_ptr, C, P,
    channel_stride, pixel_stride, chunk, limit, FIRST: tl.constexpr, SECOND: tl.constexpr,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    """Looks as above. Sums are those of factor and shift, which the second look needs, then of bias and strength."""
    n, c = _channels(C, CB)
    images = tl.num_programs(0) // ((C + CB - 1) // CB)
    rows = images.to(tl.int64) * C
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, P)
    strength, bias = _of_channel(strength_ptr, c, C, 1), _of_channel(bias_ptr, c, C, 1)
    mean, inverse = _of_row(statistics_ptr, n, c, C), _of_row(statistics_ptr + rows, n, c, C)
    if FIRST:
        along = tl.zeros((CB, PB), tl.float32)
        total = tl.zeros((CB, PB), tl.float32)
        for first in range(begin, end, PB):
            p = first + tl.arange(0, PB)
            inside = (c < C)[:, None] & (p < end)[None, :]
            t, _, _ = _activated(
                x_ptr, noise_ptr, n, c, p, inside, C, P, channel_stride, pixel_stride, strength, bias, limit
            )
            at = _at(n, c, p, C, P, channel_stride, pixel_stride)
            g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
            along += g * (t - mean) * inverse
            total += g
        sum_along = tl.sum(along, 1)[:, None]
        sum_total = tl.sum(total, 1)[:, None]
        _store_sum(parts_ptr, 0, n, c, C, along, CB)
        _store_sum(parts_ptr, 1, n, c, C, total, CB)
    else:
        sum_along, sum_total = _of_row(sums_ptr, n, c, C), _of_row(sums_ptr + rows, n, c, C)
    if SECOND:
        factor = _of_row(factor_ptr, n, c, C) * inverse
        sum_bias = tl.zeros((CB, PB), tl.float32)
        sum_noise = tl.zeros((CB, PB), tl.float32)
        for first in range(begin, end, PB):
            p = first + tl.arange(0, PB)
            inside = (c < C)[:, None] & (p < end)[None, :]
            t, slope, noise = _activated(
                x_ptr, noise_ptr, n, c, p, inside, C, P, channel_stride, pixel_stride, strength, bias, limit
            )
            at = _at(n, c, p, C, P, channel_stride, pixel_stride)
            g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
            g = factor * (g - sum_total / P - (t - mean) * inverse * sum_along / P) * slope
            g = tl.where(inside, g, 0.0)
            sum_bias += g
            sum_noise += g * noise
            tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)
        _store_sum(parts_ptr, 2, n, c, C, sum_bias, CB)
        _store_sum(parts_ptr, 3, n, c, C, sum_noise, CB)


def styled_backward(g, x, noise, strength, bias, factor, statistics, limit: float, out: Tensor, sums: Tensor):
    maps = Tiling(x)
    parts = maps.parts(sums)
    inputs = g, x, noise, strength, bias, factor, statistics, out, sums, parts
    inputs += maps.C, maps.P, *maps.strides, maps.chunk, limit
    if maps.K == 1:
        _styled_backward_kernel[maps.grid_of_chunks](*inputs, FIRST=True, SECOND=True, **maps.tile)
        return out, sums
    _styled_backward_kernel[maps.grid_of_chunks](*inputs, FIRST=True, SECOND=False, **maps.tile)
    maps.added(parts[:2], sums[:2])
    _styled_backward_kernel[maps.grid_of_chunks](*inputs, FIRST=False, SECOND=True, **maps.tile)
    maps.added(parts[2:], sums[2:])
    return out, sums
