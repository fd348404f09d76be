"""Instance norm that leaves maps as they lie in memory, with the leaky ReLU before it.

Convolutions on a GPU need the channels of a pixel side by side (channels_last). torch's instance norm copies such maps
to planes, forward and backward, and the next convolution copies them back. On a CPU, planes still use torch's instance
norm, bit for bit.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from understudy.run.norms import normalized
from understudy.run.triton_operations import fused


class InstanceNorm(nn.InstanceNorm2d):
    """Affine, without running statistics: all that segmenters have.

    Args:
        slope: of a leaky ReLU that comes first; 1: none does. It may change x.
    """

    def __init__(self, channels: int, eps: float = 1e-5, slope: float = 1.0):
        super().__init__(channels, eps, affine=True)
        self.slope = slope

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.twice(x_NCHW)[0]

    def twice(self, x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The same for two who need it: on a GPU their gradients are added where the norm's is computed."""
        if x_NCHW.is_contiguous() and not fused(x_NCHW):
            y_NCHW = super().forward(x_NCHW if self.slope == 1 else F.leaky_relu_(x_NCHW, self.slope))
            return y_NCHW, y_NCHW
        weight_NC, bias_NC = (t_C.expand(x_NCHW.shape[:2]) for t_C in (self.weight, self.bias))
        return normalized(x_NCHW, weight_NC, bias_NC, self.num_features, self.eps, slope=self.slope)[:2]


def keep_layout(network: nn.Module) -> nn.Module:
    """The network of a library with these norms in place of torch's; weights and their names stay."""
    for name, norm in list(network.named_modules()):
        if type(norm) is nn.InstanceNorm2d:
            own = InstanceNorm(norm.num_features, norm.eps)
            own.weight, own.bias = norm.weight, norm.bias
            network.set_submodule(name, own)
    return network
