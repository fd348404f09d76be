"""StyleGAN 1, the configuration of the study.

Paper     Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019
          (configuration F). Sections below are the paper's.
Original  the study trained github.com/NVlabs/stylegan (CC BY-NC 4.0) with batch 16 and gamma 10. This is an independent
          implementation, written from the paper and from documented facts.
Cost      published by the study: 25 000 kimg at 256 x 256 in 6 days on 2 V100 (288 GPU-hours); its samples seem to be
          from a snapshot at 16 526 kimg.
Size      5 x 256 x 256: generator 26 091 235 parameters (18 GMAC an image), discriminator 23 057 345 (18 GMAC).
Departs   images stay at the phase's resolution, with penalties as if they were at full size; the average follows the
          generator's step (the original: the discriminator's, so it is one iteration behind); single gradients that
          are not finite are replaced (the original leaves out the whole update); Adam's epsilon is added after the bias
          correction; one style-mixing cutoff an iteration (the original: one for each GPU); batches are those of the
          original's schedule for 4 GPUs, which is the one that ends at 16; products in TensorFloat-32 on a GPU.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.config.generators.stylegan1 import StyleGAN1 as Options

from . import gan, training_step
from .augmentation import warp
from .growing import Phase
from .growing_gan import GrowingGAN
from .progressive_gan_networks import Discriminator
from .stylegan1_networks import Generator


class StyleGAN1(GrowingGAN):
    """See GrowingGAN."""

    name = "stylegan1"
    Options = Options

    def _build(self, lod: int) -> dict[str, nn.Module]:
        o = self.options
        return {
            "generator": Generator(self.channels, self.size, o, lod),
            "discriminator": Discriminator(self.channels, self.size, o, blurs=True),
        }

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the generator's average at the end of the iteration that began at `images_seen`."""
        return gan.half_life_decay(self.batch_at(images_seen), self.options.ema_kimg * 1000)

    def _discriminator_step(self, real_NCHW: Tensor, phase: Phase, rng: torch.Generator | None) -> dict[str, Tensor]:
        """softplus(D(G(z))) + softplus(-D(x)) + gamma / 2 ||grad D(x)||^2 (section 2; Mescheder et al. 2018)."""
        o, n, discriminator = self.options, len(real_NCHW), self.networks["discriminator"]
        draw, fakes, reals, penalties = self._draw(n, phase, rng), [], [], []
        fake_maps, real_maps = (self.augmentation.draw(n, rng) for _ in range(2))

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds(n):
                with torch.no_grad():
                    fake_NCHW = self._fake(draw, chosen, phase)
                fake_N = discriminator(warp(fake_NCHW, gan.rows(fake_maps, chosen)), phase)
                fakes.append(fake_N.detach())
                loss = F.softplus(fake_N).sum() / n
                del fake_NCHW, fake_N  # before the real ones: half as much is kept at once
                yield loss
                del loss
                chosen_NCHW = real_NCHW[chosen].requires_grad_(o.r1_gamma > 0)
                real_N = discriminator(warp(chosen_NCHW, gan.rows(real_maps, chosen)), phase)
                reals.append(real_N.detach())
                loss = F.softplus(-real_N).sum() / n
                if o.r1_gamma:
                    penalty_N = gan.squared_gradients(real_N, chosen_NCHW) / self._enlarged(phase) ** 2
                    penalties.append(penalty_N.detach())
                    loss = loss + penalty_N.sum() / n * (o.r1_gamma / 2)
                yield loss

        nonfinite = training_step.descend(self.optimizers["discriminator"], losses())
        fake_N, real_N = torch.cat(fakes), torch.cat(reals)
        statistics = {
            "loss_discriminator": (F.softplus(fake_N) + F.softplus(-real_N)).mean(),
            "score_fake": fake_N.mean(),
            "score_real": real_N.mean(),
            "sign_real": real_N.sign().mean(),  # near 1: the discriminator knows every training image
            "nonfinite_gradients": nonfinite,
            **self.augmentation.follow(real_N, n),
        }
        return statistics | ({"r1_penalty": torch.cat(penalties).mean()} if penalties else {})

    def _generator_step(self, n: int, phase: Phase, rng: torch.Generator | None) -> dict[str, Tensor]:
        """Non-saturating loss: softplus(-D(G(z)))."""
        draw, scores, maps = self._draw(n, phase, rng), [], self.augmentation.draw(n, rng)

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds(n):
                fake_NCHW = warp(self._fake(draw, chosen, phase), gan.rows(maps, chosen))
                score_N = self.networks["discriminator"](fake_NCHW, phase)
                scores.append(score_N.detach())
                yield F.softplus(-score_N).sum() / n

        with training_step.frozen(self.networks["discriminator"]):
            nonfinite = training_step.descend(self.optimizers["generator"], losses())
        return {"loss_generator": F.softplus(-torch.cat(scores)).mean(), "nonfinite_gradients": nonfinite}

    def _draw(self, n: int, phase: Phase, rng: torch.Generator | None) -> gan.Draw:
        """Random numbers of a batch of fakes; styles mix within the layers of the phase (section 3.1). The mean w
        follows here, in both steps, as in the original."""
        o, network = self.options, self.networks["generator"]
        sizes = network.noise_sizes(phase)
        draw = gan.Draw.of(n, o.latent_size, len(sizes), o.style_mixing, sizes, self.device, rng)
        with torch.no_grad():
            network.w_mean_K.lerp_(network.mapping(draw.z).mean(0), 1 - o.mapping_ema)
        return draw

    def _fake(self, draw: gan.Draw, chosen: gan.Rows, phase: Phase) -> Tensor:
        network = self.networks["generator"]
        w_NLK = draw.styles(network.mapping, chosen, len(draw.noises))
        fake_NCHW = network.synthesis(w_NLK, [noise[chosen] for noise in draw.noises], phase)
        return gan.as_samples(fake_NCHW, self.options)

    def _noise_numbers(self, phase: Phase) -> int:
        return gan.noise_numbers(self.networks["generator"].noise_sizes(phase))

    def _images(self, z_NK: Tensor, noise_NP: Tensor, phase: Phase, truncated: bool) -> Tensor:
        """With noise of its own for each image, as the study sampled."""
        o, network = self.options, self.networks["generator"]
        sizes = network.noise_sizes(phase)
        psi = o.truncation_psi if truncated else 1.0
        w_NLK = network.truncate(network.mapping(z_NK), psi, o.truncation_cutoff, len(sizes))
        return network.synthesis(w_NLK, gan.noise_maps(noise_NP, sizes), phase)
