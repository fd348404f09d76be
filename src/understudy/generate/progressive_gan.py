"""Progressive GAN, the configuration of the study.

Paper     Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018.
          Sections below are the paper's.
Original  the study trained github.com/tkarras/progressive_growing_of_gans, TensorFlow version, on one GPU in fp32 (CC
          BY-NC 4.0). This is an independent implementation, written from the paper and from documented facts.
Cost      published by the study: 12 000 kimg at 256 x 256 in 5 days on one V100 (120 GPU-hours).
Size      5 x 256 x 256: generator 23 049 315 parameters (18 GMAC an image), discriminator 23 057 345 (18 GMAC).
Departs   images stay at the phase's resolution, with penalties as if they were at full size; the average follows the
          generator's step (the original: the discriminator's, so it is one iteration behind); single gradients that
          are not finite are replaced (the original leaves out the whole update); Adam's epsilon is added after the bias
          correction; products in TensorFloat-32 on a GPU.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from understudy.config.generators.progressive_gan import ProgressiveGAN as Options

from . import gan, training_step
from .augmentation import warp
from .growing import Phase
from .growing_gan import GrowingGAN
from .progressive_gan_networks import Discriminator, Generator


class ProgressiveGAN(GrowingGAN):
    """See GrowingGAN."""

    name = "progressive_gan"
    Options = Options

    def _build(self, lod: int) -> dict[str, nn.Module]:
        o = self.options
        return {
            "generator": Generator(self.channels, self.size, o, lod),
            "discriminator": Discriminator(self.channels, self.size, o),
        }

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the generator's average at the end of the iteration that began at `images_seen`."""
        return self.options.ema

    def _discriminator_step(self, real_NCHW: Tensor, phase: Phase, rng: torch.Generator | None) -> dict[str, Tensor]:
        """WGAN-GP of appendix A.1: D(G(z)) - D(x) + lambda (||grad D(x')|| - 1)^2 + epsilon D(x)^2, where x' is a
        random point between a real and a fake image."""
        o, n, discriminator = self.options, len(real_NCHW), self.networks["discriminator"]
        z_NK = self._draw(n, rng)
        between_N111 = torch.rand(n, 1, 1, 1, device=self.device, generator=rng)
        fake_maps, real_maps = (self.augmentation.draw(n, rng) for _ in range(2))
        fakes, reals, penalties = [], [], []

        def part(score_N: Tensor, scores: list[Tensor], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
            scores.append(score_N.detach())
            return loss_of(score_N).sum() / n

        def losses() -> Iterator[Tensor]:  # one after the other: a third as much is kept at once
            for chosen in self._rounds(n):
                real = warp(real_NCHW[chosen], gan.rows(real_maps, chosen))
                with torch.no_grad():
                    fake = gan.as_samples(self.networks["generator"](z_NK[chosen], phase), o)
                    fake = warp(fake, gan.rows(fake_maps, chosen))
                mixed = (real + between_N111[chosen] * (fake - real)).requires_grad_()
                yield part(discriminator(fake, phase), fakes, lambda fake_N: fake_N)
                yield part(discriminator(real, phase), reals, lambda real_N: o.drift * real_N.square() - real_N)
                norm_N = gan.squared_gradients(discriminator(mixed, phase), mixed).sqrt() / self._enlarged(phase)
                yield part((norm_N - 1).square(), penalties, lambda penalty_N: o.gradient_penalty * penalty_N)

        nonfinite = training_step.descend(self.optimizers["discriminator"], losses())
        fake, real = torch.cat(fakes).mean(), torch.cat(reals).mean()
        return {
            "loss_discriminator": fake - real,  # minus the estimated Wasserstein distance
            "gradient_penalty": torch.cat(penalties).mean(),
            "score_fake": fake,
            "score_real": real,
            "nonfinite_gradients": nonfinite,
            **self.augmentation.follow(real, n),
        }

    def _generator_step(self, n: int, phase: Phase, rng: torch.Generator | None) -> dict[str, Tensor]:
        """-D(G(z))."""
        z_NK, scores, maps = self._draw(n, rng), [], self.augmentation.draw(n, rng)

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds(n):
                fake = gan.as_samples(self.networks["generator"](z_NK[chosen], phase), self.options)
                score_N = self.networks["discriminator"](warp(fake, gan.rows(maps, chosen)), phase)
                scores.append(score_N.detach())
                yield -score_N.sum() / n

        with training_step.frozen(self.networks["discriminator"]):
            nonfinite = training_step.descend(self.optimizers["generator"], losses())
        return {"loss_generator": -torch.cat(scores).mean(), "nonfinite_gradients": nonfinite}

    def _draw(self, n: int, rng: torch.Generator | None) -> Tensor:
        """Latents of the whole batch, of which micro-batches take their parts."""
        return torch.randn(n, self.options.latent_size, device=self.device, generator=rng)

    def _images(self, z_NK: Tensor, noise_NP: Tensor, phase: Phase, truncated: bool) -> Tensor:
        return self.networks["generator"](z_NK, phase)
