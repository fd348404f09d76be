"""Weights as convolutions take them: scaled, in the type of the maps, with what demodulation needs of them.

Small next to the maps, but of many operations, each of which a GPU has to start: here one, and one for the gradient.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels
from .first_gradient import of_parameters

# What the weights to an output channel are divided by: nothing; the largest of them and the root of their number, which
# keeps sums in fp16 below 65504; their length.
UNCHANGED, LARGEST, LENGTH = 0, 1, 2


def weights_for(dtype: torch.dtype, w_OIKK: Tensor, gain: float) -> Tensor:
    """w * gain in the type."""
    if not kernels.fused(w_OIKK):
        return (w_OIKK * gain).to(dtype)
    return _Prepared.apply(w_OIKK, gain, UNCHANGED, dtype, False)[0]


def weights_and_squares(dtype: torch.dtype, w_OIKK: Tensor, norm: int = UNCHANGED) -> tuple[Tensor, Tensor]:
    """The weights in the type, and the sums over taps of their squares (O, I), whose root demodulation divides by.

    Demodulation undoes any scale of the weights to an output channel, so that it may be chosen (`norm`), and has no
    gradient.
    """
    gain = 1 / math.sqrt(w_OIKK[0].numel()) if norm == LARGEST else 1.0
    if kernels.fused(w_OIKK):
        return _Prepared.apply(w_OIKK, gain, norm, dtype, True)[::2]
    if norm == LARGEST:
        w_OIKK = w_OIKK / (w_OIKK.detach().abs().amax((1, 2, 3), keepdim=True) / gain)
    elif norm == LENGTH:
        w_OIKK = w_OIKK * w_OIKK.detach().square().sum((1, 2, 3), keepdim=True).rsqrt()
    return w_OIKK.to(dtype), w_OIKK.square().sum((2, 3))


class _Prepared(torch.autograd.Function):
    @staticmethod
    def forward(w_OIKK: Tensor, gain: float, norm: int, dtype: torch.dtype, squared: bool):
        return torch.ops.understudy.prepare(w_OIKK.contiguous(), gain, norm, dtype, squared)

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
            gradient = torch.ops.understudy.prepare_backward(gv.contiguous(), gq, w_OIKK, c_O)
            return gradient, None, None, None, None
        c_O111 = c_O.view(-1, 1, 1, 1)
        gradient = gv.to(w_OIKK.dtype)
        if gq is not None:
            gradient = gradient + gq[:, :, None, None] * (2 * c_O111 * w_OIKK)
        return gradient * c_O111, None, None, None, None


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


def four_shifts(dtype: torch.dtype, w_OI33: Tensor, gain: float, flipped: bool = False) -> Tensor:
    """(O, I, 4, 4): the sum of the kernel at the four places that it has there, times gain; `flipped`: along both
    axes."""
    if kernels.fused(w_OI33):
        return _Shifts.apply(w_OI33, gain, flipped, 4, dtype)
    w = w_OI33 * gain
    w = F.pad(w.flip(2, 3) if flipped else w, (1, 1, 1, 1))
    w = w[..., 1:] + w[..., :-1]
    return (w[..., 1:, :] + w[..., :-1, :]).to(dtype)


class _Shifts(torch.autograd.Function):
    """From 3 x 3 to 4 x 4, or the adjoint, from 4 x 4 to 3 x 3: each is the other's gradient, of every order."""

    @staticmethod
    def forward(w_OIKK: Tensor, gain: float, flipped: bool, size: int, dtype: torch.dtype) -> Tensor:
        return torch.ops.understudy.shifts(w_OIKK.contiguous(), gain, flipped, size, dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        w_OIKK, ctx.gain, ctx.flipped, _, _ = inputs
        ctx.size, ctx.dtype = w_OIKK.shape[2], w_OIKK.dtype

    @staticmethod
    def backward(ctx, g_OIKK: Tensor):
        return _Shifts.apply(g_OIKK, ctx.gain, ctx.flipped, ctx.size, ctx.dtype), None, None, None, None
