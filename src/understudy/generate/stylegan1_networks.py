"""The networks of StyleGAN 1: mapping and growing synthesis; its discriminator is that of the progressive GAN with a
blur. Losses: stylegan1.py.

Figures and sections are those of Karras et al., CVPR 2019. `options` are stylegan1.Options, or any object with their
channel_base, channel_max, latent_size, mapping_layers and precision.
"""

import torch
from torch import Tensor, nn

from .adain import styled
from .growing import Phase
from .layers import GAIN, Dense, ResizingConv, blur, feature_maps, leaky, resolutions
from .pixel_norm import normalize_second_moment
from .precision import Precision
from .progressive_gan_networks import ToImages


class Mapping(nn.Sequential):
    """z -> w, figure 1b: normalised latent, fully connected layers at a hundredth of the learning rate (section C)."""

    def __init__(self, latent_size: int, layers: int):
        super().__init__(*(Dense(latent_size, latent_size, gain=GAIN, lr_multiplier=0.01) for _ in range(layers)))

    def forward(self, z_NK: Tensor) -> Tensor:
        x_NK = normalize_second_moment(z_NK)
        for dense in self:
            x_NK = leaky(dense(x_NK))
        return x_NK


class Epilogue(nn.Module):
    """What follows every convolution (figure 1b): noise, bias, activation, then AdaIN of equation 1 with the style.

    AdaIN takes the mean away, so that the bias after the constant input does nothing as long as all there is positive:
    its gradient is rounding errors, which Adam makes steps of, here as in the original.
    """

    def __init__(self, maps: int, latent_size: int, clamp: float | None = None):
        super().__init__()
        self.clamp = clamp
        self.noise_strength = nn.Parameter(torch.zeros(maps))
        self.bias = nn.Parameter(torch.zeros(maps))
        self.affine = Dense(latent_size, 2 * maps)

    def forward(self, x_NCHW: Tensor, w_NK: Tensor, noise_N1HW: Tensor) -> Tensor:
        scale_NC, shift_NC = self.affine(w_NK).chunk(2, 1)
        return styled(x_NCHW, noise_N1HW, self.noise_strength, self.bias, scale_NC + 1, shift_NC, self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution, two layers. The first begins at a learned constant, or doubles the size and blurs."""

    def __init__(self, inputs: int, outputs: int, latent_size: int, resolution: int, precision: Precision):
        super().__init__()
        self.resolution, self.precision, clamp = resolution, precision, precision.clamp_of_fp16
        if resolution == 4:
            self.constant_CHW = nn.Parameter(torch.ones(outputs, 4, 4))
        else:
            self.conv0 = ResizingConv(inputs, outputs, 3, bias=False, resize="up")
        self.epilogue0 = Epilogue(outputs, latent_size, clamp)
        self.conv1 = ResizingConv(outputs, outputs, 3, bias=False)
        self.epilogue1 = Epilogue(outputs, latent_size, clamp)

    def forward(self, x_NCHW: Tensor | None, w_2NK: Tensor, noises: list[Tensor]) -> Tensor:
        if x_NCHW is None:
            x_NCHW = self.constant_CHW.expand(len(noises[0]), -1, -1, -1)
        else:
            x_NCHW = self.precision.cast(x_NCHW, self.resolution, w_2NK)
            x_NCHW = blur(self.conv0(x_NCHW), padding=1, order=2)
        x_NCHW = self.epilogue0(x_NCHW, w_2NK[0], noises[0])
        return self.epilogue1(self.conv1(x_NCHW), w_2NK[1], noises[1])


class Generator(nn.Module):
    """Latents z -> w -> images (N, C, r, r) of the phase's resolution r, no output nonlinearity."""

    def __init__(self, channels: int, size: int, options, lod: float = 0):
        super().__init__()
        o = options
        maps = {r: feature_maps(r, o.channel_base, o.channel_max) for r in resolutions(size)}
        inputs, precision = [0, *maps.values()], Precision.of(o.precision, size)
        self.mapping = Mapping(o.latent_size, o.mapping_layers)
        self.blocks = nn.ModuleDict(
            {
                f"b{r}": SynthesisBlock(i, m, o.latent_size, r, precision)
                for (r, m), i in zip(maps.items(), inputs, strict=False)
            }
        )
        self.to_image = ToImages(channels, maps)
        self.register_buffer("w_mean_K", torch.zeros(o.latent_size))
        self.register_buffer("lod", torch.tensor(float(lod), dtype=torch.float64))  # level of detail that it is at

    @staticmethod
    def noise_sizes(phase: Phase) -> list[int]:
        """Edge of the noise of every layer, of which there are as many."""
        return [r for r in resolutions(phase.resolution) for _ in range(2)]

    def synthesis(self, w_NLK: Tensor, noises: list[Tensor], phase: Phase) -> Tensor:
        """Images of one w and one noise (N, 1, r, r) for each layer."""
        x_NCHW = before_NCHW = None
        for i, r in enumerate(resolutions(phase.resolution)):
            two = slice(2 * i, 2 * i + 2)
            block = self.blocks[f"b{r}"]
            before_NCHW, x_NCHW = x_NCHW, block(x_NCHW, w_NLK[:, two].transpose(0, 1), noises[two])
        return self.to_image(x_NCHW, before_NCHW, phase, w_NLK.dtype)

    def truncate(self, w_NK: Tensor, psi: float, cutoff: int | None, layers: int) -> Tensor:
        """(N, layers, K): the first `cutoff` layers, or all, are drawn to the mean w (section B; psi 1: not at all)."""
        truncated_NK = self.w_mean_K.lerp(w_NK, psi)
        cutoff = layers if cutoff is None else cutoff
        return torch.stack([truncated_NK if i < cutoff else w_NK for i in range(layers)], 1)
