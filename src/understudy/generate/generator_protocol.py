"""What a generator has to offer: all that training, sampling, publishing and the forecast ask of one."""

from collections.abc import Mapping
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from understudy.config.generator import Generator as Options
from understudy.run.flops import Work


@runtime_checkable
class Generator(Protocol):
    """A class of src/understudy/generate/, built as Class(channels, size, **options)."""

    options: Options
    """Its block, which has what all generators have (annotation, mirror, memorization, kimg). A key of `use=SAMPLING`
    is read by sampling alone and is no part of a training's identity."""
    channels: int
    """Of its images, (channels, size, size): those of the coded annotation. It need not know the coding."""
    size: int
    averaged: str
    """The name of the network that is averaged and published. All that sampling needs is in it."""
    networks: Mapping[str, nn.Module]
    """{name: network}; those that are not averaged are only trained."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    """{name: optimizer}. Their moments are checkpointed, their learning rates come from the config."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""

    def to(self, device: torch.device | str) -> Self:
        """Moves networks and other state; returns self."""

    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator | None) -> dict[str, Tensor]:
        """One iteration on float images in [-1, 1]: a function of its arguments and of the state, in place. Every
        random number comes from `rng`, the global state stays as it is. Returns detached scalars on the device and
        never waits for it; some may be left out of an iteration."""

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the averaged network after the iteration that began at `images_seen`."""

    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1] of `networks[averaged]`: image i is a function of (seed, first + i) alone."""

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """The same for the looks of a training at its own samples: fast, and no function of any option of
        `use=SAMPLING`."""

    def misfit(self, real_NCHW: Tensor, seed: int) -> Tensor:
        """float32 (N,), how badly the published network explains each image, smaller where it remembers it: what an
        attacker compares who holds the weights (audit/weights_attack.py). A function of image and seed alone."""

    @property
    def drawn_per_misfit(self) -> float:
        """How many images are drawn in the time that `misfit` takes for one: what the attack costs (forecast)."""

    def work(self) -> dict[str, Work]:
        """{"training": ..., "sampling": ...} of one image, on average over the training; called with the networks on
        the meta device, so `run.flops.count_work` of the real steps is exact and fast."""

    def state_extra(self) -> dict:
        """State that is in no network and no optimizer: tensors and JSON values."""

    def load_state_extra(self, state: dict) -> None: ...
