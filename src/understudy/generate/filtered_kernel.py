"""The kernel of the filtered activation, whose tiles and matrices filtered_plan.py lays out. Imports Triton.

Each program reads one tile of each input, up-samples it by matrix products, applies the activation in registers,
down-samples it and writes one tile. The up-sampled map, 4 to 16 times as large, never reaches memory. All sums are
fp32. Products of maps in reduced precision use the tensor cores' tf32, which has ten bits of mantissa, as fp16. Each
product of fp32 maps takes three tf32 products, which is nearly fp32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .filtered_plan import HIGH, Plan
from .kernels import SLOPE, UNLIMITED

_SLOPE = tl.constexpr(SLOPE)


@triton.jit
def _tile(ptr, at_map, tile_h, tile_w, stride, offset, H, W, LENGTH: tl.constexpr, WIDTH: tl.constexpr):
    """A tile's square of a map, and where it is inside: zeros outside."""
    k = tl.arange(0, WIDTH)
    i = tile_h * stride + offset + k
    j = tile_w * stride + offset + k
    rows = (i >= 0) & (i < H) & (k < LENGTH)
    columns = (j >= 0) & (j < W) & (k < LENGTH)
    inside = rows[:, None] & columns[None, :]
    x = tl.load(ptr + at_map * (H * W) + i[:, None] * W + j[None, :], mask=inside, other=0.0)
    return x.to(tl.float32), inside


@triton.jit
def _product(columns_ptr, x, rows_ptr, term, A: tl.constexpr, B: tl.constexpr, PRECISION: tl.constexpr):
    """columns (A, B) x (B, B) rows^T (B, A) of one term."""
    a = tl.arange(0, A)
    b = tl.arange(0, B)
    columns = tl.load(columns_ptr + term * A * B + a[:, None] * B + b[None, :])
    rows = tl.load(rows_ptr + term * A * B + a[None, :] * B + b[:, None])
    return tl.dot(tl.dot(columns, x, input_precision=PRECISION), rows, input_precision=PRECISION)


@triton.jit
def _kernel(
    x_ptr, g_ptr, scale_ptr, bias_ptr, y_ptr, sums_ptr, x_columns, x_rows, g_columns, g_rows, y_columns, y_rows,
    C, XH, XW, GH, GW, YH, YW, x_stride, x_offset, g_stride, g_offset, y_stride, tiles_h, tiles_w, clamp,
    SCALED: tl.constexpr, DIRECTED: tl.constexpr, SUMMED: tl.constexpr,
    G_TERMS: tl.constexpr, Y_TERMS: tl.constexpr, HIGH: tl.constexpr,
    X_LENGTH: tl.constexpr, X: tl.constexpr, G_LENGTH: tl.constexpr, G: tl.constexpr,
    Y_LENGTH: tl.constexpr, Y: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0) % (tiles_h * tiles_w)
    at_map = (tl.program_id(0) // (tiles_h * tiles_w)).to(tl.int64)
    tile_h = tile // tiles_w
    tile_w = tile % tiles_w
    x, inside = _tile(x_ptr, at_map, tile_h, tile_w, x_stride, x_offset, XH, XW, X_LENGTH, X)
    if SCALED:
        x *= tl.load(scale_ptr + at_map).to(tl.float32)
    x = tl.where(inside, x + tl.load(bias_ptr + at_map % C).to(tl.float32), 0.0)
    u = _product(x_columns, x, x_rows, 0, HIGH, X, PRECISION)
    z = tl.where(u > 0, u, u * _SLOPE)
    if DIRECTED:
        g, _ = _tile(g_ptr, at_map, tile_h, tile_w, g_stride, g_offset, GH, GW, G_LENGTH, G)
        h = _product(g_columns, g, g_rows, 0, HIGH, G, PRECISION)
        for term in tl.static_range(1, G_TERMS):
            h += _product(g_columns, g, g_rows, term, HIGH, G, PRECISION)
        h = tl.where(u > 0, h, h * _SLOPE)
        z = tl.where(tl.abs(z) >= clamp, 0.0, h)
    else:
        z = tl.where(z > clamp, clamp, tl.where(z < -clamp, -clamp, z))  # a NaN stays one
    y = _product(y_columns, z, y_rows, 0, Y, HIGH, PRECISION)
    for term in tl.static_range(1, Y_TERMS):
        y += _product(y_columns, z, y_rows, term, Y, HIGH, PRECISION)
    k = tl.arange(0, Y)
    i = tile_h * y_stride + k
    j = tile_w * y_stride + k
    written = ((i < YH) & (k < Y_LENGTH))[:, None] & ((j < YW) & (k < Y_LENGTH))[None, :]
    at = at_map * (YH * YW) + i[:, None] * YW + j[None, :]
    if SUMMED:  # y is the gradient of scale * x + bias, and has the size of x
        y = tl.where(written, y, 0.0)
        entered = tl.load(x_ptr + at, mask=written, other=0.0).to(tl.float32)
        tl.store(sums_ptr + tl.program_id(0), tl.sum(tl.sum(y * entered, 1), 0))
        tl.store(sums_ptr + tl.num_programs(0) + tl.program_id(0), tl.sum(tl.sum(y, 1), 0))
        y *= tl.load(scale_ptr + at_map).to(tl.float32)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=written)


def run(
    plan: Plan,
    x: Tensor,
    g: Tensor | None,
    scale: Tensor | None,
    bias: Tensor,
    clamp: float | None,
    sums: Tensor | None = None,
) -> Tensor:
    """y of the plan's kind. The gain is in the matrices: `clamp` is what limits before it.

    Args:
        sums: (2, N, C, tiles), for the cotangent: gets what the sums of y * x and of y over a map consist of, and y is
            multiplied by the scale. That is all of the backward pass.
    """
    N, C, XH, XW = x.shape
    x, bias, g = x.contiguous(), bias.contiguous(), x if g is None else g.contiguous()
    y = x.new_empty((N, C, *plan.size))
    read = plan.x if plan.g is None else plan.g
    _kernel[(N * C * plan.tiles[0] * plan.tiles[1],)](
        x, g, bias if scale is None else scale.contiguous(), bias, y, bias if sums is None else sums,
        plan.x.columns, plan.x.rows, read.columns, read.rows, plan.y.columns, plan.y.rows,
        C, XH, XW, *g.shape[2:], *plan.size, plan.x.stride, plan.x.offset, read.stride, read.offset, plan.y.stride,
        *plan.tiles, UNLIMITED if clamp is None else clamp,
        SCALED=scale is not None, DIRECTED=plan.g is not None, SUMMED=sums is not None,
        G_TERMS=len(read.columns), Y_TERMS=len(plan.y.columns), HIGH=HIGH,
        X_LENGTH=plan.x.length, X=plan.x.columns.shape[2], G_LENGTH=read.length, G=read.columns.shape[2],
        Y_LENGTH=plan.y.length, Y=plan.y.columns.shape[1],
        PRECISION="tf32x3" if x.dtype == torch.float32 else "tf32", num_warps=4,
    )  # fmt: skip
    return y
