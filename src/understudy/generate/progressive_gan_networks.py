"""The networks of the progressive GAN: a generator and a discriminator that grow. Losses: progressive_gan.py.

Table 2 of Karras et al., ICLR 2018, and the text's sections. Both networks are built at their full size; a Phase
(growing.py) says which layers are used. `options` are progressive_gan.Options, or any object with their channel_base,
channel_max, latent_size, minibatch_std_group and precision.
"""

import math

import torch
from torch import Tensor, nn

from .growing import Phase
from .layers import (
    GAIN,
    Dense,
    ResizingConv,
    blur,
    double,
    feature_maps,
    halve,
    leaky,
    resolutions,
)
from .minibatch_deviation import append_minibatch_stddev
from .pixel_norm import normalize_second_moment
from .precision import Precision, cast


class ToImages(nn.ModuleDict):
    """1 x 1 convolutions to the image's channels, linear: one for each resolution."""

    def __init__(self, channels: int, maps: dict[int, int]):
        super().__init__({f"r{r}": ResizingConv(m, channels, 1, gain=1) for r, m in maps.items()})

    def forward(self, x_NCHW: Tensor, before_NCHW: Tensor | None, phase: Phase, full: torch.dtype) -> Tensor:
        """The image of a resolution, in the type `full`; while it fades in, mixed with that of the layers before
        (figure 2)."""
        image_NCHW = cast(self[f"r{phase.resolution}"](x_NCHW), full)
        if not phase.old:
            return image_NCHW
        return image_NCHW.lerp(double(cast(self[f"r{phase.resolution // 2}"](before_NCHW), full)), phase.old)


class FirstBlock(nn.Module):
    """A latent becomes 4 x 4, then one convolution."""

    def __init__(self, latent_size: int, outputs: int):
        super().__init__()
        self.weight_gain = GAIN / 4 / math.sqrt(latent_size)  # a quarter of what the equalised layer would have
        self.weight = nn.Parameter(torch.randn(outputs, 4, 4, latent_size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.conv1 = ResizingConv(outputs, outputs, 3, active=True, normal=True)

    def forward(self, z_NK: Tensor) -> Tensor:
        x_NCHW = torch.tensordot(z_NK, self.weight * self.weight_gain, ([1], [3])) + self.bias[:, None, None]
        return self.conv1(normalize_second_moment(leaky(x_NCHW)))


class GeneratorBlock(nn.Module):
    """One resolution: doubles the size, two convolutions, each with pixelwise normalisation (section 4.2)."""

    def __init__(self, inputs: int, outputs: int, clamp: float | None):
        super().__init__()
        self.conv0 = ResizingConv(inputs, outputs, 3, active=True, normal=True, clamp=clamp, resize="up")
        self.conv1 = ResizingConv(outputs, outputs, 3, active=True, normal=True, clamp=clamp)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.conv1(self.conv0(x_NCHW))


class Generator(nn.Module):
    """Latents z (N, K) -> images (N, C, r, r) of the phase's resolution r, no output nonlinearity."""

    def __init__(self, channels: int, size: int, options, lod: float = 0):
        super().__init__()
        o = options
        maps = {r: feature_maps(r, o.channel_base, o.channel_max) for r in resolutions(size)}
        inputs = dict(zip(resolutions(size)[1:], maps.values(), strict=False))
        self.precision = Precision.of(o.precision, size)
        clamp = self.precision.clamp_of_fp16
        self.blocks = nn.ModuleDict({"b4": FirstBlock(o.latent_size, maps[4])})
        self.blocks.update({f"b{r}": GeneratorBlock(i, maps[r], clamp) for r, i in inputs.items()})
        self.to_image = ToImages(channels, maps)
        self.register_buffer("lod", torch.tensor(float(lod), dtype=torch.float64))  # level of detail that it is at

    def forward(self, z_NK: Tensor, phase: Phase) -> Tensor:
        x_NCHW, before_NCHW = normalize_second_moment(z_NK), None
        for r in resolutions(phase.resolution):
            before_NCHW, x_NCHW = x_NCHW, self.blocks[f"b{r}"](self.precision.cast(x_NCHW, r, z_NK))
        return self.to_image(x_NCHW, before_NCHW, phase, z_NK.dtype)


class DiscriminatorBlock(nn.Module):
    """One resolution: two convolutions, the second halves the size; StyleGAN 1 blurs before it."""

    def __init__(self, inputs: int, outputs: int, blurs: bool, clamp: float | None):
        super().__init__()
        self.blurs = blurs
        self.conv0 = ResizingConv(inputs, inputs, 3, active=True, clamp=clamp)
        self.conv1 = ResizingConv(inputs, outputs, 3, active=True, clamp=clamp, resize="down")

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.conv0(x_NCHW)
        return self.conv1(blur(x_NCHW, padding=1, order=2) if self.blurs else x_NCHW)


class Discriminator(nn.Module):
    """Images (N, C, r, r) of the phase's resolution r -> scores (N,), larger for what looks real."""

    def __init__(self, channels: int, size: int, options, blurs: bool = False):
        super().__init__()
        o = options
        self.group, self.precision = o.minibatch_std_group, Precision.of(o.precision, size)
        clamp = self.precision.clamp_of_fp16
        maps = {r: feature_maps(r, o.channel_base, o.channel_max) for r in resolutions(size)}
        self.from_image = nn.ModuleDict(
            {f"r{r}": ResizingConv(channels, m, 1, active=True, clamp=clamp) for r, m in maps.items()}
        )
        self.blocks = nn.ModuleDict(
            {f"b{r}": DiscriminatorBlock(maps[r], maps[r // 2], blurs, clamp) for r in resolutions(size)[:0:-1]}
        )
        self.conv = ResizingConv(maps[4] + 1, maps[4], 3, active=True)
        self.dense = Dense(maps[4] * 16, maps[4], gain=GAIN)
        self.out = Dense(maps[4], 1)

    def forward(self, image_NCHW: Tensor, phase: Phase) -> Tensor:
        x_NCHW = self._seen(image_NCHW, phase.resolution)
        for r in resolutions(phase.resolution)[:0:-1]:
            x_NCHW = self.blocks[f"b{r}"](self.precision.cast(x_NCHW, r, image_NCHW))
            if phase.old and r == phase.resolution:  # as the generator, section 2, figure 2
                old_NCHW = self._seen(halve(image_NCHW), r // 2)
                x_NCHW = cast(x_NCHW, old_NCHW.dtype).lerp(old_NCHW, phase.old)
        x_NCHW = cast(x_NCHW, image_NCHW.dtype)
        x_NCHW = self.conv(append_minibatch_stddev(x_NCHW, self.group))
        return self.out(leaky(self.dense(x_NCHW.flatten(1)))).squeeze(1)

    def _seen(self, image_NCHW: Tensor, resolution: int) -> Tensor:
        """The first maps of an image of a resolution."""
        return self.from_image[f"r{resolution}"](self.precision.cast(image_NCHW, resolution, image_NCHW))
