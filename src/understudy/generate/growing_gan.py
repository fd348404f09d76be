"""What the progressive GAN and StyleGAN 1 share: two networks that grow, the order of a step, sampling, FLOPs.

A step is a function of the state, the images seen and the random numbers given. The images seen
determine the phase, the learning rates and whether the optimizers start anew (growing.py). So the schedule has no state
except the generator's buffer `lod`, by which published weights say at which resolution they were trained last.
"""

from abc import abstractmethod
from collections import Counter

import torch
from torch import Tensor, nn

from understudy.config.generator import at_resolution
from understudy.config.reading import read_options
from understudy.run import distributed
from understudy.run.flops import Work, count_work

from . import gan, training_step
from .growing import Phase, Schedule, full_size, shown
from .precision import own_products


class GrowingGAN(gan.Adversarial):
    """Networks, optimizers and the training step; `sample` draws from networks["generator"].

    A class below it has `name`, `Options`, `_build`, `_discriminator_step`, `_generator_step`, `_images`, `ema_decay`.

    Raises:
        ValueError: an unknown option, or a size, schedule or batch that it cannot work with.
    """

    name: str
    Options: type

    def __init__(self, channels: int, size: int, **options):
        o = read_options(self.Options, self.name, size, options)
        super().__init__(channels, size, o)
        self.schedule = Schedule.of(size, o)
        _check_processes(self.name, self.schedule, o)
        self.networks = self._build(self.schedule.top)
        self.optimizers = {
            name: gan.adam(network.parameters(), self._rate(name, size), o.adam_betas, o.adam_epsilon, None)
            for name, network in self.networks.items()
        }

    @abstractmethod
    def _build(self, lod: int) -> dict[str, nn.Module]:
        """The generator, at a level of detail, and the discriminator."""

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.schedule.batch_at(images_seen)

    @own_products
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator) -> dict[str, Tensor]:
        """One iteration on full-size real images in [-1, 1], a function of its arguments and of the state.

        As in the original, the discriminator goes first, and each of the two sees new fakes. Returns detached scalars.
        """
        assert real_NCHW.shape == (self.batch_at(images_seen), self.channels, self.size, self.size), real_NCHW.shape
        phase = self._enter(images_seen)
        if self.options.mirror:
            real_NCHW = training_step.mirrored(real_NCHW, rng)
        statistics = self._discriminator_step(shown(real_NCHW, phase), phase, rng)
        gan.merge(statistics, self._generator_step(len(real_NCHW), phase, rng))
        return statistics | {"level_of_detail": self.networks["generator"].lod.float()}

    def _enter(self, images_seen: int) -> Phase:
        """The phase of an iteration, with the level, the moments and the learning rates that belong to it."""
        phase = self.schedule.phase_at(images_seen)
        self.networks["generator"].lod.fill_(self.schedule.lod_at(images_seen))
        for name, optimizer in self.optimizers.items():
            if self.schedule.begins_level(images_seen):
                optimizer.state.clear()
            optimizer.param_groups[0]["lr"] = self._rate(name, phase.resolution)
        return phase

    def _rate(self, network: str, resolution: int) -> float:
        return at_resolution(getattr(self.options, f"learning_rate_{network}"), resolution)

    @abstractmethod
    def _discriminator_step(self, real_NCHW: Tensor, phase: Phase, rng: torch.Generator | None) -> dict[str, Tensor]:
        """On real images of the phase's resolution."""

    @abstractmethod
    def _generator_step(self, n: int, phase: Phase, rng: torch.Generator | None) -> dict[str, Tensor]:
        """On n fakes of the phase's resolution."""

    def _enlarged(self, phase: Phase) -> int:
        """By how much a gradient is smaller than at the phase's resolution, where penalties are those of the original.

        There the image's every pixel is f x f equal ones, which the discriminator begins by averaging: each has 1 / f^2
        of the pixel's derivative, there are f^2 of them, and the norm of the gradient is divided by f.
        """
        return phase.enlarged if self.options.penalty_resolution == "full" else 1

    def _rounds(self, n: int) -> list[gan.Rows]:
        return gan.rounds(n, self.options.minibatch_std_group, self.options.microbatch, self.device)

    @abstractmethod
    def _images(self, z_NK: Tensor, noise_NP: Tensor | None, phase: Phase, truncated: bool) -> Tensor:
        """Samples of the phase's resolution, of latents and of as many other numbers as `_noise_numbers`."""

    def _noise_numbers(self, phase: Phase) -> int:
        return 0

    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        return self._sampled(n, seed, first, truncated=True)

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, truncated=False)

    @own_products
    def _sampled(self, n: int, seed: int, first: int, truncated: bool) -> Tensor:
        network = self.networks["generator"].eval()
        phase = Phase.of(float(network.lod), self.size)
        noise = self._noise_numbers(phase)

        def forward(z_NK: Tensor, noise_NP: Tensor | None = None) -> Tensor:
            return full_size(self._images(z_NK, noise_NP, phase, truncated), self.size)

        return gan.sample_by_index(forward, n, seed, first, self.options.latent_size, self.device, noise)

    @property
    def drawn_per_misfit(self) -> float:
        return gan.DRAWN_PER_MISFIT

    @own_products
    def misfit(self, real_NCHW: Tensor, seed: int) -> Tensor:
        """(N,): gan.misfit, all images with one noise."""
        network = self.networks["generator"].eval()
        phase = Phase.of(float(network.lod), self.size)
        noise_1P = gan.latents(seed, 0, 1, self._noise_numbers(phase), "noise").to(self.device)

        def forward(z_NK: Tensor) -> Tensor:
            return full_size(self._images(z_NK, noise_1P.expand(len(z_NK), -1), phase, truncated=False), self.size)

        with training_step.frozen(network):
            return gan.misfit(forward, real_NCHW, self.options.latent_size, seed)

    def work(self) -> dict[str, Work]:
        """Of one image, counted by running an iteration of every resolution; for networks on the meta device. A
        fade counts as the resolution that it ends in: what is left of the one before are 1 x 1 convolutions."""
        images, shares = self.options.kimg * 1000, Counter()
        for phase, share in self.schedule.shares(images):
            shares[phase._replace(old=0.0)] += share
        training = sum((self._training_work(phase) * share for phase, share in shares.items()), Work())
        last = Phase.of(self.schedule.lod(images), self.size)
        numbers = (self.options.latent_size, self._noise_numbers(last))
        z_NK, noise_NP = (torch.empty(gan.CHUNK, size, device=self.device) for size in numbers)
        with torch.no_grad():
            return {
                "training": training,
                "sampling": count_work(lambda: self._images(z_NK, noise_NP, last, True)) / gan.CHUNK,
            }

    def _training_work(self, phase: Phase) -> Work:
        n = at_resolution(self.options.batch, phase.resolution)
        real_NCHW = torch.empty(n, self.channels, phase.resolution, phase.resolution, device=self.device)
        count = count_work(lambda: self._discriminator_step(real_NCHW, phase, None))
        return (count + count_work(lambda: self._generator_step(n, phase, None))) / n


def _check_processes(name: str, schedule: Schedule, o) -> None:
    for resolution in schedule.resolutions():
        batch = at_resolution(o.batch, resolution)
        group = min(o.minibatch_std_group, batch)
        if (batch // group) % (processes := distributed.world_size()):
            raise ValueError(
                f"{name}: batch {batch} at {resolution} x {resolution} in groups of {group} (minibatch_std_group): "
                f"found {processes} GPUs, expected a number that divides {batch // group}"
            )
