"""The kernels of kernels.py for weights and for their gradients. Imported when the first one runs, as this imports
Triton.
"""

import triton
import triton.language as tl
from torch import Tensor

ENTRIES = 1024  # of a tile


def _strides(w: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """w (O, I, K, K), whose taps follow each other in memory, and the steps from output to output, from input to input,
    from tap to tap."""
    w = w if w.shape[2] == 1 or w.stride(2) == w.shape[3] * w.stride(3) else w.contiguous()
    return w, (w.stride(0), w.stride(1), w.stride(3))


# ------------------------------------------------------------------------------------------------ weights
@triton.jit
def _prepare_kernel(
    w_ptr, v_ptr, c_ptr, q_ptr, inputs, K, v_o, v_i, v_k, gain,
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
        at = o * v_o + i[:, None] * v_i + k[None, :] * v_k
        tl.store(v_ptr + at, v.to(v_ptr.dtype.element_ty), mask=inside)
        if SQUARED:
            tl.store(q_ptr + o * inputs + i, tl.sum(v * v, 1), mask=i < inputs)


@triton.jit
def _prepare_backward_kernel(
    gv_ptr, gq_ptr, w_ptr, c_ptr, out_ptr, count, row, K, g_o, g_i, g_k, SQUARED: tl.constexpr, B: tl.constexpr
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    inside = at < count
    c = tl.load(c_ptr + at // row, mask=inside, other=0.0)
    gv_at = at // row * g_o + at % row // K * g_i + at % K * g_k
    g = tl.load(gv_ptr + gv_at, mask=inside, other=0.0).to(tl.float32)
    if SQUARED:
        w = tl.load(w_ptr + at, mask=inside, other=0.0)
        g += 2 * c * w * tl.load(gq_ptr + at // K, mask=inside, other=0.0)
    tl.store(out_ptr + at, g * c, mask=inside)


def prepare(w: Tensor, gain: float, norm: int, squared: bool, v: Tensor, c: Tensor, q: Tensor):
    (outputs, inputs), K = w.shape[:2], w[0, 0].numel()
    KB = triton.next_power_of_2(K)
    _prepare_kernel[(outputs,)](
        w, v, c, q, inputs, K, *_strides(v)[1], gain, NORM=norm, SQUARED=squared, B=max(ENTRIES // KB, 1), KB=KB
    )  # fmt: skip
    return v, c, q


def prepare_backward(gv: Tensor, gq: Tensor | None, w: Tensor, c: Tensor, out: Tensor) -> Tensor:
    (gv, strides), count, K = _strides(gv), w.numel(), w[0, 0].numel()
    _prepare_backward_kernel[(triton.cdiv(count, ENTRIES),)](
        gv, w if gq is None else gq, w, c, out, count, w[0].numel(), K, *strides, SQUARED=gq is not None, B=ENTRIES
    )  # fmt: skip
    return out


@triton.jit
def _shifts_kernel(
    w_ptr, v_ptr, count, inputs, w_o, w_i, w_k, v_o, v_i, v_k, gain,
    FLIPPED: tl.constexpr, K: tl.constexpr, SIZE: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """v[a, b] is the sum of w over two rows and two columns: a - 1 and a if it grows, a and a + 1 if it shrinks."""
    at = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    o, i_in, tap = at // (inputs * SIZE * SIZE), at // (SIZE * SIZE) % inputs, at % (SIZE * SIZE)
    a, b = tap // SIZE, tap % SIZE
    total = tl.zeros((B,), tl.float32)
    for s in tl.static_range(2):
        for t in tl.static_range(2):
            i, j = a + s - (SIZE - 3), b + t - (SIZE - 3)
            inside = (at < count) & (i >= 0) & (i < K) & (j >= 0) & (j < K)
            if FLIPPED:
                i, j = K - 1 - i, K - 1 - j
            total += tl.load(w_ptr + o * w_o + i_in * w_i + (i * K + j) * w_k, mask=inside, other=0.0).to(tl.float32)
    tl.store(v_ptr + o * v_o + i_in * v_i + tap * v_k, (total * gain).to(v_ptr.dtype.element_ty), mask=at < count)


def shifts(w: Tensor, gain: float, flipped: bool, v: Tensor) -> Tensor:
    (w, strides), count = _strides(w), v.numel()
    _shifts_kernel[(triton.cdiv(count, ENTRIES),)](
        w, v, count, w.shape[1], *strides, *_strides(v)[1], gain,
        FLIPPED=flipped, K=w.shape[2], SIZE=v.shape[2], B=ENTRIES,
    )  # fmt: skip
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
