"""Unit mean square over channels, of latents and of pixels (Karras et al. 2018, section 4.2), alone and after the
activation.

On a GPU one kernel computes activation and normalisation, and a second one their gradient. The second computes both
again from the input, so the two maps between are not kept. A gradient that is differentiated again uses the plain form,
as on a CPU.
"""

import torch
from torch import Tensor

from . import activation, kernels
from .first_gradient import of_parameters
from .kernels import UNLIMITED, define
from .layout import dense, layout_of

NORM_EPSILON = 1e-8


def normalize_second_moment(x_NK: Tensor) -> Tensor:
    """Unit mean square over channels, of each latent (N, K), or of each pixel of (N, C, H, W)."""
    if kernels.fused(x_NK) and x_NK.ndim == 4:
        return _PixelNorm.apply(x_NK, None, None, 1.0)
    return _normalized(x_NK)


def activate_and_normalize(x_NCHW: Tensor, bias_C: Tensor, limit: float | None, x_gain: float = 1.0) -> Tensor:
    """normalize_second_moment(activation.activate(x, bias, 1, limit, x_gain=x_gain))."""
    limit = None if limit is None else activation.representable(limit, x_NCHW.dtype)
    if kernels.fused(x_NCHW):
        return _PixelNorm.apply(x_NCHW, bias_C, limit, x_gain)
    return _plain(x_NCHW, bias_C, limit, x_gain)


def _plain(x_NCHW: Tensor, bias_C: Tensor | None, limit: float | None, x_gain: float) -> Tensor:
    return _normalized(x_NCHW if bias_C is None else activation.activate(x_NCHW, bias_C, 1.0, limit, x_gain=x_gain))


def _normalized(x_NK: Tensor) -> Tensor:
    exact_NK = x_NK.float() if x_NK.dtype in (torch.float16, torch.bfloat16) else x_NK
    return (exact_NK * (exact_NK.square().mean(1, keepdim=True) + NORM_EPSILON).rsqrt()).to(x_NK.dtype)


class _PixelNorm(torch.autograd.Function):
    """Of x, or with a bias of the activation of x."""

    @staticmethod
    def forward(x_NCHW: Tensor, bias_C: Tensor | None, limit: float | None, x_gain: float) -> Tensor:
        limit = UNLIMITED if limit is None else limit
        return torch.ops.understudy.pixel_norm(dense(x_NCHW), bias_C, limit, x_gain)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x_NCHW, bias_C, ctx.limit, ctx.x_gain = inputs
        ctx.save_for_backward(x_NCHW, bias_C)

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        x_NCHW, bias_C = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_plain_gradients(g_NCHW, x_NCHW, bias_C, ctx.limit, ctx.x_gain), None, None
        limit = UNLIMITED if ctx.limit is None else ctx.limit
        gradient, sums_NCP = torch.ops.understudy.pixel_norm_backward(
            dense(g_NCHW, layout_of(x_NCHW)), dense(x_NCHW), bias_C, limit, ctx.x_gain
        )
        wanted = bias_C is not None and of_parameters()
        return gradient, sums_NCP.sum((0, 2)).to(bias_C.dtype) if wanted else None, None, None


def _plain_gradients(g_NCHW, x_NCHW: Tensor, bias_C: Tensor | None, limit: float | None, x_gain: float) -> tuple:
    """Of x and of the bias, to be differentiated again."""
    inputs = [t for t in (x_NCHW, bias_C) if t is not None and t.requires_grad]
    found = iter(torch.autograd.grad(_plain(x_NCHW, bias_C, limit, x_gain), inputs, g_NCHW, create_graph=True))
    return tuple(next(found) if t is not None and t.requires_grad else None for t in (x_NCHW, bias_C))


# ------------------------------------------------------------------------------------------------ kernels
def _new(x: Tensor, *_) -> Tensor:
    return torch.empty_like(x)


def _fused(x: Tensor, *others) -> Tensor:
    from . import pixel_norm_kernels

    return pixel_norm_kernels.pixel_norm(x, *others, _new(x))


def _new_with_sums(g: Tensor, x: Tensor, bias: Tensor | None, *_) -> tuple[Tensor, Tensor]:
    chunks = 0 if bias is None else -(-x[0, 0].numel() // PIXELS)
    return _new(g), g.new_empty((*g.shape[:2], chunks), dtype=torch.float32)


def _fused_backward(*inputs) -> tuple[Tensor, Tensor]:
    from . import pixel_norm_kernels

    return pixel_norm_kernels.pixel_norm_backward(*inputs, *_new_with_sums(*inputs))


PIXELS = 64  # that a program sees, with all their channels
define("pixel_norm(Tensor x, Tensor? bias, float limit, float x_gain) -> Tensor", _new, _fused)
# the gradient of x and, with a bias, the sums of its gradient over every 64 pixels
define(
    "pixel_norm_backward(Tensor g, Tensor x, Tensor? bias, float limit, float x_gain) -> (Tensor, Tensor)",
    _new_with_sums,
    _fused_backward,
)
