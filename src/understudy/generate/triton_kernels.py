"""The code of the kernels that kernels.py declares. Imported when the first one runs, as this imports Triton."""

import triton
import triton.language as tl
from torch import Tensor

from .kernels import SLOPE, rows_of

ENTRIES = 1024  # of a tile: of one row of a large map, of several small ones
_SLOPE = tl.constexpr(SLOPE)


def tile_of(entries: int) -> dict[str, int]:
    """(R, B): rows and entries of a row in one tile."""
    B = min(max(triton.next_power_of_2(entries), 4), ENTRIES)  # whole bytes of slopes
    return {"R": ENTRIES // B, "B": B}


def _or(x: Tensor | None, instead: Tensor) -> Tensor:
    """Something for a pointer that the kernel does not use."""
    return instead if x is None else x.contiguous()


# ------------------------------------------------------------------------------------------------ activation
@triton.jit
def _bent(g, slopes_ptr, row, p, inside, P, gain):
    """g times the slopes that are kept there, fp32."""
    at = row[:, None] * ((P + 3) // 4) + (p // 4)[None, :]
    code = tl.load(slopes_ptr + at, mask=inside, other=0).to(tl.int32) >> (p % 4 * 2)[None, :]
    g = tl.where(code & 1 != 0, g, g * _SLOPE) * gain
    return tl.where(code & 2 != 0, g, 0.0)


@triton.jit
def _activate_kernel(
    x_ptr, scale_ptr, noise_ptr, strength_ptr, bias_ptr, y_ptr, slopes_ptr, rows, C, P, noise_stride, strength_stride,
    gain, limit, x_gain, SCALED: tl.constexpr, NOISY: tl.constexpr, BIASED: tl.constexpr, KEPT: tl.constexpr,
    R: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    p = tl.program_id(1) * B + tl.arange(0, B)
    inside = (row < rows)[:, None] & (p < P)[None, :]
    at = row[:, None] * P + p[None, :]
    t = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32) * x_gain
    if SCALED:
        t *= tl.load(scale_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    if NOISY:
        noise_at = (row // C * noise_stride)[:, None] + p[None, :]
        strength = tl.load(strength_ptr + row % C * strength_stride, mask=row < rows, other=0.0).to(tl.float32)
        t += strength[:, None] * tl.load(noise_ptr + noise_at, mask=inside, other=0.0).to(tl.float32)
    if BIASED:
        t += tl.load(bias_ptr + row % C, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    t = tl.where(t > 0, t, t * _SLOPE) * gain
    t = tl.where(t > limit, limit, tl.where(t < -limit, -limit, t))  # a NaN stays one
    t = t.to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + at, t, mask=inside)
    if KEPT:
        code = tl.where(t > 0, 1, 0) + tl.where(tl.abs(t.to(tl.float32)) >= limit, 0, 2)  # a NaN has a slope
        four = tl.reshape(code << (p % 4 * 2)[None, :], (R, B // 4, 4))
        byte = tl.program_id(1) * (B // 4) + tl.arange(0, B // 4)
        at = row[:, None] * ((P + 3) // 4) + byte[None, :]
        mask = (row < rows)[:, None] & (byte < (P + 3) // 4)[None, :]
        tl.store(slopes_ptr + at, tl.sum(four, 2).to(tl.uint8), mask=mask)


@triton.jit
def _bend_kernel(g_ptr, slopes_ptr, out_ptr, rows, P, gain, R: tl.constexpr, B: tl.constexpr):
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    p = tl.program_id(1) * B + tl.arange(0, B)
    inside = (row < rows)[:, None] & (p < P)[None, :]
    at = row[:, None] * P + p[None, :]
    g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
    g = _bent(g, slopes_ptr, row, p, inside, P, gain)
    tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _activate_backward_kernel(
    g_ptr, slopes_ptr, x_ptr, scale_ptr, noise_ptr, out_ptr, sums_ptr, rows, C, P, noise_stride, gain,
    SCALED: tl.constexpr, NOISY: tl.constexpr, R: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """The gradient of x, and of every row the sums of the slope, of slope times x, of slope times noise."""
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    sum_slope = tl.zeros((R, B), tl.float32)
    sum_x = tl.zeros((R, B), tl.float32)
    sum_noise = tl.zeros((R, B), tl.float32)
    if SCALED:
        scale = tl.load(scale_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        at = row[:, None] * P + p[None, :]
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        g = _bent(g, slopes_ptr, row, p, inside, P, gain)
        sum_slope += g
        if NOISY:
            noise_at = (row // C * noise_stride)[:, None] + p[None, :]
            sum_noise += g * tl.load(noise_ptr + noise_at, mask=inside, other=0.0).to(tl.float32)
        if SCALED:
            sum_x += g * tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
            g *= scale
        tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), mask=inside)
    tl.store(sums_ptr + row, tl.sum(sum_slope, 1), mask=row < rows)
    if SCALED:
        tl.store(sums_ptr + rows + row, tl.sum(sum_x, 1), mask=row < rows)
    if NOISY:
        tl.store(sums_ptr + 2 * rows + row, tl.sum(sum_noise, 1), mask=row < rows)


def activate(x, scale, noise, strength, bias, gain: float, limit: float, x_gain: float, kept: bool, y, slopes):
    rows, C, P = rows_of(x)
    tile = tile_of(P)
    strength_stride = 1 if strength is not None and strength.ndim else 0
    grid = (triton.cdiv(rows, tile["R"]), triton.cdiv(P, tile["B"]))
    _activate_kernel[grid](
        x, _or(scale, x), _or(noise, x), _or(strength, x), _or(bias, x), y, slopes, rows, C, P,
        _noise_stride(noise, P), strength_stride, gain, limit, x_gain,
        SCALED=scale is not None, NOISY=noise is not None, BIASED=bias is not None, KEPT=kept, **tile,
    )  # fmt: skip
    return y, slopes


def _noise_stride(noise: Tensor | None, P: int) -> int:
    """Entries from image to image of noise (N, 1, H, W), or (H, W) for all."""
    return P if noise is not None and noise.numel() > P else 0


def bend(g: Tensor, slopes: Tensor, gain: float, out: Tensor) -> Tensor:
    rows, _, P = rows_of(g)
    tile = tile_of(P)
    _bend_kernel[triton.cdiv(rows, tile["R"]), triton.cdiv(P, tile["B"])](g, slopes, out, rows, P, gain, **tile)
    return out


def activate_backward(g, slopes, x, scale, noise, gain: float, out: Tensor, sums: Tensor):
    rows, C, P = rows_of(g)
    tile = tile_of(P)
    _activate_backward_kernel[(triton.cdiv(rows, tile["R"]),)](
        g, slopes, _or(x, g), _or(scale, g), _or(noise, g), out, sums, rows, C, P, _noise_stride(noise, P), gain,
        SCALED=scale is not None, NOISY=noise is not None, **tile,
    )  # fmt: skip
    return out, sums


# ------------------------------------------------------------------------------------------------ modulation
@triton.jit
def _scale_kernel(x_ptr, scale_ptr, y_ptr, rows, P, R: tl.constexpr, B: tl.constexpr):
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    p = tl.program_id(1) * B + tl.arange(0, B)
    inside = (row < rows)[:, None] & (p < P)[None, :]
    at = row[:, None] * P + p[None, :]
    scale = tl.load(scale_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    y = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32) * scale
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


def scale(x: Tensor, by: Tensor, y: Tensor) -> Tensor:
    rows, _, P = rows_of(x)
    tile = tile_of(P)
    grid = (triton.cdiv(rows, tile["R"]), triton.cdiv(P, tile["B"]))
    _scale_kernel[grid](x, by.contiguous(), y, rows, P, **tile)
    return y


@triton.jit
def _scale_backward_kernel(
    g_ptr, x_ptr, scale_ptr, out_ptr, sums_ptr, rows, P, R: tl.constexpr, B: tl.constexpr
):  # fmt: skip
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    scale = tl.load(scale_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    total = tl.zeros((R, B), tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        at = row[:, None] * P + p[None, :]
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        total += g * tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(out_ptr + at, (g * scale).to(out_ptr.dtype.element_ty), mask=inside)
    tl.store(sums_ptr + row, tl.sum(total, 1), mask=row < rows)


def scale_backward(g: Tensor, x: Tensor, scale: Tensor, out: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    rows, _, P = rows_of(g)
    tile = tile_of(P)
    _scale_backward_kernel[(triton.cdiv(rows, tile["R"]),)](g, x, scale.contiguous(), out, sums, rows, P, **tile)
    return out, sums


@triton.jit
def _scale_backward_twice_kernel(
    h_ptr, k_ptr, g_ptr, x_ptr, scale_ptr, g_out_ptr, x_out_ptr, sums_ptr, rows, P, R: tl.constexpr, B: tl.constexpr
):  # fmt: skip
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    scale = tl.load(scale_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    k = tl.load(k_ptr + row, mask=row < rows, other=0.0).to(tl.float32)[:, None]
    total = tl.zeros((R, B), tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        at = row[:, None] * P + p[None, :]
        h = tl.load(h_ptr + at, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(g_ptr + at, mask=inside, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        total += h * g
        tl.store(g_out_ptr + at, (h * scale + k * x).to(g_out_ptr.dtype.element_ty), mask=inside)
        tl.store(x_out_ptr + at, (k * g).to(x_out_ptr.dtype.element_ty), mask=inside)
    tl.store(sums_ptr + row, tl.sum(total, 1), mask=row < rows)


def scale_backward_twice(h, k, g, x, scale, g_out: Tensor, x_out: Tensor, sums: Tensor):
    rows, _, P = rows_of(g)
    tile = tile_of(P)
    _scale_backward_twice_kernel[(triton.cdiv(rows, tile["R"]),)](
        h, k.contiguous(), g, x, scale.contiguous(), g_out, x_out, sums, rows, P, **tile
    )  # fmt: skip
    return g_out, x_out, sums


@triton.jit
def _squares_kernel(x_ptr, sums_ptr, rows, P, R: tl.constexpr, B: tl.constexpr):
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    total = tl.zeros((R, B), tl.float32)
    for first in range(0, P, B):
        p = first + tl.arange(0, B)
        inside = (row < rows)[:, None] & (p < P)[None, :]
        x = tl.load(x_ptr + row[:, None] * P + p[None, :], mask=inside, other=0.0).to(tl.float32)
        total += x * x
    tl.store(sums_ptr + row, tl.sum(total, 1), mask=row < rows)


def squares(x: Tensor, sums: Tensor) -> Tensor:
    rows, _, P = rows_of(x)
    tile = tile_of(P)
    _squares_kernel[(triton.cdiv(rows, tile["R"]),)](x, sums, rows, P, **tile)
    return sums


# ------------------------------------------------------------------------------------------------ FIR
@triton.jit
def _fir_kernel(
    x_ptr, kernel_ptr, y_ptr, rows, H, W, OH, OW, padding, gain,
    UP: tl.constexpr, DOWN: tl.constexpr, K: tl.constexpr, R: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """Each pixel of the output is the sum of the K x K pixels that it sees; with UP, most of these are zeros between,
    which are not read."""
    row = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    p = tl.program_id(1) * B + tl.arange(0, B)
    inside = (row < rows)[:, None] & (p < OH * OW)[None, :]
    first_i, first_j = p // OW * DOWN - padding, p % OW * DOWN - padding
    total = tl.zeros((R, B), tl.float32)
    for k in tl.static_range(K):
        for m in tl.static_range(K):
            i, j = first_i + k, first_j + m
            seen = (i >= 0) & (i < H * UP) & (i % UP == 0) & (j >= 0) & (j < W * UP) & (j % UP == 0)
            at = row[:, None] * (H * W) + (i // UP * W + j // UP)[None, :]
            x = tl.load(x_ptr + at, mask=inside & seen[None, :], other=0.0).to(tl.float32)
            total += tl.load(kernel_ptr + k * K + m) * x
    at = row[:, None] * (OH * OW) + p[None, :]
    tl.store(y_ptr + at, (total * gain).to(y_ptr.dtype.element_ty), mask=inside)


def fir(x: Tensor, kernel: Tensor, up: int, down: int, padding: int, gain: float, size: list[int], y: Tensor) -> Tensor:
    rows, (H, W), (OH, OW) = x.shape[0] * x.shape[1], x.shape[2:], size
    tile = tile_of(OH * OW)
    grid = (triton.cdiv(rows, tile["R"]), triton.cdiv(OH * OW, tile["B"]))
    _fir_kernel[grid](
        x, kernel, y, rows, H, W, OH, OW, padding, gain, UP=up, DOWN=down, K=kernel.shape[0], **tile
    )  # fmt: skip
    return y


# ------------------------------------------------------------------------------------------------ weights
@triton.jit
def _prepare_kernel(
    w_ptr, v_ptr, c_ptr, q_ptr, inputs, K, gain,
    NORM: tl.constexpr, SQUARED: tl.constexpr, B: tl.constexpr, KB: tl.constexpr,
):  # fmt: skip
    """Of one output channel: B input channels at a time, each with its K taps."""
    o = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, KB)
    c = gain
    if NORM:
        size = tl.zeros((B, KB), tl.float32)
        for first in range(0, inputs, B):
            i = first + tl.arange(0, B)
            inside = (i < inputs)[:, None] & (k < K)[None, :]
            w = tl.load(w_ptr + o * inputs * K + i[:, None] * K + k[None, :], mask=inside, other=0.0)
            size = tl.maximum(size, tl.abs(w)) if NORM == 1 else size + w * w
        c = gain / (tl.max(tl.max(size, 1), 0) if NORM == 1 else tl.sqrt(tl.sum(tl.sum(size, 1), 0)))
    tl.store(c_ptr + o, c)
    for first in range(0, inputs, B):
        i = first + tl.arange(0, B)
        inside = (i < inputs)[:, None] & (k < K)[None, :]
        at = o * inputs * K + i[:, None] * K + k[None, :]
        v = tl.load(w_ptr + at, mask=inside, other=0.0) * c
        tl.store(v_ptr + at, v.to(v_ptr.dtype.element_ty), mask=inside)
        if SQUARED:
            tl.store(q_ptr + o * inputs + i, tl.sum(v * v, 1), mask=i < inputs)


@triton.jit
def _prepare_backward_kernel(
    gv_ptr, gq_ptr, w_ptr, c_ptr, out_ptr, count, row, K, SQUARED: tl.constexpr, B: tl.constexpr
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    inside = at < count
    c = tl.load(c_ptr + at // row, mask=inside, other=0.0)
    g = tl.load(gv_ptr + at, mask=inside, other=0.0).to(tl.float32)
    if SQUARED:
        w = tl.load(w_ptr + at, mask=inside, other=0.0)
        g += 2 * c * w * tl.load(gq_ptr + at // K, mask=inside, other=0.0)
    tl.store(out_ptr + at, g * c, mask=inside)


def prepare(w: Tensor, gain: float, norm: int, squared: bool, v: Tensor, c: Tensor, q: Tensor):
    (outputs, inputs), K = w.shape[:2], w[0, 0].numel()
    KB = triton.next_power_of_2(K)
    _prepare_kernel[(outputs,)](
        w, v, c, q, inputs, K, gain, NORM=norm, SQUARED=squared, B=max(ENTRIES // KB, 1), KB=KB
    )  # fmt: skip
    return v, c, q


def prepare_backward(gv: Tensor, gq: Tensor | None, w: Tensor, c: Tensor, out: Tensor) -> Tensor:
    count, K = w.numel(), w[0, 0].numel()
    _prepare_backward_kernel[(triton.cdiv(count, ENTRIES),)](
        gv, _or(gq, w), w, c, out, count, w[0].numel(), K, SQUARED=gq is not None, B=ENTRIES
    )  # fmt: skip
    return out


@triton.jit
def _shifts_kernel(
    w_ptr, v_ptr, count, gain, FLIPPED: tl.constexpr, K: tl.constexpr, SIZE: tl.constexpr, B: tl.constexpr
):  # fmt: skip
    """v[a, b] is the sum of w over two rows and two columns: a - 1 and a if it grows, a and a + 1 if it shrinks."""
    at = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    kernel, a, b = at // (SIZE * SIZE), at // SIZE % SIZE, at % SIZE
    total = tl.zeros((B,), tl.float32)
    for s in tl.static_range(2):
        for t in tl.static_range(2):
            i, j = a + s - (SIZE - 3), b + t - (SIZE - 3)
            inside = (at < count) & (i >= 0) & (i < K) & (j >= 0) & (j < K)
            if FLIPPED:
                i, j = K - 1 - i, K - 1 - j
            total += tl.load(w_ptr + kernel * (K * K) + i * K + j, mask=inside, other=0.0).to(tl.float32)
    tl.store(v_ptr + at, (total * gain).to(v_ptr.dtype.element_ty), mask=at < count)


def shifts(w: Tensor, gain: float, flipped: bool, v: Tensor) -> Tensor:
    count, K, SIZE = v.numel(), w.shape[2], v.shape[2]
    _shifts_kernel[(triton.cdiv(count, ENTRIES),)](w, v, count, gain, FLIPPED=flipped, K=K, SIZE=SIZE, B=ENTRIES)
    return v


# ------------------------------------------------------------------------------------------------ descent
@triton.jit
def _make_finite_kernel(x_ptr, counts_ptr, count, B: tl.constexpr):
    tile = tl.program_id(0).to(tl.int64)
    at = tile * B + tl.arange(0, B)
    x = tl.load(x_ptr + at, mask=at < count, other=0.0)
    none, endless = x != x, tl.abs(x) == float("inf")
    x = tl.where(none, 0.0, tl.where(endless, tl.where(x > 0, 1e5, -1e5), x))
    tl.store(x_ptr + at, x, mask=at < count)
    tl.store(counts_ptr + tile, tl.sum((none | endless).to(tl.int64)))


def tiles(flat: Tensor) -> int:
    return triton.cdiv(flat.numel(), ENTRIES)


def make_finite(flat: Tensor, counts: Tensor) -> Tensor:
    _make_finite_kernel[(tiles(flat),)](flat, counts, flat.numel(), B=ENTRIES)
    return counts
