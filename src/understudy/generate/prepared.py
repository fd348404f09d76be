"""Weights as convolutions take them: scaled, in the type and, on a GPU, the layout of the maps, with what demodulation
needs of them.

The weights are small next to the maps, but preparing them takes many operations, and a GPU has to start each of them.
Here one operation prepares them, and one computes the gradient.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels
from .first_gradient import of_parameters
from .layout import layout_of

# What the weights to an output channel are divided by: nothing; the largest of them and the root of their number, which
# keeps sums in fp16 below 65504; their length.
UNCHANGED, LARGEST, LENGTH = 0, 1, 2


def weights_for(x_NIHW: Tensor, w_OIKK: Tensor, gain: float) -> Tensor:
    """w * gain, to be convolved with x."""
    if not kernels.fused(w_OIKK):
        return (w_OIKK * gain).to(x_NIHW.dtype)
    return _Prepared.apply(w_OIKK, gain, UNCHANGED, x_NIHW.dtype, False, _last(x_NIHW), False)[0]


def weights_and_squares(
    x_NIHW: Tensor, w_OIKK: Tensor, norm: int = UNCHANGED, *, transposed: bool = False
) -> tuple[Tensor, Tensor]:
    """The weights to be convolved with x, and the sums over taps of their squares (O, I), whose root demodulation
    divides by; `transposed`: as a transposed convolution takes them, (I, O, K, K).

    Demodulation undoes any scale of the weights to an output channel, so that it may be chosen (`norm`), and has no
    gradient.
    """
    gain = 1 / math.sqrt(w_OIKK[0].numel()) if norm == LARGEST else 1.0
    dtype = x_NIHW.dtype
    if kernels.fused(w_OIKK):
        v_OIKK, _, squares_OI = _Prepared.apply(w_OIKK, gain, norm, dtype, True, _last(x_NIHW), transposed)
        return _swapped(v_OIKK, transposed), squares_OI
    if norm == LARGEST:
        w_OIKK = w_OIKK / (w_OIKK.detach().abs().amax((1, 2, 3), keepdim=True) / gain)
    elif norm == LENGTH:
        w_OIKK = w_OIKK * w_OIKK.detach().square().sum((1, 2, 3), keepdim=True).rsqrt()
    return _swapped(w_OIKK, transposed).to(dtype), w_OIKK.square().sum((2, 3))


def _swapped(w_OIKK: Tensor, transposed: bool) -> Tensor:
    return w_OIKK.transpose(0, 1) if transposed else w_OIKK


def _last(x: Tensor) -> bool:
    return layout_of(x) == torch.channels_last


class _Prepared(torch.autograd.Function):
    @staticmethod
    def forward(w_OIKK, gain: float, norm: int, dtype: torch.dtype, squared: bool, last: bool, transposed: bool):
        return torch.ops.understudy.prepare(w_OIKK.contiguous(), gain, norm, dtype, squared, last, transposed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def backward(ctx, gv: Tensor, _, gq: Tensor | None):
        w_OIKK, c_O = ctx.saved_tensors
        if not torch.is_grad_enabled():
            gq = None if gq is None else gq.contiguous()
            gradient = torch.ops.understudy.prepare_backward(gv, gq, w_OIKK, c_O)
            return gradient, *[None] * 6
        c_O111 = c_O.view(-1, 1, 1, 1)
        gradient = gv.to(w_OIKK.dtype)
        if gq is not None:
            gradient = gradient + gq[:, :, None, None] * (2 * c_O111 * w_OIKK)
        return gradient * c_O111, *[None] * 6


@functools.cache
def _epsilon(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Kept, since a copy to a GPU would wait for it."""
    return torch.full((1,), 1e-8, device=device, dtype=dtype)


def demodulation(s_NI: Tensor, squares_OI: Tensor) -> Tensor:
    """(N, O): one over the norm of each image's weights to an output channel (StyleGAN 2, equation 3)."""
    return _Demodulation.apply(s_NI, squares_OI)[0]


class _Demodulation(torch.autograd.Function):
    """(s^2 q^T + 1e-8)^(-1/2), with the factors of its derivatives inside the products."""

    @staticmethod
    def forward(s_NI: Tensor, q_OI: Tensor) -> tuple[Tensor, Tensor]:
        squares_NI = s_NI.square()
        return torch.addmm(_epsilon(s_NI.device, s_NI.dtype), squares_NI, q_OI.T).rsqrt_(), squares_NI

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, *output)

    @staticmethod
    def backward(ctx, g_NO: Tensor | None, _):
        if g_NO is None:
            return None, None
        s_NI, q_OI, d_NO, squares_NI = ctx.saved_tensors
        if torch.is_grad_enabled():
            squares_NI = s_NI.square()
        e_NO, nothing = g_NO * d_NO.pow(3), g_NO.new_empty(1)
        gradient_s = s_NI * torch.addmm(nothing, e_NO, q_OI, beta=0, alpha=-1.0)
        if not of_parameters():
            return gradient_s, None
        gradient_q = torch.addmm(nothing, e_NO.T, squares_NI, beta=0, alpha=-0.5)
        return gradient_s, gradient_q


def four_shifts(x_NIHW: Tensor, w_OI33: Tensor, gain: float, *, transposed: bool = False) -> Tensor:
    """(O, I, 4, 4), to be convolved with x: the sum of the kernel at the four places that it has there, times gain;
    `transposed`: as a transposed convolution takes them, flipped along both axes, (I, O, 4, 4)."""
    dtype = x_NIHW.dtype
    if kernels.fused(w_OI33):
        v = _Shifts.apply(w_OI33, gain, transposed, 4, dtype, _last(x_NIHW), transposed)
        return _swapped(v, transposed)
    w = w_OI33 * gain
    w = F.pad(w.flip(2, 3) if transposed else w, (1, 1, 1, 1))
    w = w[..., 1:] + w[..., :-1]
    return _swapped(w[..., 1:, :] + w[..., :-1, :], transposed).to(dtype)


class _Shifts(torch.autograd.Function):
    """From 3 x 3 to 4 x 4, or the adjoint, from 4 x 4 to 3 x 3: each is the other's gradient, of every order. The
    adjoint is written as parameters are kept, in planes."""

    @staticmethod
    def forward(w_OIKK, gain: float, flipped: bool, size: int, dtype: torch.dtype, last: bool, transposed: bool):
        return torch.ops.understudy.shifts(w_OIKK, gain, flipped, size, dtype, last, transposed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        w_OIKK, ctx.gain, ctx.flipped, *_ = inputs
        ctx.size, ctx.dtype = w_OIKK.shape[2], w_OIKK.dtype

    @staticmethod
    def backward(ctx, g_OIKK: Tensor):
        return _Shifts.apply(g_OIKK, ctx.gain, ctx.flipped, ctx.size, ctx.dtype, False, False), *[None] * 6
