"""Instance norm that leaves maps as they lie in memory.

Convolutions on a GPU want the channels of a pixel side by side (channels_last). torch's instance norm copies such maps
to planes, forward and backward, and the next convolution copies them back. Planes, as on a CPU, still go through
torch's own, bit for bit.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_PIXELS = (2, 3)


class InstanceNorm(nn.InstanceNorm2d):
    """Affine, without running statistics: all that segmenters have."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__(channels, eps, affine=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        if x_NCHW.is_contiguous():
            return super().forward(x_NCHW)
        return _InPlaceOfTorchs.apply(x_NCHW, self.weight, self.bias, self.eps)


def keep_layout(network: nn.Module) -> nn.Module:
    """The network of a library with these norms in place of torch's; weights and their names stay."""
    for name, norm in list(network.named_modules()):
        if type(norm) is nn.InstanceNorm2d:
            own = InstanceNorm(norm.num_features, norm.eps)
            own.weight, own.bias = norm.weight, norm.bias
            network.set_submodule(name, own)
    return network


class _InPlaceOfTorchs(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias for each map, as passes over whole maps that keep their layout.

    Sums are of float32, or of float64 for such maps, whatever precision the maps have. Autograd's own backward pass
    would keep every step of this; here x and two numbers a map are kept.
    """

    @staticmethod
    def forward(ctx, x_NCHW: Tensor, weight_C: Tensor, bias_C: Tensor, eps: float) -> Tensor:
        variance_NC11, mean_NC11 = torch.var_mean(_exact(x_NCHW), _PIXELS, correction=0, keepdim=True)
        inverse_NC11 = (variance_NC11 + eps).rsqrt()
        ctx.save_for_backward(x_NCHW, mean_NC11, inverse_NC11, weight_C)
        factor_NC11 = inverse_NC11 * weight_C[:, None, None]
        return torch.addcmul(bias_C[:, None, None], x_NCHW - mean_NC11, factor_NC11).to(x_NCHW.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x_NCHW, mean_NC11, inverse_NC11, weight_C = ctx.saved_tensors
        normal_NCHW = (x_NCHW - mean_NC11).mul_(inverse_NC11)
        gradient_NCHW = _exact(gradient_NCHW)
        sum_NC11 = gradient_NCHW.sum(_PIXELS, keepdim=True)
        along_NC11 = (gradient_NCHW * normal_NCHW).sum(_PIXELS, keepdim=True)
        pixels = x_NCHW.shape[2] * x_NCHW.shape[3]
        across_NCHW = (gradient_NCHW - sum_NC11 / pixels).addcmul_(normal_NCHW, along_NC11, value=-1 / pixels)
        x_gradient = across_NCHW.mul_(inverse_NC11 * weight_C[:, None, None]).to(x_NCHW.dtype)
        return x_gradient, along_NC11.sum((0, 2, 3)), sum_NC11.sum((0, 2, 3)), None


def _exact(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
