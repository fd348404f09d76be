"""StyleGAN 3, the configuration of the study (T), and its variant R.

Paper     Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021 (configurations T and R); adaptive
          augmentation is off (the official one refuses five channels).
Original  the study trained github.com/NVlabs/stylegan3 with --cfg=stylegan3-t (NVIDIA source code licence,
          non-commercial). This is an independent implementation, written from the paper and from documented facts.
Cost      published by the study: 25 000 kimg at 256 x 256 in 3 days on 4 A100 (288 GPU-hours).
Size      5 x 256 x 256: generator T 28 472 391 parameters (232 GMAC an image, filters excluded), R 18 816 901 (101
          GMAC); discriminator, StyleGAN 2's, 28 864 385 (47 GMAC).
Departs   magnitudes are followed after the discriminator's step and from its whole batch, where the original follows
          each layer's before it runs and from one GPU's; the mean w follows the whole batch, too; styles are normalised
          for each sample, where the original does it for the batch (demodulation undoes either, up to its epsilon, so
          no gradient flows through the scale); Adam is not corrected for R1 where its weight is zero; data come in
          shuffled epochs of our own; the taps of the filters are rounded: to tf32 in the kernel for maps in reduced
          precision, to the type of the maps in the plain form; a resumed training goes on with its ramp-up and blur as
          if it had not stopped; fp16 layers compute in fp32 on a CPU.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from understudy.config.generators.stylegan3 import StyleGAN3 as Options
from understudy.config.reading import read_options
from understudy.run import distributed

from . import gan, style_training
from .style_training import StyleTraining
from .stylegan2_networks import Discriminator
from .stylegan3_networks import Generator

BLUR_SIGMA = {"t": 0.0, "r": 10.0}  # pixels, by variant: the study's


def blur(image_NCHW: Tensor, sigma: float) -> Tensor:
    """Bell-shaped low-pass filter 2^-(i / sigma)^2 for |i| <= 3 sigma in both axes, zeros outside the image.

    As products with a matrix of its values, since a wide filter costs a convolution more; the matrix is made where the
    images are, so that nothing waits.
    """
    radius = math.floor(3 * sigma)
    if radius == 0:
        return image_NCHW
    total = sum(2.0 ** -((i / sigma) ** 2) for i in range(-radius, radius + 1))

    def matrix(size: int) -> Tensor:
        i = torch.arange(size, device=image_NCHW.device, dtype=image_NCHW.dtype)
        distance = (i[:, None] - i).abs()
        return torch.exp2(-((distance / sigma) ** 2)) * (distance <= radius) / total

    return matrix(image_NCHW.shape[2]) @ image_NCHW @ matrix(image_NCHW.shape[3])


class Draw(NamedTuple):
    """The random numbers of one batch of fakes."""

    z: Tensor  # (N, K)


class StyleGAN3(StyleTraining):
    """Networks, optimizers and the training step of StyleGAN 2, without path lengths, noise and style mixing.

    Raises:
        ValueError: an unknown option, or a size, precision or batch that it cannot work with.
    """

    def __init__(self, channels: int, size: int, **options):
        o = read_options(Options, "stylegan3", size, options)
        style_training.check_processes("stylegan3", o)
        super().__init__(channels, size, o, Generator(channels, size, o), Discriminator(channels, size, o), None)
        self.sigma = 0.0  # of the blur, in this iteration

    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator) -> dict[str, Tensor]:
        self.sigma = self.blur_sigma(images_seen)
        return super().step(real_NCHW, images_seen, rng)

    def blur_sigma(self, images_seen: int) -> float:
        """Of what the discriminator sees, in pixels: falls in proportion."""
        o = self.options
        first = BLUR_SIGMA[o.variant] if o.blur_sigma is None else o.blur_sigma
        fade = o.blur_kimg * 1000 * o.batch / 32
        return first * max(1 - images_seen / fade, 0) if fade else 0.0

    def _score(self, image_NCHW: Tensor, maps_N23: Tensor | None = None) -> Tensor:
        return super()._score(blur(image_NCHW, self.sigma), maps_N23)

    def _draw(self, n: int, rng: torch.Generator) -> Draw:
        return Draw(torch.randn(n, self.options.latent_size, device=self.device, generator=rng))

    def _images(self, draw: Draw, chosen: gan.Rows, squares: list[Tensor] | None = None) -> Tensor:
        network = self.networks["generator"]
        w_NLK = network.mapping(draw.z[chosen])[:, None].expand(-1, network.layers, -1)
        return network.synthesis(w_NLK, squares=squares)

    def _images_to_judge(self, draw: Draw, chosen: gan.Rows) -> Tensor:
        return self._images(draw, chosen, self.squares)

    def _discriminator_step(self, real_NCHW: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """StyleGAN 2's, and the running mean squares of what layers take (section 3.1, configuration D)."""
        self.squares, o = [], self.options
        statistics = super()._discriminator_step(real_NCHW, rng)
        square_L = distributed.all_reduce_sum(torch.cat(self.squares).sum(0)) / o.batch
        decay = gan.half_life_decay(o.batch, o.magnitude_kimg * 1000)
        self.networks["generator"].magnitudes_L.lerp_(square_L, 1 - decay)
        return statistics
