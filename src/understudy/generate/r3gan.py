"""R3GAN: a relativistic loss with two gradient penalties, which needs no tricks, and plain residual networks.

Paper     Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A Modern Baseline GAN", NeurIPS 2024
          (arXiv 2501.05441), configuration E.
Original  github.com/brownvc/R3GAN has no licence. This is an independent implementation; its code was not
          opened for it. Descriptions of that code say that it computes high resolutions in bf16.
Cost      no training of this size is published for MR images. FFHQ 256 x 256: FID 2.75, StyleGAN 2 has 3.78.
Size      5 x 256 x 256: generator 23 058 144 parameters (29 GMAC an image), discriminator 23 009 760. A training image
          is 1.09 TFLOP (StyleGAN 2: 1.21); with `penalty_interval: 8` 0.72 of that, with `width: 0.5` 0.31.
Departs   defaults are those reported for its training on FFHQ at 256 x 256: compare the paper's appendix before you
          cite one. The following choices are ours. The discriminator steps first; each network sees new latents.
          Penalties are taken at the discriminator's input, after augmentation. Augmentation is geometric
          (augmentation.py), without colours. Bilinear resampling has pixel centres and zeros outside. Lazy penalties
          (`penalty_interval`) are part of the step that they are due in, at a weight that many times larger. Four
          resolutions compute in bf16; `kimg` is that of the study's GANs. `clamp_fakes` (off) is not the paper's.
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.config.generators import r3gan as config
from understudy.config.reading import read_options
from understudy.run import distributed
from understudy.run.flops import Work, count_work

from . import gan, training_step
from .augmentation import random_maps, warp
from .precision import own_products
from .r3gan_networks import Discriminator, Generator


def pairing_loss(better_N: Tensor, worse_N: Tensor) -> Tensor:
    """f(worse - better) of each pair, (N,), f(t) = log(1 + exp(t)) (section 2). The discriminator wants real images to
    score better than fake ones, the generator wants the reverse."""
    return F.softplus(worse_N - better_N)


def annealed(pair: Sequence[float], share: float) -> float:
    """From the first value to the last one along a cosine, at this share of the burn-in."""
    first, last = pair
    return last + (first - last) * (1 + math.cos(math.pi * min(share, 1))) / 2


class R3GAN:
    """Networks, optimizers and the training step; `sample` draws from networks["generator"].

    Raises:
        ValueError: an unknown option, or a size or value that it cannot work with.
    """

    averaged = "generator"  # the network whose moving average is published

    def __init__(self, channels: int, size: int, **options):
        self.options = o = read_options(config.R3GAN, "r3gan", size, options)
        self.channels, self.size = channels, size
        if (processes := distributed.world_size()) > o.batch:
            raise ValueError(f"r3gan: found {processes} GPUs for a batch of {o.batch}, expected at most so many")
        self.networks: dict[str, nn.Module] = {
            "generator": Generator(channels, size, o),
            "discriminator": Discriminator(channels, size, o),
        }
        betas = (0.0, o.adam_beta2[0])
        self.optimizers = {
            name: gan.adam(network.parameters(), o.learning_rate[0], betas, o.adam_epsilon, None)
            for name, network in self.networks.items()
        }

    @property
    def device(self) -> torch.device:
        return next(self.networks["generator"].parameters()).device

    def to(self, device: torch.device | str) -> "R3GAN":
        for network in self.networks.values():
            network.to(device)
        return self

    def state_extra(self) -> dict:
        """All schedules are functions of the images seen."""
        return {}

    def load_state_extra(self, state: dict) -> None:
        pass

    # -------------------------------------------------------------------------------------------- schedules
    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.options.batch

    def _annealed(self, key: str, images_seen: int) -> float:
        return annealed(getattr(self.options, key), images_seen / (self.options.burn_in_kimg * 1000))

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the generator's average at the end of the iteration that began at `images_seen`."""
        return gan.half_life_decay(self.options.batch, self._annealed("ema_kimg", images_seen) * 1000)

    # -------------------------------------------------------------------------------------------- the step
    @own_products
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator | None) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state.

        Returns detached scalars; the penalties only in the iterations that they are due in.
        """
        o = self.options
        assert real_NCHW.shape == (o.batch, self.channels, self.size, self.size), real_NCHW.shape
        if o.mirror:
            real_NCHW = training_step.mirrored(real_NCHW, rng)
        for optimizer in self.optimizers.values():
            group = optimizer.param_groups[0]
            group["lr"] = self._annealed("learning_rate", images_seen)
            group["betas"] = (0.0, self._annealed("adam_beta2", images_seen))
        p = self._annealed("augmentation_probability", images_seen)
        due = images_seen // o.batch % o.penalty_interval == 0
        gamma = self._annealed("gamma", images_seen) if due else 0.0
        statistics = self._discriminator_step(real_NCHW, gamma, p, rng)
        gan.merge(statistics, self._generator_step(real_NCHW, p, rng))
        return statistics

    def _discriminator_step(self, real_NCHW: Tensor, gamma: float, p: float, rng) -> dict[str, Tensor]:
        """Pairing loss + gamma / 2 (R1 + R2), the mean squared gradients by real and by fake images."""
        o, margins, penalties = self.options, [], []
        z_NK = self._latents(rng)
        real_maps, fake_maps = (self._maps(p, rng) for _ in range(2))

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                with torch.no_grad():
                    fake_NCHW = gan.as_samples(self.networks["generator"](z_NK[chosen]), o)
                    fake_NCHW = warp(fake_NCHW, gan.rows(fake_maps, chosen))
                    seen_NCHW = torch.cat((warp(real_NCHW[chosen], gan.rows(real_maps, chosen)), fake_NCHW))
                score_N = self.networks["discriminator"](seen_NCHW.requires_grad_(gamma > 0))
                real_N, fake_N = score_N.chunk(2)
                margins.append((real_N - fake_N).detach())
                loss = pairing_loss(real_N, fake_N).sum()
                if gamma:
                    penalty_2N = gan.squared_gradients(score_N, seen_NCHW).view(2, -1)
                    penalties.append(penalty_2N.detach())
                    loss = loss + gamma / 2 * o.penalty_interval * penalty_2N.sum()
                yield loss / o.batch

        nonfinite = training_step.descend(self.optimizers["discriminator"], losses())
        margin_N = torch.cat(margins)
        statistics = {"loss_discriminator": F.softplus(-margin_N).mean(), "margin": margin_N.mean()}
        if gamma:
            r1, r2 = torch.cat(penalties, 1).mean(1)
            statistics |= {"r1_penalty": r1, "r2_penalty": r2}
        return statistics | {"nonfinite_gradients": nonfinite}

    def _generator_step(self, real_NCHW: Tensor, p: float, rng) -> dict[str, Tensor]:
        """The pairing loss, the other way round: each fake against the real image of its row."""
        z_NK, losses_N = self._latents(rng), []
        real_maps, fake_maps = (self._maps(p, rng) for _ in range(2))
        discriminator = self.networks["discriminator"]

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                with torch.no_grad():
                    real_N = discriminator(warp(real_NCHW[chosen], gan.rows(real_maps, chosen)))
                fake_NCHW = gan.as_samples(self.networks["generator"](z_NK[chosen]), self.options)
                loss_N = pairing_loss(discriminator(warp(fake_NCHW, gan.rows(fake_maps, chosen))), real_N)
                losses_N.append(loss_N.detach())
                yield loss_N.sum() / self.options.batch

        with training_step.frozen(discriminator):
            nonfinite = training_step.descend(self.optimizers["generator"], losses())
        return {"loss_generator": torch.cat(losses_N).mean(), "nonfinite_gradients": nonfinite}

    def _latents(self, rng: torch.Generator | None) -> Tensor:
        return torch.randn(self.options.batch, self.options.latent_size, device=self.device, generator=rng)

    def _maps(self, p: float, rng: torch.Generator | None) -> Tensor | None:
        if not any(self.options.augmentation_probability):
            return None
        return random_maps(self.options.batch, torch.full((), p, device=self.device), rng)

    def _rounds(self) -> list[gan.Rows]:
        return gan.rounds(self.options.batch, 1, self.options.microbatch, self.device)

    # -------------------------------------------------------------------------------------------- samples, costs
    @own_products
    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        network = self.networks["generator"].eval()
        return gan.sample_by_index(network, n, seed, first, self.options.latent_size, self.device)

    preview = sample

    @property
    def drawn_per_misfit(self) -> float:
        return gan.DRAWN_PER_MISFIT

    @own_products
    def misfit(self, real_NCHW: Tensor, seed: int) -> Tensor:
        """(N,): gan.misfit."""
        network = self.networks["generator"].eval()
        with training_step.frozen(network):
            return gan.misfit(network, real_NCHW, self.options.latent_size, seed)

    def work(self) -> dict[str, Work]:
        """Of one image, counted by running an iteration with and without penalties; for networks on the meta device."""
        o = self.options
        real_NCHW = torch.empty(o.batch, self.channels, self.size, self.size, device=self.device)
        with_penalty = count_work(lambda: self._discriminator_step(real_NCHW, 1.0, 0.0, None))
        without = count_work(lambda: self._discriminator_step(real_NCHW, 0.0, 0.0, None))
        due = 1 / o.penalty_interval if any(o.gamma) else 0
        batch = count_work(lambda: self._generator_step(real_NCHW, 0.0, None))
        batch = batch + with_penalty * due + without * (1 - due)
        with torch.no_grad():
            z_NK = torch.empty(gan.CHUNK, o.latent_size, device=self.device)
            sampling = count_work(lambda: self.networks["generator"](z_NK)) / gan.CHUNK
        return {"training": batch / o.batch, "sampling": sampling}
