"""The kernels of norms.py. Imported when the first one runs, as this imports Triton.

Each direction looks at its maps twice: for sums, then for values. Programs take some channels and a chunk of the pixels
of one image, whichever way the map lies in memory, so that a GPU is filled and neighbours are read together. Between
the two looks one small kernel adds the chunks up, in one order, so that results do not vary from run to run.
"""

import triton
import triton.language as tl
from torch import Tensor

ENTRIES = 2048  # of a tile
TILES = 16  # of a chunk, at least
CHUNKS = 256  # of a map, at most


@triton.jit
def _entering(x, SLOPE: tl.constexpr):
    return x if SLOPE == 1 else tl.where(x > 0, x, x * SLOPE)


@triton.jit
def _moments_kernel(
    x_ptr, out_ptr, C, P, chunk, channel_stride, pixel_stride,
    SLOPE: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    """Of each channel's chunk the mean and the sum of squares around it. Sums are around one of the entries, which is
    near to the mean by the standard deviation, so that squares do not cancel."""
    n = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * CB + tl.arange(0, CB)
    first = tl.program_id(2) * chunk
    last = tl.minimum(first + chunk, P)
    at = x_ptr + n * C * P + c[:, None] * channel_stride
    at_first = n * C * P + c * channel_stride + first * pixel_stride
    pivot = _entering(tl.load(x_ptr + at_first, mask=c < C, other=0.0).to(tl.float32), SLOPE)
    total = tl.zeros((CB, PB), tl.float32)
    squares = tl.zeros((CB, PB), tl.float32)
    for start in range(first, last, PB):
        p = start + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < last)[None, :]
        t = tl.load(at + p[None, :].to(tl.int64) * pixel_stride, mask=inside, other=0.0).to(tl.float32)
        t = tl.where(inside, _entering(t, SLOPE) - pivot[:, None], 0.0)
        total += t
        squares += t * t
    count = (last - first).to(tl.float32)
    sum_C = tl.sum(total, 1)
    mean = sum_C / count
    around = tl.sum(squares, 1) - sum_C * mean
    out = (n * C + c) * tl.num_programs(2) + tl.program_id(2)
    whole = tl.num_programs(0).to(tl.int64) * C * tl.num_programs(2)
    tl.store(out_ptr + out, pivot + mean, mask=c < C)
    tl.store(out_ptr + whole + out, around, mask=c < C)


@triton.jit
def _statistics_kernel(
    parts_ptr, out_ptr, groups, P, chunk, K, eps, D: tl.constexpr, DB: tl.constexpr, KB: tl.constexpr
):
    """Mean and 1 / sqrt(variance + eps) of a group, of its channels' chunks."""
    at_group = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, DB)
    k = tl.arange(0, KB)
    inside = (d < D)[:, None] & (k < K)[None, :]
    at = (at_group * D + d[:, None]) * K + k[None, :]
    whole = tl.num_programs(0).to(tl.int64) * D * K
    count = tl.where(inside, tl.minimum(chunk, P - k * chunk).to(tl.float32)[None, :], 0.0)
    means = tl.load(parts_ptr + at, mask=inside, other=0.0)
    around = tl.load(parts_ptr + whole + at, mask=inside, other=0.0)
    size = D * P
    mean = tl.sum(tl.sum(count * means, 1), 0) / size
    apart = means - mean
    variance = tl.sum(tl.sum(around + count * apart * apart, 1), 0) / size
    tl.store(out_ptr + at_group, mean)
    tl.store(out_ptr + tl.num_programs(0) + at_group, 1 / tl.sqrt(variance + eps))


@triton.jit
def _per_channel(statistics_ptr, factor_ptr, shift_ptr, n, c, C, groups, factor_n, factor_c, shift_n, shift_c):
    """Mean, inverse deviation, factor and shift of some channels, (CB, 1) each."""
    at_group = n * groups + c // (C // groups)
    images = tl.num_programs(0).to(tl.int64)
    mean = tl.load(statistics_ptr + at_group, mask=c < C, other=0.0)
    inverse = tl.load(statistics_ptr + images * groups + at_group, mask=c < C, other=0.0)
    factor = tl.load(factor_ptr + n * factor_n + c * factor_c, mask=c < C, other=0.0).to(tl.float32)
    shift = tl.load(shift_ptr + n * shift_n + c * shift_c, mask=c < C, other=0.0).to(tl.float32)
    return mean[:, None], inverse[:, None], factor[:, None], shift[:, None]


@triton.jit
def _values_kernel(
    x_ptr, statistics_ptr, factor_ptr, shift_ptr, y_ptr, C, P, groups, chunk, channel_stride, pixel_stride,
    factor_n, factor_c, shift_n, shift_c, SLOPE: tl.constexpr, SILU: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * CB + tl.arange(0, CB)
    first = tl.program_id(2) * chunk
    last = tl.minimum(first + chunk, P)
    mean, inverse, factor, shift = _per_channel(
        statistics_ptr, factor_ptr, shift_ptr, n, c, C, groups, factor_n, factor_c, shift_n, shift_c
    )
    for start in range(first, last, PB):
        p = start + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = n * C * P + c[:, None] * channel_stride + p[None, :].to(tl.int64) * pixel_stride
        t = _entering(tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32), SLOPE)
        y = (t - mean) * inverse * factor + shift
        if SILU:
            y = y * tl.sigmoid(y)
        tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _loaded(ptr, n, c, p, inside, image_stride, channel_stride, pixel_stride):
    at = n * image_stride + c[:, None] * channel_stride + p[None, :].to(tl.int64) * pixel_stride
    return tl.load(ptr + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _before_act(g, normal, factor, shift, SILU: tl.constexpr):
    """The gradient of what SiLU was applied to; 0 outside."""
    if SILU:
        y = normal * factor + shift
        s = tl.sigmoid(y)
        g = g * s * (1 + y * (1 - s))
    return g


@triton.jit
def _sums_kernel(
    g_ptr, again_ptr, x_ptr, statistics_ptr, factor_ptr, shift_ptr, out_ptr, C, P, groups, chunk,
    channel_stride, pixel_stride, factor_n, factor_c, shift_n, shift_c, g_n, g_c, g_p, again_n, again_c, again_p,
    SLOPE: tl.constexpr, SILU: tl.constexpr, AGAIN: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    """Of each channel's chunk: the sums of gradient times normal value, and of the gradient."""
    n = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * CB + tl.arange(0, CB)
    first = tl.program_id(2) * chunk
    last = tl.minimum(first + chunk, P)
    mean, inverse, factor, shift = _per_channel(
        statistics_ptr, factor_ptr, shift_ptr, n, c, C, groups, factor_n, factor_c, shift_n, shift_c
    )
    along = tl.zeros((CB, PB), tl.float32)
    total = tl.zeros((CB, PB), tl.float32)
    for start in range(first, last, PB):
        p = start + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = n * C * P + c[:, None] * channel_stride + p[None, :].to(tl.int64) * pixel_stride
        normal = _entering(tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32), SLOPE)
        normal = (normal - mean) * inverse
        g = _loaded(g_ptr, n, c, p, inside, g_n, g_c, g_p)
        if AGAIN:
            g += _loaded(again_ptr, n, c, p, inside, again_n, again_c, again_p)
        g = _before_act(g, normal, factor, shift, SILU)
        along += g * normal
        total += g
    out = (n * C + c) * tl.num_programs(2) + tl.program_id(2)
    whole = tl.num_programs(0).to(tl.int64) * C * tl.num_programs(2)
    tl.store(out_ptr + out, tl.sum(along, 1), mask=c < C)
    tl.store(out_ptr + whole + out, tl.sum(total, 1), mask=c < C)


@triton.jit
def _sums_of_groups_kernel(
    parts_ptr, factor_ptr, sums_ptr, means_ptr, groups, P, K, factor_n, factor_c,
    D: tl.constexpr, DB: tl.constexpr, KB: tl.constexpr,
):  # fmt: skip
    """The sums of a group's channels, and the means over the group of these times the factor."""
    at_group = tl.program_id(0).to(tl.int64)
    n, group = at_group // groups, at_group % groups
    d = tl.arange(0, DB)
    k = tl.arange(0, KB)
    inside = (d < D)[:, None] & (k < K)[None, :]
    factor = tl.load(factor_ptr + n * factor_n + (group * D + d) * factor_c, mask=d < D, other=0.0).to(tl.float32)
    channels = tl.num_programs(0).to(tl.int64) * D
    for which in tl.static_range(2):
        at = (which * channels + at_group * D + d[:, None]) * K + k[None, :]
        total = tl.sum(tl.load(parts_ptr + at, mask=inside, other=0.0), 1)
        tl.store(sums_ptr + which * channels + at_group * D + d, total, mask=d < D)
        tl.store(means_ptr + which * tl.num_programs(0) + at_group, tl.sum(total * factor, 0) / (D * P))


@triton.jit
def _gradients_kernel(
    g_ptr, again_ptr, g_x_ptr, x_ptr, statistics_ptr, means_ptr, factor_ptr, shift_ptr, out_ptr, C, P, groups, chunk,
    channel_stride, pixel_stride, factor_n, factor_c, shift_n, shift_c, g_n, g_c, g_p, again_n, again_c, again_p,
    g_x_n, g_x_c, g_x_p, SLOPE: tl.constexpr, SILU: tl.constexpr, AGAIN: tl.constexpr, MORE: tl.constexpr,
    CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * CB + tl.arange(0, CB)
    first = tl.program_id(2) * chunk
    last = tl.minimum(first + chunk, P)
    mean, inverse, factor, shift = _per_channel(
        statistics_ptr, factor_ptr, shift_ptr, n, c, C, groups, factor_n, factor_c, shift_n, shift_c
    )
    along, pulled, _, _ = _per_channel(
        means_ptr, factor_ptr, shift_ptr, n, c, C, groups, factor_n, factor_c, shift_n, shift_c
    )
    for start in range(first, last, PB):
        p = start + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < last)[None, :]
        at = n * C * P + c[:, None] * channel_stride + p[None, :].to(tl.int64) * pixel_stride
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        normal = (_entering(x, SLOPE) - mean) * inverse
        g = _loaded(g_ptr, n, c, p, inside, g_n, g_c, g_p)
        if AGAIN:
            g += _loaded(again_ptr, n, c, p, inside, again_n, again_c, again_p)
        g = _before_act(g, normal, factor, shift, SILU)
        g = inverse * (g * factor - pulled - normal * along)
        if SLOPE != 1:
            g = tl.where(x > 0, g, g * SLOPE)
        if MORE:
            g += _loaded(g_x_ptr, n, c, p, inside, g_x_n, g_x_c, g_x_p)
        tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)


class _Launch:
    """Grid, tile and strides for a map."""

    def __init__(self, x: Tensor, groups: int):
        self.N, self.C = x.shape[:2]
        self.P, self.D = x[0, 0].numel(), self.C // groups  # D: channels of a group
        planes = x.is_contiguous()
        self.strides = (self.P, 1) if planes else (1, self.C)
        if planes:
            PB = min(triton.next_power_of_2(self.P), ENTRIES)
            CB = min(ENTRIES // PB, triton.next_power_of_2(self.C))
        else:
            CB = min(triton.next_power_of_2(self.C), 64)
            PB = min(ENTRIES // CB, triton.next_power_of_2(self.P))
        self.tile = {"CB": CB, "PB": PB}
        self.chunk = PB * max(TILES, triton.cdiv(self.P, PB * CHUNKS))
        self.K = triton.cdiv(self.P, self.chunk)
        self.grid = (self.N, triton.cdiv(self.C, CB), self.K)
        self.per_group = {"D": self.D, "DB": triton.next_power_of_2(self.D), "KB": triton.next_power_of_2(self.K)}

    def parts(self, like: Tensor) -> Tensor:
        return like.new_empty((2, self.N, self.C, self.K))


def norm(x, factor, shift, groups: int, eps: float, slope: float, silu: bool, y: Tensor, statistics: Tensor):
    at = _Launch(x, groups)
    C, P, chunk, strides = at.C, at.P, at.chunk, at.strides
    parts = at.parts(statistics)
    _moments_kernel[at.grid](x, parts, C, P, chunk, *strides, SLOPE=slope, **at.tile)
    _statistics_kernel[(at.N * groups,)](parts, statistics, groups, P, chunk, at.K, eps, **at.per_group)
    _values_kernel[at.grid](
        x, statistics, factor, shift, y, C, P, groups, chunk, *strides, *factor.stride(), *shift.stride(),
        SLOPE=slope, SILU=silu, **at.tile,
    )  # fmt: skip
    return y, statistics


def _strides(g_NCHW: Tensor) -> tuple[int, int, int]:
    """Of images, channels and pixels."""
    return g_NCHW.stride(0), g_NCHW.stride(1), g_NCHW.stride(3)


def norm_backward(g, again, g_x, x, factor, shift, statistics, groups: int, slope: float, silu: bool, out, sums):
    at = _Launch(x, groups)
    of_map = (at.C, at.P, groups, at.chunk, *at.strides, *factor.stride(), *shift.stride())
    parts, means = at.parts(sums), statistics.new_empty(statistics.shape)
    acts = {"SLOPE": slope, "SILU": silu, "AGAIN": again is not None}
    again, g_x, more = g if again is None else again, g if g_x is None else g_x, g_x is not None
    of_gradients = (*_strides(g), *_strides(again))
    _sums_kernel[at.grid](g, again, x, statistics, factor, shift, parts, *of_map, *of_gradients, **acts, **at.tile)
    _sums_of_groups_kernel[(at.N * groups,)](
        parts, factor, sums, means, groups, at.P, at.K, *factor.stride(), **at.per_group
    )
    _gradients_kernel[at.grid](
        g, again, g_x, x, statistics, means, factor, shift, out, *of_map, *of_gradients, *_strides(g_x), **acts,
        MORE=more, **at.tile,
    )  # fmt: skip
    return out, sums
