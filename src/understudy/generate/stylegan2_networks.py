"""The networks of StyleGAN 2: mapping, skip generator, residual discriminator. Losses and schedule: stylegan2.py.

Figures and sections are those of Karras et al., CVPR 2020. `options` are stylegan2.Options, or any object with their
channel_base, channel_max, latent_size, mapping_layers, minibatch_std_group and precision.
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import (
    Conv,
    Dense,
    activate,
    feature_maps,
    modulated_conv,
    resolutions,
    upsample,
)
from .minibatch_deviation import append_minibatch_stddev
from .modulation import scaled_1x1
from .pixel_norm import normalize_second_moment
from .precision import Precision, cast


class Mapping(nn.Sequential):
    """z -> w, figure 2: normalised latent, fully connected layers at a hundredth of the learning rate."""

    def __init__(self, latent_size: int, layers: int):
        super().__init__(*(Dense(latent_size, latent_size, active=True, lr_multiplier=0.01) for _ in range(layers)))

    def forward(self, z_NK: Tensor) -> Tensor:
        return super().forward(normalize_second_moment(z_NK))


class StyleGenerator(nn.Module):
    """What has a `mapping`, its mean `w_mean_K`, and a `synthesis` that takes a w for each of its `layers`: latents z
    (N, K) -> images (N, C, size, size), no output nonlinearity."""

    def truncate(self, w_NK: Tensor, psi: float, cutoff: int | None) -> Tensor:
        """(N, layers, K): the first `cutoff` layers, or all, are drawn to the mean w (psi 1: not at all)."""
        truncated_NK = self.w_mean_K.lerp(w_NK, psi)
        cutoff = self.layers if cutoff is None else cutoff
        return torch.stack([truncated_NK if i < cutoff else w_NK for i in range(self.layers)], 1)

    def forward(self, z_NK: Tensor, psi: float = 1.0, cutoff: int | None = None, *noises: list[Tensor]) -> Tensor:
        return self.synthesis(self.truncate(self.mapping(z_NK), psi, cutoff), *noises)


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, activation (section 2.2, figure 2c and d)."""

    def __init__(self, inputs: int, outputs: int, latent_size: int, resolution: int, *, up: bool, clamp: float | None):
        super().__init__()
        self.up, self.clamp = up, clamp
        self.affine = Dense(latent_size, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_HW", torch.randn(resolution, resolution))  # for sampling

    def forward(self, x_NCHW: Tensor, w_NK: Tensor, noise_N1HW: Tensor | None) -> Tensor:
        x_NCHW, scale_NC = modulated_conv(x_NCHW, self.weight, self.affine(w_NK), up=self.up)
        noise = self.noise_HW if noise_N1HW is None else noise_N1HW
        return activate(
            x_NCHW,
            self.bias,
            clamp=self.clamp,
            scale_NC=scale_NC,
            noise_N1HW=noise,
            strength=self.noise_strength,
        )


class ToImage(nn.Module):
    """Modulated 1 x 1 convolution to the image's channels, not demodulated, linear."""

    def __init__(self, inputs: int, channels: int, latent_size: int, clamp: float | None):
        super().__init__()
        self.clamp = clamp
        self.affine = Dense(latent_size, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_NCHW: Tensor, w_NK: Tensor) -> Tensor:
        style_NC = self.affine(w_NK, 1 / math.sqrt(self.weight.shape[1]))
        y = scaled_1x1(x_NCHW, style_NC, self.weight, self.bias)
        return (y if self.clamp is None else F.hardtanh(y, -self.clamp, self.clamp)).to(w_NK.dtype)


class SynthesisBlock(nn.Module):
    """One resolution: doubles the size, convolves, adds its image to the up-sampled one (skip, figure 7b)."""

    def __init__(
        self, inputs: int, outputs: int, channels: int, latent_size: int, resolution: int, precision: Precision
    ):
        super().__init__()
        self.resolution, self.precision = resolution, precision
        clamp = precision.clamp
        if resolution == 4:
            self.constant_CHW = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, latent_size, resolution, up=True, clamp=clamp)
        self.conv1 = SynthesisLayer(outputs, outputs, latent_size, resolution, up=False, clamp=clamp)
        self.to_image = ToImage(outputs, channels, latent_size, clamp)

    def forward(
        self,
        x_NCHW: Tensor | None,
        image_NCHW: Tensor | None,
        ws_NK: Sequence[Tensor],
        noises: Iterator[Tensor | None],
    ):
        ws = iter(ws_NK)
        if self.resolution == 4:  # never in reduced precision
            x_NCHW = self.constant_CHW.expand(len(ws_NK[0]), -1, -1, -1)
        else:
            x_NCHW = self.precision.cast(x_NCHW, self.resolution, ws_NK[0])
            x_NCHW = self.conv0(x_NCHW, next(ws), next(noises))
        x_NCHW = self.conv1(x_NCHW, next(ws), next(noises))
        y_NCHW = self.to_image(x_NCHW, next(ws))  # shares its w with conv0 of the next block
        return x_NCHW, y_NCHW if image_NCHW is None else upsample(image_NCHW) + y_NCHW


class Generator(StyleGenerator):
    """The skip generator of figure 7b."""

    def __init__(self, channels: int, size: int, options):
        super().__init__()
        o = options
        precision = Precision.of(o.precision, size)
        maps = [feature_maps(r, o.channel_base, o.channel_max) for r in resolutions(size)]
        self.layers = 2 * len(maps)  # number of w that an image takes
        self.noise_sizes = [4] + [r for r in resolutions(size)[1:] for _ in range(2)]
        self.mapping = Mapping(o.latent_size, o.mapping_layers)
        self.blocks = nn.ModuleDict(
            {
                f"b{r}": SynthesisBlock(inputs, outputs, channels, o.latent_size, r, precision)
                for r, inputs, outputs in zip(resolutions(size), [0, *maps], maps, strict=False)
            }
        )
        self.register_buffer("w_mean_K", torch.zeros(o.latent_size))

    def synthesis(self, w_NLK: Tensor, noises: list[Tensor] | None = None) -> Tensor:
        """Images of one w for each layer; noises (N, 1, r, r) of `noise_sizes`, or the constant ones."""
        supply = iter([None] * len(self.noise_sizes) if noises is None else noises)
        x_NCHW, image_NCHW, ws_NK = None, None, w_NLK.unbind(1)
        for i, block in enumerate(self.blocks.values()):
            start = max(2 * i - 1, 0)
            x_NCHW, image_NCHW = block(x_NCHW, image_NCHW, ws_NK[start:], supply)
        return image_NCHW


class DiscriminatorBlock(nn.Module):
    """One resolution, residual (figure 7c): two convolutions and a linear skip, both halve the size."""

    def __init__(self, inputs: int, outputs: int, resolution: int, clamp: float | None):
        super().__init__()
        self.resolution = resolution
        self.conv0 = Conv(inputs, inputs, 3, clamp=clamp)
        self.conv1 = Conv(inputs, outputs, 3, down=True, clamp=clamp)
        self.skip = Conv(inputs, outputs, 1, down=True, active=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        gain = math.sqrt(0.5)  # the sum of the two keeps unit variance
        return self.skip(x_NCHW, gain) + self.conv1(self.conv0(x_NCHW), gain)


class Discriminator(nn.Module):
    """Images (N, C, size, size) -> logits (N,), larger for what looks real."""

    def __init__(self, channels: int, size: int, options):
        super().__init__()
        o = options
        self.size, self.precision, self.group = size, Precision.of(o.precision, size), o.minibatch_std_group
        falling = resolutions(size)[::-1]
        maps = [feature_maps(r, o.channel_base, o.channel_max) for r in falling]
        clamp = self.precision.clamp
        self.from_image = Conv(channels, maps[0], 1, clamp=clamp)
        self.blocks = nn.ModuleDict(
            {
                f"b{r}": DiscriminatorBlock(inputs, outputs, r, clamp)
                for r, inputs, outputs in zip(falling[:-1], maps, maps[1:], strict=False)
            }
        )
        self.conv = Conv(maps[-1] + 1, maps[-1], 3, clamp=clamp)
        self.dense = Dense(maps[-1] * 16, maps[-1], active=True)
        self.out = Dense(maps[-1], 1)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        x_NCHW = self.from_image(self.precision.cast(image_NCHW, self.size, image_NCHW))
        for block in self.blocks.values():
            x_NCHW = block(self.precision.cast(x_NCHW, block.resolution, image_NCHW))
        x_NCHW = self.conv(append_minibatch_stddev(cast(x_NCHW, image_NCHW.dtype), self.group))
        return self.out(self.dense(x_NCHW.flatten(1))).squeeze(1)
