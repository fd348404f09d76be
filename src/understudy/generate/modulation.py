"""Maps times a scale s for each image and channel, and their convolution: conv(x * s, w) (StyleGAN 2, appendix B).

The product x * s is as large as x, and only the gradient of the weights needs it. That gradient computes it again, so
memory holds one map of each layer's input and not two.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import kernels
from .convolution import Geometry, gradients, of_maps, of_weights
from .first_gradient import of_parameters
from .layout import dense, layout_of


def scaled_conv(x_NIHW: Tensor, s_NI: Tensor, w: Tensor, *, padding: int = 0, up: bool = False) -> Tensor:
    """Convolution of x * s with w (O, I, K, K); `up`: transposed, of stride 2, with w (I, O, K, K)."""
    return _ScaledConv.apply(x_NIHW, s_NI, w, padding, up)


def scaled_1x1(x_NIHW: Tensor, s_NI: Tensor, w_OI11: Tensor, bias_O: Tensor) -> Tensor:
    """The same of 1 x 1 kernels to few outputs, a product for each image: its weights are fewer to scale. The result
    has planes, whatever x has: one that is read as it lies, and written as an image is kept."""
    w_NOI = (w_OI11.flatten(1) * s_NI[:, None]).to(x_NIHW.dtype)
    bias_O1 = bias_O.to(x_NIHW.dtype)[:, None]
    if layout_of(x_NIHW) == torch.channels_last:
        y_NOP = _ToPlanes.apply(w_NOI, x_NIHW.permute(0, 2, 3, 1).flatten(1, 2), bias_O1)
    else:
        y_NOP = torch.baddbmm(bias_O1, w_NOI, x_NIHW.flatten(2))
    return y_NOP.unflatten(2, x_NIHW.shape[2:])


class _ToPlanes(torch.autograd.Function):
    """w (N, O, I) times pixels x (N, P, I), plus a bias: (N, O, P). PyTorch's own gradient of x would have planes."""

    @staticmethod
    def forward(w_NOI: Tensor, x_NPI: Tensor, bias_O1: Tensor | None) -> Tensor:
        return torch.bmm(w_NOI, x_NPI.mT) if bias_O1 is None else torch.baddbmm(bias_O1, w_NOI, x_NPI.mT)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx, g_NOP: Tensor):
        w_NOI, x_NPI = ctx.saved_tensors
        w_wanted, x_wanted, bias_wanted = ctx.needs_input_grad
        bias_wanted = bias_wanted and of_parameters()
        gradient_w = torch.bmm(g_NOP, x_NPI) if w_wanted else None
        gradient_x = _ToPixels.apply(g_NOP, w_NOI) if x_wanted else None
        return gradient_w, gradient_x, g_NOP.sum((0, 2))[:, None] if bias_wanted else None


class _ToPixels(torch.autograd.Function):
    """g (N, O, P) times w (N, O, I): (N, P, I), the gradient of the other's pixels."""

    @staticmethod
    def forward(g_NOP: Tensor, w_NOI: Tensor) -> Tensor:
        return torch.bmm(g_NOP.mT, w_NOI)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, h_NPI: Tensor):
        g_NOP, w_NOI = ctx.saved_tensors
        g_wanted, w_wanted = ctx.needs_input_grad
        gradient_g = _ToPlanes.apply(w_NOI, h_NPI, None) if g_wanted else None
        return gradient_g, torch.bmm(g_NOP, h_NPI) if w_wanted else None


class _ScaledConv(torch.autograd.Function):
    @staticmethod
    def forward(x_NIHW: Tensor, s_NI: Tensor, w: Tensor, padding: int, up: bool) -> Tensor:
        y = _scaled(x_NIHW, s_NI)
        return F.conv_transpose2d(y, w, stride=2, padding=padding) if up else F.conv2d(y, w, padding=padding)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x_NIHW, s_NI, w, ctx.padding, ctx.up = inputs
        ctx.save_for_backward(x_NIHW, s_NI, w)

    @staticmethod
    def backward(ctx, g: Tensor):
        x_NIHW, s_NI, w = ctx.saved_tensors
        x_wanted, s_wanted, w_wanted = ctx.needs_input_grad[:3]
        maps_wanted, w_wanted = x_wanted or s_wanted, w_wanted and of_parameters()
        at = Geometry(2 if ctx.up else 1, ctx.padding, transposed=ctx.up)
        if kernels.fused(g) and torch.is_grad_enabled():  # the gradient that PyTorch has of the operation turns maps
            h = of_maps(g, w, x_NIHW.shape, at) if maps_wanted else None
            gradient_w = of_weights(g, _scaled(x_NIHW, s_NI), w.shape, at) if w_wanted else None
        else:
            # its shape is asked for where the weights' gradient is not, and not what is in it
            y = _scaled(x_NIHW, s_NI) if w_wanted else g.new_empty(1).expand(x_NIHW.shape)
            h, gradient_w, _ = gradients(g, y, w, at, [maps_wanted, w_wanted])
        if not maps_wanted:
            return None, None, gradient_w, None, None
        return *scale_gradients(h, x_NIHW, s_NI), gradient_w, None, None


def _scaled(x_NIHW: Tensor, s_NI: Tensor) -> Tensor:
    if kernels.fused(x_NIHW) and not torch.is_grad_enabled():
        return torch.ops.understudy.scale(dense(x_NIHW), s_NI)
    return x_NIHW * s_NI.to(x_NIHW.dtype)[:, :, None, None]


def scale_gradients(g: Tensor, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Of x and of s where y = x * s: one kernel on a GPU, and one for their own gradients."""
    if kernels.fused(g):
        gradient, sums_NC = _ScaleGradients.apply(g, x, s)
        return gradient, sums_NC.to(s.dtype)
    return _scaled(g, s), (g * x).sum((2, 3)).to(s.dtype)


class _ScaleGradients(torch.autograd.Function):
    """g * s, and the sums of g * x over pixels."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ops.understudy.scale_backward(dense(g, layout_of(x)), dense(x), s)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, h: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        g, x, s = ctx.saved_tensors
        layout = layout_of(x)
        gradient_g, gradient_x, sums_NC = torch.ops.understudy.scale_backward_twice(
            dense(h, layout), k, dense(g, layout), dense(x), s
        )
        return gradient_g, gradient_x, sums_NC.to(s.dtype)


def mean_squares(x_NCHW: Tensor, dtype: torch.dtype) -> Tensor:
    """Of each image, (N,), computed in this type; without a gradient."""
    x_NCHW = x_NCHW.detach()
    if kernels.fused(x_NCHW):
        return torch.ops.understudy.squares(dense(x_NCHW)).sum(1).to(dtype) / x_NCHW[0].numel()
    return x_NCHW.to(dtype).square().mean((1, 2, 3))
