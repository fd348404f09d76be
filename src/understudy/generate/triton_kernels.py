"""The code of the kernels that kernels.py declares. Imported when the first one runs, as this imports Triton.

A program takes some channels of one image and some of their pixels, in either layout, and reads neighbours in memory
together. To sum over the pixels of maps in planes, a program takes all pixels of a map. With channels last there would
be too few such programs, so each takes a chunk. Their sums are added up afterwards in a fixed order, so results do not
vary.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .kernels import SLOPE, sizes
from .layout import layout_of

ENTRIES = 1024  # of a tile: of one row of a large map, of several small ones, or of some pixels with their channels
CHANNELS = 64  # of a tile with channels last, at most
TILES, CHUNKS = 16, 256  # of a chunk with channels last at least; of a map at most
_SLOPE = tl.constexpr(SLOPE)


class Tiling:
    """Of maps (N, C, H, W) or (N, C) without gaps: tile, strides and grids for a kernel."""

    def __init__(self, x: Tensor):
        self.N, self.C, self.P = sizes(x)
        last = layout_of(x) == torch.channels_last
        self.strides = (1, self.C) if last else (self.P, 1)  # of channels, of pixels
        if last:
            CB = min(max(triton.next_power_of_2(self.C), 4), CHANNELS)  # whole bytes of slopes
            PB = min(max(ENTRIES // CB, 1), triton.next_power_of_2(self.P))
            self.chunk = PB * max(TILES, triton.cdiv(self.P, PB * CHUNKS))
        else:
            PB = min(max(triton.next_power_of_2(self.P), 4), ENTRIES)
            CB = min(max(ENTRIES // PB, 1), triton.next_power_of_2(self.C))
            self.chunk = self.P
        self.tile = {"LAST": last, "CB": CB, "PB": PB}
        self.K = triton.cdiv(self.P, self.chunk)
        images = self.N * triton.cdiv(self.C, CB)
        self.grid, self.grid_of_chunks = (images, triton.cdiv(self.P, PB)), (images, self.K)

    def parts(self, sums: Tensor) -> Tensor:
        """(..., N, C, K) for what programs find; of one chunk, the sums themselves."""
        return sums[..., None] if self.K == 1 else sums.new_empty((*sums.shape, self.K))

    def added(self, parts: Tensor, sums: Tensor) -> Tensor:
        return sums if self.K == 1 else torch.sum(parts, -1, out=sums)


@triton.jit
def _channels(C, CB: tl.constexpr):
    """(image, its channels) of a program."""
    blocks = (C + CB - 1) // CB
    return (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks * CB + tl.arange(0, CB)


@triton.jit
def _at(n, c, p, C, P, channel_stride, pixel_stride):
    return n * C * P + (c[:, None] * channel_stride + p[None, :] * pixel_stride)


@triton.jit
def _of_row(ptr, n, c, C):
    """Numbers of an image's channels, (CB, 1)."""
    return tl.load(ptr + n * C + c, mask=c < C, other=0.0).to(tl.float32)[:, None]


@triton.jit
def _of_channel(ptr, c, C, stride):
    return tl.load(ptr + c * stride, mask=c < C, other=0.0).to(tl.float32)[:, None]


@triton.jit
def _store_sum(ptr, which, n, c, C, sums, CB: tl.constexpr):
    """A chunk's sums over its pixels, to parts (which, N, C, K)."""
    images = tl.num_programs(0) // ((C + CB - 1) // CB)
    at = ((which * images + n) * C + c) * tl.num_programs(1) + tl.program_id(1)
    tl.store(ptr + at, tl.sum(sums, 1), mask=c < C)


def _or(x: Tensor | None, instead: Tensor) -> Tensor:
    """Something for a pointer that the kernel does not use."""
    return instead if x is None else x.contiguous()


# ------------------------------------------------------------------------------------------------ activation
@triton.jit
def _byte_at(n, c, p, C, P, LAST: tl.constexpr):
    """(where the byte of an entry's slopes is, the place of its bits there)."""
    if LAST:
        at = (n * P + p[None, :]) * ((C + 3) // 4) + (c // 4)[:, None]
        shift = (c % 4 * 2)[:, None]
    else:
        at = (n * C + c[:, None]) * ((P + 3) // 4) + (p // 4)[None, :]
        shift = (p % 4 * 2)[None, :]
    return at, shift


@triton.jit
def _bent(g, slopes_ptr, n, c, p, inside, C, P, gain, LAST: tl.constexpr):
    """g times the slopes that are kept there, fp32."""
    at, shift = _byte_at(n, c, p, C, P, LAST)
    code = tl.load(slopes_ptr + at, mask=inside, other=0).to(tl.int32) >> shift
    g = tl.where(code & 1 != 0, g, g * _SLOPE) * gain
    return tl.where(code & 2 != 0, g, 0.0)


@triton.jit
def _activate_kernel(
    x_ptr, scale_ptr, noise_ptr, strength_ptr, bias_ptr, y_ptr, slopes_ptr, C, P, channel_stride, pixel_stride,
    noise_stride, strength_stride, gain, limit, x_gain, SCALED: tl.constexpr, NOISY: tl.constexpr,
    BIASED: tl.constexpr, KEPT: tl.constexpr, LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n, c = _channels(C, CB)
    p = tl.program_id(1) * PB + tl.arange(0, PB)
    inside = (c < C)[:, None] & (p < P)[None, :]
    at = _at(n, c, p, C, P, channel_stride, pixel_stride)
    t = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32) * x_gain
    if SCALED:
        t *= _of_row(scale_ptr, n, c, C)
    if NOISY:
        noise = tl.load(noise_ptr + n * noise_stride + p, mask=p < P, other=0.0).to(tl.float32)
        t += _of_channel(strength_ptr, c, C, strength_stride) * noise[None, :]
    if BIASED:
        t += _of_channel(bias_ptr, c, C, 1)
    t = tl.where(t > 0, t, t * _SLOPE) * gain
    t = tl.where(t > limit, limit, tl.where(t < -limit, -limit, t))  # a NaN stays one
    t = t.to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + at, t, mask=inside)
    if KEPT:
        code = tl.where(t > 0, 1, 0) + tl.where(tl.abs(t.to(tl.float32)) >= limit, 0, 2)  # a NaN has a slope
        _, shift = _byte_at(n, c, p, C, P, LAST)
        if LAST:
            byte = tl.sum(tl.reshape(code << shift, (CB // 4, 4, PB)), 1)
            first = tl.program_id(0) % ((C + CB - 1) // CB) * (CB // 4) + tl.arange(0, CB // 4)
            at = (n * P + p[None, :]) * ((C + 3) // 4) + first[:, None]
            mask = (first < (C + 3) // 4)[:, None] & (p < P)[None, :]
        else:
            byte = tl.sum(tl.reshape(code << shift, (CB, PB // 4, 4)), 2)
            first = tl.program_id(1) * (PB // 4) + tl.arange(0, PB // 4)
            at = (n * C + c[:, None]) * ((P + 3) // 4) + first[None, :]
            mask = (c < C)[:, None] & (first < (P + 3) // 4)[None, :]
        tl.store(slopes_ptr + at, byte.to(tl.uint8), mask=mask)


@triton.jit
def _bend_kernel(
    g_ptr, slopes_ptr, out_ptr, C, P, channel_stride, pixel_stride, gain,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n, c = _channels(C, CB)
    p = tl.program_id(1) * PB + tl.arange(0, PB)
    inside = (c < C)[:, None] & (p < P)[None, :]
    at = _at(n, c, p, C, P, channel_stride, pixel_stride)
    g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
    g = _bent(g, slopes_ptr, n, c, p, inside, C, P, gain, LAST)
    tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _activate_backward_kernel(
    g_ptr, slopes_ptr, x_ptr, scale_ptr, noise_ptr, out_ptr, sums_ptr, C, P, channel_stride, pixel_stride, chunk,
    noise_stride, gain, SCALED: tl.constexpr, NOISY: tl.constexpr,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    """The gradient of x, and of every row the sums of the slope, of slope times x, of slope times noise."""
    n, c = _channels(C, CB)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, P)
    sum_slope = tl.zeros((CB, PB), tl.float32)
    sum_x = tl.zeros((CB, PB), tl.float32)
    sum_noise = tl.zeros((CB, PB), tl.float32)
    if SCALED:
        scale = _of_row(scale_ptr, n, c, C)
    for first in range(begin, end, PB):
        p = first + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < end)[None, :]
        at = _at(n, c, p, C, P, channel_stride, pixel_stride)
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        g = _bent(g, slopes_ptr, n, c, p, inside, C, P, gain, LAST)
        sum_slope += g
        if NOISY:
            noise = tl.load(noise_ptr + n * noise_stride + p, mask=p < end, other=0.0).to(tl.float32)
            sum_noise += g * noise[None, :]
        if SCALED:
            sum_x += g * tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
            g *= scale
        tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)
    _store_sum(sums_ptr, 0, n, c, C, sum_slope, CB)
    if SCALED:
        _store_sum(sums_ptr, 1, n, c, C, sum_x, CB)
    if NOISY:
        _store_sum(sums_ptr, 2, n, c, C, sum_noise, CB)


def activate(x, scale, noise, strength, bias, gain: float, limit: float, x_gain: float, kept: bool, y, slopes):
    maps = Tiling(x)
    strength_stride = 1 if strength is not None and strength.ndim else 0
    _activate_kernel[maps.grid](
        x, _or(scale, x), _or(noise, x), _or(strength, x), _or(bias, x), y, slopes, maps.C, maps.P, *maps.strides,
        _noise_stride(noise, maps.P), strength_stride, gain, limit, x_gain,
        SCALED=scale is not None, NOISY=noise is not None, BIASED=bias is not None, KEPT=kept, **maps.tile,
    )  # fmt: skip
    return y, slopes


def _noise_stride(noise: Tensor | None, P: int) -> int:
    """Entries from image to image of noise (N, 1, H, W), or (H, W) for all."""
    return P if noise is not None and noise.numel() > P else 0


def bend(g: Tensor, slopes: Tensor, gain: float, out: Tensor) -> Tensor:
    maps = Tiling(g)
    _bend_kernel[maps.grid](g, slopes, out, maps.C, maps.P, *maps.strides, gain, **maps.tile)
    return out


def activate_backward(g, slopes, x, scale, noise, gain: float, out: Tensor, sums: Tensor):
    maps = Tiling(g)
    parts = maps.parts(sums)
    _activate_backward_kernel[maps.grid_of_chunks](
        g, slopes, g if x is None else x, _or(scale, g), _or(noise, g), out, parts, maps.C, maps.P, *maps.strides,
        maps.chunk, _noise_stride(noise, maps.P), gain, SCALED=scale is not None, NOISY=noise is not None, **maps.tile,
    )  # fmt: skip
    return out, maps.added(parts, sums)


# ------------------------------------------------------------------------------------------------ modulation
@triton.jit
def _scale_kernel(
    x_ptr, scale_ptr, y_ptr, C, P, channel_stride, pixel_stride,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n, c = _channels(C, CB)
    p = tl.program_id(1) * PB + tl.arange(0, PB)
    inside = (c < C)[:, None] & (p < P)[None, :]
    at = _at(n, c, p, C, P, channel_stride, pixel_stride)
    y = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32) * _of_row(scale_ptr, n, c, C)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


def scale(x: Tensor, by: Tensor, y: Tensor) -> Tensor:
    maps = Tiling(x)
    _scale_kernel[maps.grid](x, by.contiguous(), y, maps.C, maps.P, *maps.strides, **maps.tile)
    return y


@triton.jit
def _scale_backward_kernel(
    g_ptr, x_ptr, scale_ptr, out_ptr, sums_ptr, C, P, channel_stride, pixel_stride, chunk,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n, c = _channels(C, CB)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, P)
    scale = _of_row(scale_ptr, n, c, C)
    total = tl.zeros((CB, PB), tl.float32)
    for first in range(begin, end, PB):
        p = first + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < end)[None, :]
        at = _at(n, c, p, C, P, channel_stride, pixel_stride)
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        total += g * tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(out_ptr + at, (g * scale).to(out_ptr.dtype.element_ty), mask=inside)
    _store_sum(sums_ptr, 0, n, c, C, total, CB)


def scale_backward(g: Tensor, x: Tensor, scale: Tensor, out: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    maps = Tiling(g)
    parts = maps.parts(sums)
    _scale_backward_kernel[maps.grid_of_chunks](
        g, x, scale.contiguous(), out, parts, maps.C, maps.P, *maps.strides, maps.chunk, **maps.tile
    )
    return out, maps.added(parts, sums)


@triton.jit
def _scale_backward_twice_kernel(
    h_ptr, k_ptr, g_ptr, x_ptr, scale_ptr, g_out_ptr, x_out_ptr, sums_ptr, C, P, channel_stride, pixel_stride, chunk,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    n, c = _channels(C, CB)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, P)
    scale, k = _of_row(scale_ptr, n, c, C), _of_row(k_ptr, n, c, C)
    total = tl.zeros((CB, PB), tl.float32)
    for first in range(begin, end, PB):
        p = first + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < end)[None, :]
        at = _at(n, c, p, C, P, channel_stride, pixel_stride)
        h = tl.load(h_ptr + at, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        total += h * g
        tl.store(g_out_ptr + at, (h * scale + k * x).to(g_out_ptr.dtype.element_ty), mask=inside)
        tl.store(x_out_ptr + at, (k * g).to(x_out_ptr.dtype.element_ty), mask=inside)
    _store_sum(sums_ptr, 0, n, c, C, total, CB)


def scale_backward_twice(h, k, g, x, scale, g_out: Tensor, x_out: Tensor, sums: Tensor):
    maps = Tiling(g)
    parts = maps.parts(sums)
    _scale_backward_twice_kernel[maps.grid_of_chunks](
        h, k.contiguous(), g, x, scale.contiguous(), g_out, x_out, parts, maps.C, maps.P, *maps.strides, maps.chunk,
        **maps.tile,
    )  # fmt: skip
    return g_out, x_out, maps.added(parts, sums)


@triton.jit
def _squares_kernel(
    x_ptr, sums_ptr, C, P, channel_stride, pixel_stride, chunk, LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr
):  # fmt: skip
    n, c = _channels(C, CB)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, P)
    total = tl.zeros((CB, PB), tl.float32)
    for first in range(begin, end, PB):
        p = first + tl.arange(0, PB)
        inside = (c < C)[:, None] & (p < end)[None, :]
        x = tl.load(x_ptr + _at(n, c, p, C, P, channel_stride, pixel_stride), mask=inside, other=0.0).to(tl.float32)
        total += x * x
    _store_sum(sums_ptr, 0, n, c, C, total, CB)


def squares(x: Tensor, sums: Tensor) -> Tensor:
    maps = Tiling(x)
    parts = maps.parts(sums)
    _squares_kernel[maps.grid_of_chunks](x, parts, maps.C, maps.P, *maps.strides, maps.chunk, **maps.tile)
    return maps.added(parts, sums)


# ------------------------------------------------------------------------------------------------ FIR
@triton.jit
def _fir_kernel(
    x_ptr, kernel_ptr, y_ptr, C, H, W, OH, OW, channel_stride, pixel_stride, x_channel_stride, x_pixel_stride,
    padding, gain, UP: tl.constexpr, DOWN: tl.constexpr, K: tl.constexpr,
    LAST: tl.constexpr, CB: tl.constexpr, PB: tl.constexpr,
):  # fmt: skip
    """Each pixel of the output is the sum of the K x K pixels that it sees; with UP, most of these are zeros between,
    which are not read."""
    n, c = _channels(C, CB)
    p = tl.program_id(1) * PB + tl.arange(0, PB)
    inside = (c < C)[:, None] & (p < OH * OW)[None, :]
    first_i, first_j = p // OW * DOWN - padding, p % OW * DOWN - padding
    total = tl.zeros((CB, PB), tl.float32)
    for k in tl.static_range(K):
        for m in tl.static_range(K):
            i, j = first_i + k, first_j + m
            seen = (i >= 0) & (i < H * UP) & (i % UP == 0) & (j >= 0) & (j < W * UP) & (j % UP == 0)
            at = _at(n, c, i // UP * W + j // UP, C, H * W, x_channel_stride, x_pixel_stride)
            x = tl.load(x_ptr + at, mask=inside & seen[None, :], other=0.0).to(tl.float32)
            total += tl.load(kernel_ptr + k * K + m) * x
    at = _at(n, c, p, C, OH * OW, channel_stride, pixel_stride)
    tl.store(y_ptr + at, (total * gain).to(y_ptr.dtype.element_ty), mask=inside)


def fir(x: Tensor, kernel: Tensor, up: int, down: int, padding: int, gain: float, size: list[int], y: Tensor) -> Tensor:
    maps = Tiling(y)
    _fir_kernel[maps.grid](
        x, kernel, y, maps.C, *x.shape[2:], *size, *maps.strides, *Tiling(x).strides, padding, gain,
        UP=up, DOWN=down, K=kernel.shape[0], **maps.tile,
    )  # fmt: skip
    return y
