"""The networks of R3GAN: two mirrored stacks of residual blocks. Losses and schedules: r3gan.py.

Huang et al., NeurIPS 2024, section 4 and figure 2 (configuration E). No normalisation, no styles, no noise, no
equalised learning rate: weights are stored as they are used, and initialised by Fixup (Zhang et al., ICLR 2019).
"""

import math

import torch
from torch import Tensor, nn

from understudy.config.generators.r3gan import R3GAN

from .activation import activate
from .convolution import grouped_conv
from .kernels import SLOPE
from .layers import downsample, resolutions, upsample
from .precision import Precision, cast
from .prepared import weights_for

LEAKY_GAIN = math.sqrt(2 / (1 + SLOPE**2))  # He et al. 2015: keeps the mean square through a leaky ReLU


class Conv(nn.Module):
    """Convolution without a bias, zeros outside; `gain` is that of its initial weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, *, groups: int = 1, gain: float = 1.0):
        super().__init__()
        self.groups = groups
        fan_in = inputs // groups * kernel**2
        self.weight = nn.Parameter(torch.randn(outputs, inputs // groups, kernel, kernel) * (gain / math.sqrt(fan_in)))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return grouped_conv(x_NCHW, weights_for(x_NCHW, self.weight, 1.0), self.groups)


class ResidualBlock(nn.Module):
    """1 x 1 to more maps, 3 x 3 in groups, 1 x 1 back, leaky ReLU between; begins as the identity.

    Args:
        scale: of the initial weights of the first two convolutions; those of the last one are 0.
        limit: of the activations, for fp16.
    """

    def __init__(self, maps: int, inner: int, group_size: int, scale: float, limit: float | None):
        super().__init__()
        self.limit, gain = limit, LEAKY_GAIN * scale
        self.conv1 = Conv(maps, inner, gain=gain)
        self.bias1 = nn.Parameter(torch.zeros(inner))
        self.conv2 = Conv(inner, inner, 3, groups=inner // group_size, gain=gain)
        self.bias2 = nn.Parameter(torch.zeros(inner))
        self.conv3 = Conv(inner, maps, gain=0.0)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y_NCHW = activate(self.conv1(x_NCHW), self.bias1, 1.0, self.limit)
        y_NCHW = activate(self.conv2(y_NCHW), self.bias2, 1.0, self.limit)
        return x_NCHW + self.conv3(y_NCHW)


class Transition(nn.Module):
    """Bilinear resampling, and a 1 x 1 convolution where the number of maps changes: on the side of fewer pixels."""

    def __init__(self, inputs: int, outputs: int, *, up: bool):
        super().__init__()
        self.up = up
        self.conv = Conv(inputs, outputs) if inputs != outputs else nn.Identity()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return upsample(self.conv(x_NCHW)) if self.up else self.conv(downsample(x_NCHW))


class Stages(nn.Module):
    """The residual blocks of every resolution, and what is between them."""

    def __init__(self, size: int, o: R3GAN):
        super().__init__()
        self.size, self.precision = size, Precision.of(o.precision, size)
        self.widths = dict(zip(resolutions(size), o.widths(size), strict=True))
        scale = (len(self.widths) * o.blocks) ** -0.25  # Fixup: L^(-1 / (2m - 2)) for blocks of m = 3 layers
        limit = self.precision.clamp_of_fp16

        def stage(maps: int) -> nn.Sequential:
            block = (maps, o.expansion * maps, o.group_size, scale, limit)
            return nn.Sequential(*(ResidualBlock(*block) for _ in range(o.blocks)))

        self.blocks = nn.ModuleDict({f"b{r}": stage(maps) for r, maps in self.widths.items()})

    def transitions(self, *, up: bool) -> nn.ModuleDict:
        """Each called as the resolution above it."""
        pairs = zip(self.widths.values(), list(self.widths.items())[1:], strict=False)
        made = {f"b{r}": (low, high) if up else (high, low) for low, (r, high) in pairs}
        return nn.ModuleDict({name: Transition(*maps, up=up) for name, maps in made.items()})


class Generator(Stages):
    """Latents z (N, K) -> images (N, C, size, size), no output nonlinearity."""

    def __init__(self, channels: int, size: int, o: R3GAN):
        super().__init__(size, o)
        lowest, *_, highest = self.widths.values()
        self.basis_CHW = nn.Parameter(torch.randn(lowest, 4, 4))
        self.from_latent = nn.Parameter(torch.randn(lowest, o.latent_size) / math.sqrt(o.latent_size))
        self.resize = self.transitions(up=True)
        self.to_image = Conv(highest, channels)

    def forward(self, z_NK: Tensor) -> Tensor:
        x_NCHW = self.basis_CHW * (z_NK @ self.from_latent.T)[:, :, None, None]
        for resolution in self.widths:
            if resolution > 4:
                x_NCHW = self.resize[f"b{resolution}"](x_NCHW)
            x_NCHW = self.blocks[f"b{resolution}"](self.precision.cast(x_NCHW, resolution, z_NK))
        return cast(self.to_image(x_NCHW), z_NK.dtype)


class Discriminator(Stages):
    """Images (N, C, size, size) -> scores (N,), larger for what looks real."""

    def __init__(self, channels: int, size: int, o: R3GAN):
        super().__init__(size, o)
        lowest, *_, highest = self.widths.values()
        self.from_image = Conv(channels, highest)
        self.resize = self.transitions(up=False)
        self.depthwise_CHW = nn.Parameter(torch.randn(lowest, 4, 4) / 4)  # 16 inputs each
        self.to_score = nn.Parameter(torch.randn(lowest) / math.sqrt(lowest))

    def forward(self, image_NCHW: Tensor) -> Tensor:
        x_NCHW = self.from_image(self.precision.cast(image_NCHW, self.size, image_NCHW))
        for resolution in reversed(self.widths):
            x_NCHW = self.blocks[f"b{resolution}"](self.precision.cast(x_NCHW, resolution, image_NCHW))
            if resolution > 4:
                x_NCHW = self.resize[f"b{resolution}"](x_NCHW)
        return (x_NCHW * self.depthwise_CHW).sum((2, 3)) @ self.to_score
