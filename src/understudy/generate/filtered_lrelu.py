"""The activation of StyleGAN 3: up-sampling, leaky ReLU, down-sampling, so that frequencies it adds above the new
Nyquist frequency are filtered away before they can alias (Karras et al. 2021, sections 2.1 and 3.2, configuration F).

`filtered_lrelu_reference` says what is computed. `filtered_lrelu` computes the same, faster and in less memory:

- Up-sampling and down-sampling of an axis are products with a banded matrix, which combines filter, gain, padding,
  inserted zeros and dropped samples. A few dense blocks along the band suit matrix units: no inserted zero is
  multiplied, no dropped sample is computed, and PyTorch alone is enough.
- The up-sampled activation, 4 to 16 times as large as the input, exists only for a few maps at a time. Backward
  passes compute it again.
- J, the Jacobian at x, is D phi'(U x) U. It is constant except at the activation's kinks. So the gradient of J^T g is J
  of the incoming gradient, and the other way round: one operation gives gradients of every order.

A CPU uses this form, and the tests compare with it. On a GPU the same J is one kernel (filtered_kernel.py).
"""

import functools
import json
import math
import sys
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.run.triton_operations import define, differentiate, fused

from . import filtered_plan
from .filters import separable_terms
from .kernels import SLOPE
from .modulation import scale_gradients

BLOCK = 64  # length of a dense block along the higher rate: longer multiply more zeros, shorter cost more calls
# entries of the up-sampled activation at a time: on a CPU they stay in a core's cache; shapes alone take no memory
CHUNKS = {"cpu": 2**18, "meta": sys.maxsize}
GPU_CHUNK = 2**27


@dataclass(frozen=True)
class Form:
    """What surrounds an activation, and its own numbers. Filters have sum 1 and are symmetric."""

    up: int  # factor of the sampling rate
    down: int
    padding: tuple[int, int]  # zeros before and after at the higher rate; negative: so many are cut off
    up_taps: tuple[float, ...]
    down_taps: tuple  # of floats, or of rows of them: a filter of the plane, which is not separable
    gain: float = math.sqrt(2)
    clamp: float | None = None  # of the activation, at the higher rate

    def __post_init__(self):
        """`text` is all of it, to make an equal one of by `of`."""
        text = json.dumps([getattr(self, field.name) for field in fields(self)])
        object.__setattr__(self, "text", text)

    @staticmethod
    @functools.cache
    def of(text: str) -> "Form":
        return Form(*map(_tuples, json.loads(text)))

    @property
    def clamp_before_gain(self) -> float | None:
        return None if self.clamp is None else self.clamp / self.gain

    def size(self, size: int) -> tuple[int, int]:
        """Lengths of an axis of `size` at the higher rate, and after it."""
        upsampled = size * self.up + sum(self.padding) - len(self.up_taps) + 1
        return upsampled, (upsampled - len(self.down_taps)) // self.down + 1


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------ reference
def filtered_lrelu_reference(x_NCHW: Tensor, bias_C: Tensor, form: Form, scale_NC: Tensor | None = None) -> Tensor:
    """The definition by steps: scale, bias, zeros between, padding, filter, leaky ReLU, clamp, filter, every n-th."""
    N, C, H, W = x_NCHW.shape
    x_NCHW = _shifted(x_NCHW, scale_NC, bias_C)
    x = x_NCHW.reshape(N, C, H, 1, W, 1)
    x = F.pad(x, (0, form.up - 1, 0, 0, 0, form.up - 1)).reshape(N, C, H * form.up, W * form.up)
    x = _filter(F.pad(x, form.padding * 2), form.up_taps) * form.up**2
    x = F.leaky_relu(x, SLOPE) * form.gain
    if form.clamp is not None:
        x = x.clamp(-form.clamp, form.clamp)
    return _filter(x, form.down_taps)[..., :: form.down, :: form.down]


def _filter(x_NCHW: Tensor, taps: tuple) -> Tensor:
    f = torch.tensor(taps, dtype=x_NCHW.dtype, device=x_NCHW.device)
    C = x_NCHW.shape[1]
    if f.ndim == 2:
        return F.conv2d(x_NCHW, f.expand(C, 1, -1, -1), groups=C)
    x_NCHW = F.conv2d(x_NCHW, f[:, None].expand(C, 1, -1, -1), groups=C)
    return F.conv2d(x_NCHW, f.expand(C, 1, 1, -1), groups=C)


# ------------------------------------------------------------------------------------------------ banded matrices
def _upsampling_matrix(taps: np.ndarray, form: Form, size: int) -> np.ndarray:
    """(at the higher rate, size): zeros between, padding, filter, and the gain that keeps the mean."""
    t = form.up * np.arange(size) + form.padding[0] - np.arange(form.size(size)[0])[:, None]
    inside = (t >= 0) & (t < len(taps))
    return form.up * np.where(inside, taps[t.clip(0, len(taps) - 1)], 0)


def _downsampling_matrix(taps: np.ndarray, form: Form, size: int) -> np.ndarray:
    """(afterwards, at the higher rate): filter and every n-th sample."""
    upsampled, after = form.size(size)
    t = np.arange(upsampled) - form.down * np.arange(after)[:, None]
    return np.where((t >= 0) & (t < len(taps)), taps[t.clip(0, len(taps) - 1)], 0)


class _Band:
    """A banded matrix (out, in) as dense blocks: rows [first, last), and of columns those that are not zero there."""

    def __init__(self, matrix: np.ndarray, device: torch.device, dtype: torch.dtype):
        self.outputs = len(matrix)
        self.blocks = []
        first = 0
        for rows in np.array_split(matrix, math.ceil(max(matrix.shape) / BLOCK)):
            used = np.flatnonzero(rows.any(0))
            start, stop = (used[0], used[-1] + 1) if len(used) else (0, 1)
            block = torch.from_numpy(np.ascontiguousarray(rows[:, start:stop])).to(device, dtype)
            self.blocks.append((first, first + len(rows), int(start), int(stop), block, block.T.contiguous()))
            first += len(rows)

    def along_rows(self, x_nHW: Tensor) -> Tensor:
        """Each row of pixels times the matrix: (n, H, in) -> (n, H, out)."""
        n, H, W = x_nHW.shape
        y = x_nHW.new_empty(n * H, self.outputs)
        x = x_nHW.reshape(n * H, W)
        for first, last, start, stop, _, transposed in self.blocks:
            y[:, first:last].addmm_(x[:, start:stop], transposed, beta=0)
        return y.view(n, H, self.outputs)

    def along_columns(self, x_nHW: Tensor, y_nHW: Tensor | None = None) -> Tensor:
        """The matrix times each column of pixels, (n, in, W) -> (n, out, W); added to y, if given."""
        n, _, W = x_nHW.shape
        beta = 0 if y_nHW is None else 1
        y_nHW = x_nHW.new_empty(n, self.outputs, W) if y_nHW is None else y_nHW
        for first, last, start, stop, block, _ in self.blocks:
            y_nHW[:, first:last].baddbmm_(block.expand(n, -1, -1), x_nHW[:, start:stop], beta=beta)
        return y_nHW


class _Resampler:
    """A linear map of images: the sum over terms of (matrix of columns) x (matrix of rows)^T."""

    def __init__(self, terms: list[tuple[np.ndarray, np.ndarray]], device: torch.device, dtype: torch.dtype):
        self.terms = [(_Band(a, device, dtype), _Band(b, device, dtype)) for a, b in terms]

    def __call__(self, x_nHW: Tensor) -> Tensor:
        y_nHW = None
        for columns, rows in self.terms:
            y_nHW = columns.along_columns(rows.along_rows(x_nHW), y_nHW)
        return y_nHW


class _Maps:
    """U and D of a form for images of one size, and their adjoints. The gain of the activation is part of D."""

    def __init__(self, form: Form, size: tuple[int, int], device: torch.device, dtype: torch.dtype):
        H, W = size
        up = [
            (_upsampling_matrix(a, form, H), _upsampling_matrix(b, form, W))
            for a, b in separable_terms(np.array(form.up_taps))
        ]
        down = [
            (form.gain * _downsampling_matrix(a, form, H), _downsampling_matrix(b, form, W))
            for a, b in separable_terms(np.array(form.down_taps))
        ]
        self.up, self.down = _Resampler(up, device, dtype), _Resampler(down, device, dtype)
        self.up_adjoint = _Resampler([(a.T, b.T) for a, b in up], device, dtype)
        self.down_adjoint = _Resampler([(a.T, b.T) for a, b in down], device, dtype)
        self.clamp = form.clamp_before_gain
        upsampled = form.size(H)[0] * form.size(W)[0]
        self.chunk = max(CHUNKS.get(device.type, GPU_CHUNK) // upsampled, 1)
        self.before, self.after = size, (form.size(H)[1], form.size(W)[1])

    def value(self, x_nHW: Tensor) -> Tensor:
        """D phi(U x)."""
        u_nHW = F.leaky_relu_(self.up(x_nHW), SLOPE)
        return self.down(u_nHW if self.clamp is None else u_nHW.clamp_(-self.clamp, self.clamp))

    def tangent(self, x_nHW: Tensor, g_nHW: Tensor) -> Tensor:
        """J g = D phi'(U x) U g."""
        return self.down(self._slopes(self.up(x_nHW), self.up(g_nHW)))

    def cotangent(self, x_nHW: Tensor, g_nHW: Tensor) -> Tensor:
        """J^T g = U^T phi'(U x) D^T g."""
        return self.up_adjoint(self._slopes(self.up(x_nHW), self.down_adjoint(g_nHW)))

    def _slopes(self, u_nHW: Tensor, g_nHW: Tensor) -> Tensor:
        """g phi'(u), by the two operations that autograd has for it."""
        u_nHW = F.leaky_relu_(u_nHW, SLOPE)  # has the sign of u
        if self.clamp is not None:
            g_nHW = torch.ops.aten.hardtanh_backward(g_nHW, u_nHW, -self.clamp, self.clamp)
        return torch.ops.aten.leaky_relu_backward(g_nHW, u_nHW, SLOPE, True)


# Kept, since they are the same in every iteration and a copy to a GPU would wait for it.
_maps = functools.cache(_Maps)


def _maps_of(x_NCHW: Tensor, form: Form) -> _Maps:
    return _maps(form, tuple(x_NCHW.shape[2:]), x_NCHW.device, x_NCHW.dtype)


# ------------------------------------------------------------------------------------------------ the fast path
def _by_chunks(function, chunk: int, size: tuple[int, int], *inputs_NCHW: Tensor) -> Tensor:
    """function of a few maps at a time, (n, H, W) each -> (n, *size)."""
    N, C = inputs_NCHW[0].shape[:2]
    inputs = [x.reshape(N * C, *x.shape[2:]) for x in inputs_NCHW]
    if chunk >= N * C:
        return function(*inputs).view(N, C, *size)
    y = inputs[0].new_empty(N * C, *size)
    for parts in zip(y.split(chunk), *(x.split(chunk) for x in inputs), strict=True):
        parts[0].copy_(function(*parts[1:]))
    return y.view(N, C, *size)


def _shifted(x_NCHW: Tensor, scale_NC: Tensor | None, bias_C: Tensor) -> Tensor:
    if scale_NC is not None:
        x_NCHW = x_NCHW * scale_NC[:, :, None, None]
    return x_NCHW + bias_C.to(x_NCHW.dtype)[:, None, None]


def _plain_value(x_NCHW: Tensor, scale_NC: Tensor | None, bias_C: Tensor, form: Form) -> Tensor:
    maps = _maps_of(x_NCHW, form)
    return _by_chunks(maps.value, maps.chunk, maps.after, _shifted(x_NCHW, scale_NC, bias_C))


def _plain_linear(g_NCHW: Tensor, x_NCHW: Tensor, scale_NC, bias_C: Tensor, form: Form, adjoint: bool) -> Tensor:
    maps = _maps_of(x_NCHW, form)
    function, size = (maps.cotangent, maps.before) if adjoint else (maps.tangent, maps.after)
    return _by_chunks(function, maps.chunk, size, _shifted(x_NCHW, scale_NC, bias_C), g_NCHW)


# ------------------------------------------------------------------------------------------------ as operations
# Opaque to what traces a network: it sees two operations with known shapes, and no matrices of NumPy. A form goes in as
# its text, since an operation takes no objects.


def _fused(kind: str, x_NCHW: Tensor, g_NCHW: Tensor | None, scale_NC: Tensor | None, bias_C, form: Form, sums=None):
    from . import filtered_kernel

    planned = filtered_plan.plan(form, tuple(x_NCHW.shape[2:]), kind, x_NCHW.device)
    return filtered_kernel.run(planned, x_NCHW, g_NCHW, scale_NC, bias_C, form.clamp_before_gain, sums)


def _value(x_NCHW: Tensor, scale_NC: Tensor | None, bias_C: Tensor, text: str) -> Tensor:
    form = Form.of(text)
    if fused(x_NCHW):
        return _fused("value", x_NCHW, None, scale_NC, bias_C, form)
    return _plain_value(x_NCHW, scale_NC, bias_C, form)


def _value_shape(x_NCHW: Tensor, scale_NC: Tensor | None, bias_C: Tensor, text: str) -> Tensor:
    form = Form.of(text)
    return x_NCHW.new_empty((*x_NCHW.shape[:2], *(form.size(n)[1] for n in x_NCHW.shape[2:])))


def _linear(g_NCHW: Tensor, x_NCHW: Tensor, scale_NC: Tensor | None, bias_C: Tensor, text: str, adjoint: bool):
    """J g, or J^T g (adjoint), with J by what enters the filter: x times its scale plus bias."""
    form = Form.of(text)
    if fused(x_NCHW):
        return _fused("cotangent" if adjoint else "tangent", x_NCHW, g_NCHW, scale_NC, bias_C, form)
    return _plain_linear(g_NCHW, x_NCHW, scale_NC, bias_C, form, adjoint)


def _linear_shape(g_NCHW: Tensor, x_NCHW: Tensor, scale_NC, bias_C: Tensor, text: str, adjoint: bool) -> Tensor:
    return torch.empty_like(x_NCHW) if adjoint else _value_shape(x_NCHW, scale_NC, bias_C, text)


def _backward_shape(g_NCHW: Tensor, x_NCHW: Tensor, scale_NC: Tensor, bias_C: Tensor, text: str):
    planned = filtered_plan.plan(Form.of(text), tuple(x_NCHW.shape[2:]), "cotangent", x_NCHW.device)
    tiles = planned.tiles[0] * planned.tiles[1]
    return torch.empty_like(x_NCHW), x_NCHW.new_empty((2, *x_NCHW.shape[:2], tiles), dtype=torch.float32)


def _backward(g_NCHW: Tensor, x_NCHW: Tensor, scale_NC: Tensor, bias_C: Tensor, text: str) -> tuple[Tensor, Tensor]:
    """The gradient of x, and the parts of those of scale and bias that each tile of the kernel has."""
    _, sums_2NCT = _backward_shape(g_NCHW, x_NCHW, scale_NC, bias_C, text)
    return _fused("cotangent", x_NCHW, g_NCHW, scale_NC, bias_C, Form.of(text), sums_2NCT), sums_2NCT


def _value_setup(ctx, inputs, output) -> None:
    x_NCHW, scale_NC, bias_C, ctx.text = inputs
    ctx.save_for_backward(x_NCHW, scale_NC, bias_C)


def _value_backward(ctx, g_NCHW: Tensor):
    x_NCHW, scale_NC, bias_C = ctx.saved_tensors
    if scale_NC is not None and fused(x_NCHW) and not torch.is_grad_enabled():
        gradient, sums_2NCT = torch.ops.understudy.filtered_lrelu_backward(g_NCHW, *ctx.saved_tensors, ctx.text)
        gradient_scale, sums_NC = sums_2NCT.sum(3).unbind()
        return gradient, gradient_scale.to(scale_NC.dtype), sums_NC.sum(0).to(bias_C.dtype), None
    h_NCHW = torch.ops.understudy.filtered_lrelu_linear(g_NCHW, x_NCHW, scale_NC, bias_C, ctx.text, True)
    if scale_NC is None:
        return h_NCHW, None, h_NCHW.sum((0, 2, 3)).to(bias_C.dtype), None
    gradient, gradient_scale = scale_gradients(h_NCHW, x_NCHW, scale_NC)
    return gradient, gradient_scale, h_NCHW.sum((0, 2, 3)).to(bias_C.dtype), None


def _linear_setup(ctx, inputs, output) -> None:
    _, x_NCHW, scale_NC, bias_C, ctx.text, ctx.adjoint = inputs
    ctx.save_for_backward(x_NCHW, scale_NC, bias_C)


def _linear_backward(ctx, h_NCHW: Tensor):
    gradient = torch.ops.understudy.filtered_lrelu_linear(h_NCHW, *ctx.saved_tensors, ctx.text, not ctx.adjoint)
    return gradient, None, None, None, None, None


for _schema, _shape, _compute, _setup, _gradient in (
    (
        "filtered_lrelu(Tensor x, Tensor? scale, Tensor bias, str form) -> Tensor",
        _value_shape, _value, _value_setup, _value_backward,
    ),
    (
        "filtered_lrelu_linear(Tensor g, Tensor x, Tensor? scale, Tensor bias, str form, bool adjoint) -> Tensor",
        _linear_shape, _linear, _linear_setup, _linear_backward,
    ),
):  # fmt: skip
    define(_schema, _shape, _compute, on_cpu=True)
    differentiate(_schema, _gradient, _setup)
define(
    "filtered_lrelu_backward(Tensor g, Tensor x, Tensor scale, Tensor bias, str form) -> (Tensor, Tensor)",
    _backward_shape,
    _backward,
    on_cpu=True,
)


def filtered_lrelu(x_NCHW: Tensor, bias_C: Tensor, form: Form, scale_NC: Tensor | None = None) -> Tensor:
    """filtered_lrelu_reference of x times its scale, up to rounding, with gradients of every order."""
    return torch.ops.understudy.filtered_lrelu(x_NCHW, scale_NC, bias_C, form.text)
