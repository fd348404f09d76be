"""The part that denoising generators share: the network (diffusion_networks.py) and its optimizer, the training step,
precision, the first noise of a sample.

A subclass says which times are trained (`times`), what the network must predict there (`loss`), and how noise becomes
an image (`sample`, `preview`, through `from_noise`).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from understudy.run import distributed, seeds
from understudy.run.compiling import can_compile
from understudy.run.flops import Work, count_work

from . import gan, training_step
from .augmentation import random_maps, told, warp
from .diffusion_networks import Denoiser
from .guard import Guard
from .precision import own_products

CHUNK = 16  # images of one forward pass when sampling
TRIES = 24  # times and noises that an image is tried with
Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]  # images, times, noise, transforms -> (N,)


class Denoising:
    """The network, its optimizer and the training step.

    Args:
        name: of the generator, for messages.
        network: forward(x_NCHW, t_N), such as `unet` makes; with told_N6 where training images are transformed.
        betas: of AdamW.
    Raises:
        ValueError: a size or value that it cannot work with.
    """

    averaged = "denoiser"  # the network whose moving average is published
    guard: Guard | None = None  # given before samples are drawn, where `options.guard` asks for one
    gradient_clip: float | None = None  # largest norm of the gradient

    def __init__(self, name: str, channels: int, size: int, o, network: nn.Module, betas: Sequence = (0.9, 0.999)):
        self.options, self.channels, self.size = o, channels, size
        if (processes := distributed.world_size()) > o.batch:
            raise ValueError(f"{name}: found {processes} GPUs for a batch of {o.batch}, expected at most so many")
        self.networks: dict[str, nn.Module] = {"denoiser": network}
        parameters = list(network.parameters())
        fused = parameters[0].device.type in ("cpu", "cuda")
        adam = torch.optim.AdamW(parameters, o.learning_rate, tuple(betas), weight_decay=o.weight_decay, fused=fused)
        self.optimizers = {"denoiser": adam}

    @property
    def device(self) -> torch.device:
        return next(self.networks["denoiser"].parameters()).device

    def to(self, device: torch.device | str):
        network = self.networks["denoiser"].to(device)
        if self.device.type == "cuda":
            network.to(memory_format=torch.channels_last)
            if self.options.compile and can_compile():
                network.compile(dynamic=False)  # in place: parameters and their names stay
        return self

    def state_extra(self) -> dict[str, Tensor]:
        """State that is in no network and no optimizer."""
        return {}

    def load_state_extra(self, state: dict[str, Tensor]) -> None:
        pass

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.options.batch

    def learning_rate(self, images_seen: int) -> float:
        """Of the iteration that begins at `images_seen`."""
        return self.options.learning_rate

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the network's average at the end of the iteration that began at `images_seen`."""
        return self.options.ema_decay

    # -------------------------------------------------------------------------------------------- training
    @abstractmethod
    def times(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """(t, weight of its loss), (N,) each: where in the process each image of an iteration is."""

    @abstractmethod
    def loss(self, image_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor, told_N6: Tensor | None = None) -> Tensor:
        """(N,): of the network's answers to these images with this noise at these times. `told_N6`: how the images were
        transformed, where training images are."""

    def parts(self, t_N: Tensor, rng: torch.Generator | None) -> list[tuple[Tensor, Loss]]:
        """(places in the batch, the loss of the images there) of each micro-batch of this process."""
        return [(chosen, self.loss) for chosen in self.micro_batches(torch.arange(len(t_N), device=t_N.device))]

    def micro_batches(self, places_N: Tensor) -> tuple[Tensor, ...]:
        """Of this process's share of these places."""
        return distributed.share(places_N).split(self.options.microbatch or len(places_N))

    def learned_at(self, t_N: Tensor, loss_N: Tensor) -> None:
        """Called after an iteration with its losses, those of all processes."""

    @own_products
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator | None) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state."""
        o, n = self.options, len(real_NCHW)
        assert real_NCHW.shape == (o.batch, self.channels, self.size, self.size), real_NCHW.shape
        if o.mirror:
            real_NCHW = training_step.mirrored(real_NCHW, rng)
        maps_N23 = self._maps(n, rng)
        real_NCHW, told_N6 = warp(real_NCHW, maps_N23), told(maps_N23)
        t_N, weight_N = self.times(n, rng)
        noise_NCHW = torch.randn(real_NCHW.shape, device=self.device, generator=rng)
        loss_N, parts = torch.zeros(n, device=self.device), self.parts(t_N, rng)

        def losses() -> Iterator[Tensor]:
            for chosen, loss in parts:
                part_N = loss(real_NCHW[chosen], t_N[chosen], noise_NCHW[chosen], gan.rows(told_N6, chosen))
                loss_N[chosen] = part_N.detach()
                yield (weight_N[chosen] * part_N).sum() / n

        adam = self.optimizers["denoiser"]
        adam.param_groups[0]["lr"] = self.learning_rate(images_seen)
        with _dropout_of(rng, o.dropout):
            nonfinite = training_step.descend(adam, losses(), self.gradient_clip)
        loss_N = distributed.all_reduce_sum(loss_N)
        self.learned_at(t_N, loss_N)
        return {"loss": (weight_N * loss_N).mean(), "nonfinite_gradients": nonfinite}

    def _maps(self, n: int, rng: torch.Generator | None) -> Tensor | None:
        p = self.options.augmentation_probability
        return random_maps(n, torch.full((), float(p), device=self.device), rng) if p else None

    def answer(
        self, network: Callable[..., Tensor], x_NCHW: Tensor, *times_N: Tensor, told_N6: Tensor | None = None
    ) -> Tensor:
        """The network's, float32, computed in the precision of the options."""
        if x_NCHW.device.type == "cuda":
            x_NCHW = x_NCHW.contiguous(memory_format=torch.channels_last)
        reduced = x_NCHW.device.type == "cuda" and self.options.precision == "bf16"
        with torch.autocast("cuda", torch.bfloat16) if reduced else nullcontext():
            return network(x_NCHW, *times_N, **({} if told_N6 is None else {"told_N6": told_N6})).float()

    # -------------------------------------------------------------------------------------------- sampling
    def asked_guard(self) -> Guard | None:
        """Of the samples; the looks of a training have none. Raises ValueError where it was not given."""
        if self.options.guard and self.guard is None:
            raise ValueError(f"guard: found {self.options.guard:g} and no training images; expected generator.guard")
        return self.guard

    @own_products
    def from_noise(self, solve: Callable[[Tensor, range], Tensor], n: int, seed: int, first: int) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only. `solve` makes images of standard
        normal noise, given the indices that they have."""
        shape = (self.channels, self.size, self.size)

        def draw(indices: range) -> Tensor:
            # the first noise is the CPU's, so that an image is the same one, but for rounding, on every device
            x = torch.stack([torch.randn(shape, generator=seeds.generator("cpu", "latent", seed, i)) for i in indices])
            return solve(x.to(self.device), indices)

        return training_step.sample_by_index(draw, n, first, CHUNK)

    @property
    def drawn_per_misfit(self) -> float:
        return TRIES / self.options.evaluations

    @torch.no_grad()
    @own_products
    def misfit(self, real_NCHW: Tensor, seed: int) -> Tensor:
        """(N,): the loss of the training, mean over times and noises that are the same for every image (Carlini et al.
        2023, section 5)."""
        total_N = torch.zeros(len(real_NCHW), device=self.device)
        for number in range(TRIES):
            rng = seeds.generator(self.device, "misfit", seed, number)
            t_1, _ = self.times(1, rng)
            noise_1CHW = torch.randn((1, *real_NCHW.shape[1:]), device=self.device, generator=rng)
            for chosen in torch.arange(len(real_NCHW), device=self.device).split(CHUNK):
                n = len(chosen)
                with _dropout_of(rng, self.options.dropout):
                    total_N[chosen] += self.loss(real_NCHW[chosen], t_1.expand(n), noise_1CHW.expand(n, -1, -1, -1))
        return total_N / TRIES

    def work(self) -> dict[str, Work]:
        """Of one image, counted by running an iteration; for networks on the meta device. It has no autocast: bf16
        halves the bytes."""
        o, network = self.options, self.networks["denoiser"]
        real_NCHW = torch.empty(o.batch, self.channels, self.size, self.size, device=self.device)
        training = count_work(lambda: self.step(real_NCHW, 0, None)) / o.batch
        with torch.no_grad():
            t_N = torch.zeros(CHUNK, dtype=torch.int64, device=self.device)
            x_NCHW = torch.empty(CHUNK, self.channels, self.size, self.size, device=self.device)
            evaluation = count_work(lambda: network(x_NCHW, t_N)) / CHUNK
        found = {"training": training, "sampling": evaluation * o.evaluations}
        return {key: one.halved() if o.precision == "bf16" else one for key, one in found.items()}


def unet(channels: int, size: int, o, **more) -> Denoiser:
    """The network of the diffusion model, with the options of a block."""
    shape = {key: getattr(o, key) for key in ("width", "multipliers", "blocks", "attention", "heads", "dropout")}
    return Denoiser(channels, size, told=o.augmentation_probability > 0, **shape, **more)


@contextmanager
def _dropout_of(rng: torch.Generator | None, probability: float) -> Iterator[None]:
    """Dropout takes its numbers from the global state: seeded from `rng` for the step, put back after it. Each process
    has masks of its own."""
    if rng is None or not probability:
        yield
        return
    with torch.random.fork_rng([rng.device] if rng.device.type == "cuda" else []):
        torch.manual_seed(seeds.seed_of(rng.initial_seed(), "dropout", distributed.rank()))
        yield
