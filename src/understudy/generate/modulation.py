"""Convolution of modulated maps: conv(x * s, w), s a scale for each image and channel (StyleGAN 2, appendix B).

The product x * s is as large as x and only the gradient of the weights wants it. It is computed again there, so that of
each layer's input one map stays in memory and not two.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from . import kernels


def scaled_conv(x_NIHW: Tensor, s_NI: Tensor, w: Tensor, *, padding: int = 0, up: bool = False) -> Tensor:
    """Convolution of x * s with w (O, I, K, K); `up`: transposed, of stride 2, with w (I, O, K, K)."""
    return _ScaledConv.apply(x_NIHW, s_NI, w, padding, up)


class _ScaledConv(torch.autograd.Function):
    @staticmethod
    def forward(x_NIHW: Tensor, s_NI: Tensor, w: Tensor, padding: int, up: bool) -> Tensor:
        y = x_NIHW * s_NI[:, :, None, None]
        return F.conv_transpose2d(y, w, stride=2, padding=padding) if up else F.conv2d(y, w, padding=padding)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x_NIHW, s_NI, w, ctx.padding, ctx.up = inputs
        ctx.save_for_backward(x_NIHW, s_NI, w)

    @staticmethod
    def backward(ctx, g: Tensor):
        x_NIHW, s_NI, w = ctx.saved_tensors
        x_wanted, s_wanted, w_wanted = ctx.needs_input_grad[:3]
        y = x_NIHW * s_NI[:, :, None, None]
        stride, padding = [2 if ctx.up else 1] * 2, [ctx.padding] * 2
        wanted = [x_wanted or s_wanted, w_wanted, False]
        h, gradient_w, _ = torch.ops.aten.convolution_backward(
            g, y, w, None, stride, padding, [1, 1], ctx.up, [0, 0], 1, wanted
        )
        if not wanted[0]:
            return None, None, gradient_w, None, None
        if kernels.fused(g) and not torch.is_grad_enabled():
            gradient_x, sums_NI = torch.ops.understudy.scale_backward(h.contiguous(), x_NIHW.contiguous(), s_NI)
            return gradient_x, sums_NI.to(s_NI.dtype), gradient_w, None, None
        return h * s_NI[:, :, None, None], (h * x_NIHW).sum((2, 3)), gradient_w, None, None
