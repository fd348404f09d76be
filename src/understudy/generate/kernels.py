"""Triton kernels of the GANs, as operations `torch.ops.understudy.*` that know their shapes on the meta device.

A GPU needs longer to move a feature map than to compute with it, so each kernel does in one pass over the maps what
PyTorch does in several. Each caller (activation.py, layers.py) also has the plain
form, which runs on a CPU and with which the tests compare. Maps are (N, C, H, W), in planes or with channels last, or
(N, C), without gaps; results have the layout of the first. A "row" is the map of one image and channel. All compute in
fp32.
"""

import torch
from torch import Tensor

from understudy.run.triton_operations import define
from understudy.run.triton_operations import fused as fused  # here, so that all GANs have one

from .layout import layout_of

SLOPE = 0.2  # of the leaky ReLU
UNLIMITED = 3.0e38  # as a limit of activations: none, and a number of fp32


def sizes(x: Tensor) -> tuple[int, int, int]:
    """(images, channels, pixels)."""
    return *x.shape[:2], x[0, 0].numel()


# ------------------------------------------------------------------------------------------------ activation
def _new_like(x: Tensor, *_) -> Tensor:
    return torch.empty_like(x)


def _new_with_slopes(x: Tensor, *others) -> tuple[Tensor, Tensor]:
    *_, kept = others
    N, C, P = sizes(x)
    lines, entries = (P, C) if layout_of(x) == torch.channels_last else (C, P)
    return _new_like(x), x.new_empty((N, lines, -(-entries // 4) if kept else 0), dtype=torch.uint8)


def _activate(x: Tensor, *others) -> tuple[Tensor, Tensor]:
    from . import triton_kernels

    return triton_kernels.activate(x, *others, *_new_with_slopes(x, *others))


def _bend(g: Tensor, *others) -> Tensor:
    from . import triton_kernels

    return triton_kernels.bend(g, *others, _new_like(g))


def _scale(x: Tensor, scale: Tensor) -> Tensor:
    from . import triton_kernels

    return triton_kernels.scale(x, scale, _new_like(x))


def _new_with_row_sums(g: Tensor, *_) -> tuple[Tensor, Tensor]:
    return _new_like(g), g.new_empty(g.shape[:2], dtype=torch.float32)


def _scale_backward(*inputs) -> tuple[Tensor, Tensor]:
    from . import triton_kernels

    return triton_kernels.scale_backward(*inputs, *_new_with_row_sums(*inputs))


def _new_twice(h: Tensor, k: Tensor, g: Tensor, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _new_like(g), _new_like(x), g.new_empty(g.shape[:2], dtype=torch.float32)


def _scale_backward_twice(*inputs) -> tuple[Tensor, Tensor, Tensor]:
    from . import triton_kernels

    return triton_kernels.scale_backward_twice(*inputs, *_new_twice(*inputs))


def _new_sums(x: Tensor) -> Tensor:
    return x.new_empty(x.shape[:2], dtype=torch.float32)


def _squares(x: Tensor) -> Tensor:
    from . import triton_kernels

    return triton_kernels.squares(x, _new_sums(x))


def _new_filtered(x: Tensor, kernel: Tensor, up: int, down: int, padding: int, gain: float, size: list[int]) -> Tensor:
    return torch.empty((*x.shape[:2], *size), dtype=x.dtype, device=x.device, memory_format=layout_of(x))


def _fir(*inputs) -> Tensor:
    from . import triton_kernels

    return triton_kernels.fir(*inputs, _new_filtered(*inputs))


def _new_with_sums(g: Tensor, slopes: Tensor, x: Tensor | None, scale: Tensor | None, noise: Tensor | None, *_):
    sums = 1 if scale is None and noise is None else 3
    return _new_like(g), g.new_empty((sums, *g.shape[:2]), dtype=torch.float32)


def _activate_backward(*inputs) -> tuple[Tensor, Tensor]:
    from . import triton_kernels

    return triton_kernels.activate_backward(*inputs, *_new_with_sums(*inputs))


# y and, if `kept`, its slopes: two bits of an entry, whether it is positive and whether it is within the limit, four
# entries that are neighbours in memory in a byte, of a row or of a pixel's channels
define(
    "activate(Tensor x, Tensor? scale, Tensor? noise, Tensor? strength, Tensor? bias, float gain, float limit,"
    " float x_gain, bool kept) -> (Tensor, Tensor)",
    _new_with_slopes,
    _activate,
)
# g times the slopes
define("bend(Tensor g, Tensor slopes, float gain) -> Tensor", _new_like, _bend)
define(
    "activate_backward(Tensor g, Tensor slopes, Tensor? x, Tensor? scale, Tensor? noise, float gain)"
    " -> (Tensor, Tensor)",
    _new_with_sums,
    _activate_backward,
)
define("scale(Tensor x, Tensor scale) -> Tensor", _new_like, _scale)
# of y = x * scale: g * scale, and the sums of g * x of every row
define("scale_backward(Tensor g, Tensor x, Tensor scale) -> (Tensor, Tensor)", _new_with_row_sums, _scale_backward)
# the gradients of g, x and scale there, where h and k are those of the two results
define(
    "scale_backward_twice(Tensor h, Tensor k, Tensor g, Tensor x, Tensor scale) -> (Tensor, Tensor, Tensor)",
    _new_twice,
    _scale_backward_twice,
)
# zeros between (up), `padding` zeros before, a filter (K, K) times gain, every n-th (down), as many as fit `size`
define(
    "fir(Tensor x, Tensor kernel, int up, int down, int padding, float gain, int[] size) -> Tensor",
    _new_filtered,
    _fir,
)
# the sums of squares of every row
define("squares(Tensor x) -> Tensor", _new_sums, _squares)


# ------------------------------------------------------------------------------------------------ weights
def _new_kernels(w: Tensor, size: int, dtype: torch.dtype, last: bool, transposed: bool) -> Tensor:
    """(O, I, size, size); `transposed`: so that v.transpose(0, 1) is what has the layout."""
    outputs, inputs = w.shape[:2]
    layout = torch.channels_last if last else torch.contiguous_format
    rows = (inputs, outputs) if transposed else (outputs, inputs)
    v = torch.empty((*rows, size, size), dtype=dtype, device=w.device, memory_format=layout)
    return v.transpose(0, 1) if transposed else v


def _new_weights(w: Tensor, gain: float, norm: int, dtype: torch.dtype, squared: bool, *layout: bool):
    v = _new_kernels(w, w.shape[2], dtype, *layout)
    return v, w.new_empty(w.shape[0]), w.new_empty(w.shape[:2] if squared else (0,))


def _prepare(w: Tensor, gain: float, norm: int, dtype: torch.dtype, squared: bool, *layout: bool):
    from . import weight_kernels

    return weight_kernels.prepare(w, gain, norm, squared, *_new_weights(w, gain, norm, dtype, squared, *layout))


def _new_weight(gv: Tensor, gq: Tensor | None, w: Tensor, c: Tensor) -> Tensor:
    return torch.empty_like(w)


def _prepare_backward(*inputs) -> Tensor:
    from . import weight_kernels

    return weight_kernels.prepare_backward(*inputs, _new_weight(*inputs))


# v = c w in a type, with channels `last` or in planes, itself or `transposed`;
# c = gain (norm 0), over the largest |w| of an output channel (1), or over the root of its sum of
# squares (2); the sums of v^2 over the taps
define(
    "prepare(Tensor w, float gain, int norm, ScalarType dtype, bool squared, bool last, bool transposed)"
    " -> (Tensor, Tensor, Tensor)",
    _new_weights,
    _prepare,
)
define("prepare_backward(Tensor gv, Tensor? gq, Tensor w, Tensor c) -> Tensor", _new_weight, _prepare_backward)


def _new_shifted(w: Tensor, gain: float, flipped: bool, size: int, dtype: torch.dtype, *layout: bool) -> Tensor:
    return _new_kernels(w, size, dtype, *layout)


def _shifts(w: Tensor, gain: float, flipped: bool, *others) -> Tensor:
    from . import weight_kernels

    return weight_kernels.shifts(w, gain, flipped, _new_shifted(w, gain, flipped, *others))


# prepared.four_shifts from 3 x 3 to size 4, and its adjoint from 4 x 4 to size 3
define(
    "shifts(Tensor w, float gain, bool flipped, int size, ScalarType dtype, bool last, bool transposed) -> Tensor",
    _new_shifted,
    _shifts,
)


# ------------------------------------------------------------------------------------------------ descent
def _make_finite(flat: Tensor) -> Tensor:
    from . import weight_kernels

    return weight_kernels.make_finite(flat, flat.new_empty(weight_kernels.tiles(flat), dtype=torch.int64)).sum()


# NaN to 0 and infinity to +-1e5, in place; how many there were
define("make_finite(Tensor(a!) flat) -> Tensor", lambda flat: flat.new_empty((), dtype=torch.int64), _make_finite)
