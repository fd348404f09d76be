"""What the adversarial generators share beside generate/training_step.py: state, optimizer, penalties, latents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from understudy.run import distributed, seeds

from . import training_step
from .augmentation import Augmentation
from .first_gradient import first_gradient

Rows = Tensor | slice  # of a batch: indices, or all, which are no copy
CHUNK = 8  # images of one forward pass when sampling
STARTS, DESCENTS, RATE = 128, 100, 0.05  # of a search for the latent of an image
DRAWN_PER_MISFIT = 3 * DESCENTS  # a pass forward and back is three forward


def adam(parameters: Iterable[Tensor], learning_rate: float, betas: tuple, epsilon: float, lazy_interval: int | None):
    """Adam, corrected for a regularisation that makes its own step every `lazy_interval` iterations: k + 1 steps in
    place of k, so c = k / (k + 1) multiplies the learning rate and is the power of the decays (StyleGAN 2, app. B)."""
    parameters = list(parameters)
    c = lazy_interval / (lazy_interval + 1) if lazy_interval else 1.0
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, learning_rate * c, tuple(beta**c for beta in betas), epsilon, fused=fused)


def half_life_decay(batch: int, half_life_images: float) -> float:
    """Decay of an average per iteration such that a weight halves in `half_life_images`."""
    return 0.5 ** (batch / max(half_life_images, 1e-8))


def squared_gradients(score_N: Tensor, x_NCHW: Tensor) -> Tensor:
    """||grad_x sum D(x)||^2 of each image, (N,), to be differentiated once more."""
    return first_gradient(score_N.sum(), x_NCHW).square().sum((1, 2, 3))


class Adversarial(ABC):
    """Networks, optimizers and augmentation of a generator and its discriminator, on one device. A class below it adds
    its own state to `state_extra`."""

    averaged = "generator"  # the network whose moving average is published

    def __init__(self, channels: int, size: int, options):
        self.options, self.channels, self.size = options, channels, size
        self.augmentation = Augmentation(options)
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @property
    def device(self) -> torch.device:
        return next(self.networks["discriminator"].parameters()).device

    def to(self, device: torch.device | str):
        for network in self.networks.values():
            network.to(device)
        self.augmentation.to(device)
        return self

    def state_extra(self) -> dict[str, Tensor]:
        """State that is in no network and no optimizer."""
        return self.augmentation.state()

    def load_state_extra(self, state: dict[str, Tensor]) -> None:
        self.augmentation.load_state(state, self.device)

    @abstractmethod
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state."""

    @abstractmethod
    def ema_decay(self, images_seen: int) -> float:
        """Decay of the generator's average at the end of the iteration that began at `images_seen`."""


def as_samples(fake_NCHW: Tensor, options) -> Tensor:
    """Fakes as the discriminator sees them."""
    return Clamped.apply(fake_NCHW) if options.clamp_fakes else fake_NCHW


class Clamped(torch.autograd.Function):
    """Images clamped to [-1, 1], as samples are. Of a pixel that is out, a gradient leads back or is 0: a descent would
    never change a pixel whose gradient is 0, and would take one that has all of it further and further out."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where((x.abs() > 1) & (x * g < 0), 0.0, g)  # a step goes against the gradient


# ------------------------------------------------------------------------------------------------ one iteration
class Draw(NamedTuple):
    """The random numbers of one batch of fakes."""

    z: Tensor  # (N, K)
    z_mix: Tensor  # (N, K)
    cutoff: Tensor  # () layers below it take the first latent, the others the second
    noises: list[Tensor]  # (N, 1, r, r)
    w: Tensor | None = None  # (2, N, K) of the two latents, where they are known

    @classmethod
    def of(cls, n: int, latent_size: int, layers: int, mixing: float, noise_sizes: list[int], device, rng) -> "Draw":
        """All random numbers of a batch at once, so that micro-batches see those of the whole batch.

        Args:
            layers: that the images have; the style changes at one of them with probability `mixing`.
        """
        at = {"device": device, "generator": rng}
        z_2NK = torch.randn(2, n, latent_size, **at)
        cutoff = torch.randint(1, layers, (), **at)
        cutoff = torch.where(torch.rand((), **at) < mixing, cutoff, layers)
        return cls(z_2NK[0], z_2NK[1], cutoff, [torch.randn(n, 1, r, r, **at) for r in noise_sizes])

    def styles(self, mapping: nn.Module, chosen: Rows, layers: int) -> Tensor:
        """w of every layer, (N, layers, K), mixed."""
        if self.w is None:
            w_NK, w_mix_NK = mapping(torch.cat((self.z[chosen], self.z_mix[chosen]))).chunk(2)
        else:
            w_NK, w_mix_NK = (w_NK[chosen] for w_NK in self.w)
        first_L = torch.arange(layers, device=w_NK.device) < self.cutoff
        return torch.where(first_L[:, None], w_NK[:, None], w_mix_NK[:, None])


def rounds(batch: int, group: int, microbatch: int | None, device: torch.device) -> list[Rows]:
    """This process's micro-batches; groups of the minibatch deviation stay those of the full batch."""
    if (microbatch or batch) >= batch == len(distributed.share(range(batch))):
        return [slice(None)]
    group = min(group, batch)
    members_GM = distributed.share(torch.arange(batch, device=device).view(group, -1).T).T
    return [part.flatten() for part in members_GM.split((microbatch or batch) // group, dim=1)]


def rows(x: Tensor | None, chosen: Rows) -> Tensor | None:
    """Those of a micro-batch, of what may not be there."""
    return None if x is None else x[chosen]


def merge(statistics: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    """Adds the statistics of a further phase of an iteration; non-finite gradients add up."""
    more["nonfinite_gradients"] = more["nonfinite_gradients"] + statistics["nonfinite_gradients"]
    statistics.update(more)


# ------------------------------------------------------------------------------------------------ sampling
def noise_numbers(sizes: Iterable[int]) -> int:
    """Of maps with these edges."""
    return sum(r * r for r in sizes)


def noise_maps(noise_NP: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """(N, 1, r, r) of each edge r."""
    flats = noise_NP.split([r * r for r in sizes], 1)
    return [flat.unflatten(1, (1, r, r)) for flat, r in zip(flats, sizes, strict=True)]


def latents(seed: int, first: int, n: int, size: int, purpose: str = "latent") -> Tensor:
    """(n, size) standard normal on the CPU; row i depends on (purpose, seed, first + i) only."""
    rows = [torch.randn(size, generator=seeds.generator("cpu", purpose, seed, first + i)) for i in range(n)]
    return torch.stack(rows) if rows else torch.empty(0, size)


def sample_by_index(
    forward: Callable[..., Tensor], n: int, seed: int, first: int, size: int, device, noise: int = 0
) -> Tensor:
    """training_step.sample_by_index with forward: latents (N, size) -> images. Where the images have `noise` of their
    own, so many numbers, forward: latents, noise (N, `noise`) -> images."""
    numbers = {"latent": size} | ({"noise": noise} if noise else {})

    def draw(indices: range) -> Tensor:
        rows = (latents(seed, indices.start, len(indices), count, purpose) for purpose, count in numbers.items())
        return forward(*(row.to(device) for row in rows))

    return training_step.sample_by_index(draw, n, first, CHUNK)


def misfit(forward: Callable[[Tensor], Tensor], real_NCHW: Tensor, size: int, seed: int) -> Tensor:
    """(N,): mean squared error of the best image that `forward`: latents (N, size) -> images can make of each, by Adam
    from the best of some latents (the white-box attack of Chen et al., GAN-Leaks, 2020)."""
    device, starts_SK = real_NCHW.device, latents(seed, 0, STARTS, size, "misfit").to(real_NCHW.device)

    def errors(made_NCHW: Tensor, x_NCHW: Tensor) -> Tensor:
        return (made_NCHW - x_NCHW).square().flatten(1).mean(1)

    with torch.no_grad():
        made_SCHW = torch.cat([forward(z_NK) for z_NK in starts_SK.split(CHUNK)])
    best_N = torch.empty(len(real_NCHW), device=device)
    for chosen in torch.arange(len(real_NCHW), device=device).split(CHUNK):
        x_NCHW = real_NCHW[chosen]
        first_N = torch.stack([errors(made_SCHW, x_CHW[None].expand_as(made_SCHW)).argmin() for x_CHW in x_NCHW])
        z_NK = starts_SK[first_N].clone().requires_grad_()
        descent = torch.optim.Adam([z_NK], RATE)
        least_N = torch.full((len(chosen),), torch.inf, device=device)
        for _ in range(DESCENTS):
            error_N = errors(forward(z_NK), x_NCHW)
            least_N = torch.minimum(least_N, error_N.detach())
            descent.zero_grad()
            error_N.sum().backward()
            descent.step()
        best_N[chosen] = least_N
    return best_N
