"""The training step that StyleGAN 2 and 3 share: non-saturating losses, R1, a running mean of w, samples by index.

Karras et al. 2020, appendix B: each iteration the generator makes a step, then the discriminator; R1 makes a step of
its own every `r1_interval` iterations. A subclass says what a generator draws at random (`_draw`), the images that it
makes of it (`_images`) and further regularisation (`_regularise_generator`).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.run import distributed
from understudy.run.flops import Work, count_work

from . import gan, training_step
from .augmentation import warp
from .precision import own_products


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real_NCHW: Tensor) -> Tensor:
    """||grad_x D(x)||^2 of each real image, (N,) (Mescheder et al. 2018, equation 9)."""
    real_NCHW = real_NCHW.detach().requires_grad_()
    return gan.squared_gradients(discriminator(real_NCHW), real_NCHW)


class StyleTraining(gan.Adversarial):
    """Networks, optimizers and the training step; `sample` draws from networks["generator"], which has `mapping`,
    `w_mean_K` and a forward of (z, psi, cutoff).

    Args:
        generator_lazy: iterations between the steps of the generator's own regularisation; none by default.
    """

    def __init__(
        self, channels: int, size: int, o, generator: nn.Module, discriminator: nn.Module, generator_lazy: int | None
    ):
        super().__init__(channels, size, o)
        self.networks = {"generator": generator, "discriminator": discriminator}
        rates = {"generator": o.learning_rate_generator, "discriminator": o.learning_rate_discriminator}
        lazy = {"generator": generator_lazy, "discriminator": o.r1_interval if o.r1_gamma else None}
        self.optimizers = {
            name: gan.adam(network.parameters(), rates[name], o.adam_betas, o.adam_epsilon, lazy[name])
            for name, network in self.networks.items()
        }

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.options.batch

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the generator's average at the end of the iteration that began at `images_seen`."""
        o = self.options
        half_life = o.ema_kimg * 1000 * o.batch / 32
        if o.ema_rampup is not None:
            half_life = min(half_life, o.ema_rampup * images_seen)
        return gan.half_life_decay(o.batch, half_life)

    # -------------------------------------------------------------------------------------------- what differs
    @abstractmethod
    def _draw(self, n: int, rng: torch.Generator) -> NamedTuple:
        """All random numbers of a batch at once, so that micro-batches see those of the whole batch; `z` (N, K)."""

    @abstractmethod
    def _images(self, draw: NamedTuple, chosen: gan.Rows) -> Tensor:
        """The fakes (N, C, H, W) of the chosen rows of a draw."""

    def _images_to_judge(self, draw: NamedTuple, chosen: gan.Rows) -> Tensor:
        """The same for the discriminator's step, without a gradient: whoever follows statistics does it here."""
        return self._images(draw, chosen)

    def _mapped(self, draw: NamedTuple) -> tuple[Tensor, NamedTuple]:
        """w (N, K) of a draw, and the draw, which may keep them."""
        return self.networks["generator"].mapping(draw.z), draw

    def _score(self, image_NCHW: Tensor, maps_N23: Tensor | None = None) -> Tensor:
        """Logits (N,), larger for what looks real, of images that are augmented by these maps."""
        return self.networks["discriminator"](warp(image_NCHW, maps_N23))

    def _regularise_generator(self, iteration: int, rng: torch.Generator) -> dict[str, Tensor] | None:
        """Between the steps of the two networks; statistics if it was due."""
        return None

    # -------------------------------------------------------------------------------------------- the step
    @own_products
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state.

        Returns detached scalars; those of the regularisers only in the iterations that they are due in.
        """
        o = self.options
        assert real_NCHW.shape == (o.batch, self.channels, self.size, self.size), real_NCHW.shape
        iteration = images_seen // o.batch
        if o.mirror:
            real_NCHW = training_step.mirrored(real_NCHW, rng)
        statistics = self._generator_step(rng)
        if (regularised := self._regularise_generator(iteration, rng)) is not None:
            gan.merge(statistics, regularised)
        gan.merge(statistics, self._discriminator_step(real_NCHW, rng))
        if o.r1_gamma and iteration % o.r1_interval == 0:
            gan.merge(statistics, self._r1_step(real_NCHW, rng))
        return statistics

    def _generator_step(self, rng: torch.Generator) -> dict[str, Tensor]:
        """Non-saturating loss: softplus(-D(G(z)))."""
        draw, scores = self._draw(self.options.batch, rng), []
        maps = self.augmentation.draw(self.options.batch, rng)

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                fake_NCHW = gan.as_samples(self._images(draw, chosen), self.options)
                score_N = self._score(fake_NCHW, gan.rows(maps, chosen))
                scores.append(score_N.detach())
                yield F.softplus(-score_N).sum() / self.options.batch

        with training_step.frozen(self.networks["discriminator"]):
            nonfinite = training_step.descend(self.optimizers["generator"], losses())
        return {"loss_generator": F.softplus(-torch.cat(scores)).mean(), "nonfinite_gradients": nonfinite}

    def _discriminator_step(self, real_NCHW: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """softplus(D(G(z))) + softplus(-D(x)); the mean w is followed here."""
        o = self.options
        draw, fakes, reals = self._draw(o.batch, rng), [], []
        fake_maps, real_maps = (self.augmentation.draw(o.batch, rng) for _ in range(2))
        with torch.no_grad():
            w_NK, draw = self._mapped(draw)
            self.networks["generator"].w_mean_K.lerp_(w_NK.mean(0), 1 - o.mapping_ema)

        def part(score_N: Tensor, scores: list[Tensor], sign: int) -> Tensor:
            scores.append(score_N.detach())
            return F.softplus(sign * score_N).sum() / o.batch

        def losses() -> Iterator[Tensor]:  # fakes and reals one after the other: half as much is kept at once
            for chosen in self._rounds():
                with torch.no_grad():
                    fake_NCHW = gan.as_samples(self._images_to_judge(draw, chosen), o)
                yield part(self._score(fake_NCHW, gan.rows(fake_maps, chosen)), fakes, 1)
                yield part(self._score(real_NCHW[chosen], gan.rows(real_maps, chosen)), reals, -1)

        nonfinite = training_step.descend(self.optimizers["discriminator"], losses())
        fake_N, real_N = torch.cat(fakes), torch.cat(reals)
        return {
            "loss_discriminator": (F.softplus(fake_N) + F.softplus(-real_N)).mean(),
            "score_fake": fake_N.mean(),
            "score_real": real_N.mean(),
            "sign_real": real_N.sign().mean(),  # near 1: the discriminator knows every training image
            "nonfinite_gradients": nonfinite,
            **self.augmentation.follow(real_N, o.batch),
        }

    def _r1_step(self, real_NCHW: Tensor, rng: torch.Generator | None) -> dict[str, Tensor]:
        """gamma / 2 * ||grad D(x)||^2, on the iteration's real images."""
        o, penalties, maps = self.options, [], self.augmentation.draw(len(real_NCHW), rng)

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                chosen_maps = gan.rows(maps, chosen)
                penalty_N = r1_penalty(lambda x, to=chosen_maps: self._score(x, to), real_NCHW[chosen])
                penalties.append(penalty_N.detach())
                yield penalty_N.sum() / o.batch * (o.r1_gamma / 2) * o.r1_interval

        nonfinite = training_step.descend(self.optimizers["discriminator"], losses())
        return {"r1_penalty": torch.cat(penalties).mean(), "nonfinite_gradients": nonfinite}

    def _rounds(self) -> list[gan.Rows]:
        o = self.options
        return gan.rounds(o.batch, o.minibatch_std_group, o.microbatch, self.device)

    # -------------------------------------------------------------------------------------------- samples, costs
    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        o = self.options
        return self._sampled(n, seed, first, o.truncation_psi, o.truncation_cutoff, self._noise_of_samples())

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, 1.0, None)

    def _noise_of_samples(self) -> list[int]:
        """Edges of the maps of noise that each sample has of its own."""
        return []

    @own_products
    def _sampled(
        self, n: int, seed: int, first: int, psi: float, cutoff: int | None, noise_sizes: Sequence[int] = ()
    ) -> Tensor:
        network, noise = self.networks["generator"].eval(), gan.noise_numbers(noise_sizes)

        def forward(z_NK: Tensor, noise_NP: Tensor | None = None) -> Tensor:
            return network(z_NK, psi, cutoff, *([gan.noise_maps(noise_NP, noise_sizes)] if noise else []))

        return gan.sample_by_index(forward, n, seed, first, self.options.latent_size, self.device, noise)

    @property
    def drawn_per_misfit(self) -> float:
        return gan.DRAWN_PER_MISFIT

    @own_products
    def misfit(self, real_NCHW: Tensor, seed: int) -> Tensor:
        """(N,): gan.misfit."""
        network = self.networks["generator"].eval()
        with training_step.frozen(network):
            return gan.misfit(lambda z_NK: network(z_NK, 1.0, None), real_NCHW, self.options.latent_size, seed)

    def work(self) -> dict[str, Work]:
        """Of one image, counted by running every phase of an iteration; for networks on the meta device."""
        o, network = self.options, self.networks["generator"]
        real_NCHW = torch.empty(o.batch, self.channels, self.size, self.size, device=self.device)
        batch = count_work(lambda: self._generator_step(None))
        batch = batch + count_work(lambda: self._discriminator_step(real_NCHW, None)) + self._regularisation_work()
        if o.r1_gamma:
            batch = batch + count_work(lambda: self._r1_step(real_NCHW, None)) / o.r1_interval
        with torch.no_grad():
            z_NK = torch.empty(gan.CHUNK, o.latent_size, device=self.device)
            sampling = count_work(lambda: network(z_NK)) / gan.CHUNK
        return {"training": batch / o.batch, "sampling": sampling}

    def _regularisation_work(self) -> Work:
        """Of `_regularise_generator`, on average over the iterations."""
        return Work()


def check_processes(name: str, o) -> None:
    """Raises ValueError where the batch cannot be shared by the processes that there are."""
    group = min(o.minibatch_std_group, o.batch)
    if (o.batch // group) % (processes := distributed.world_size()) or o.batch // 2 < processes:
        raise ValueError(
            f"{name}: found {processes} GPUs for a batch of {o.batch} in groups of {group} "
            f"(minibatch_std_group): expected a number that divides {o.batch // group}"
        )
    half = o.batch // 2
    if getattr(o, "path_length_weight", 0) and half % processes:
        raise ValueError(
            f"{name}: found {processes} GPUs for path lengths of half a batch, {half} images: "
            f"expected a number that divides {half}"
        )
