"""NAME: what it is, in one sentence. To begin with: a variational autoencoder, the smallest generator that learns.

Copy this file to src/understudy/generate/NAME.py, its options to src/understudy/config/generators/NAME.py, and replace
what is not yours; docs/adding-a-generator.md goes through the rest. tests/generate/test_contract.py trains this file
and samples from it.

Paper     Kingma, Welling: "Auto-Encoding Variational Bayes", ICLR 2014.
Original  where the authors' code is, its licence. This is an independent implementation.
Cost      published: thousand images, hours, which GPU; samples per hour.
Size      5 x 256 x 256: parameters (measure them; a test has the number).
Departs   from the original in this and that.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.config.fields import Number, Problem, key
from understudy.config.generator import Batch, Generator, Kimg, LatentSize
from understudy.config.reading import read_options
from understudy.run import distributed, seeds
from understudy.run.flops import Work, count_work

from . import training_step

CHUNK = 16  # images of one forward pass when sampling: fixed, as the size of a batch changes the last bits
TRIES = 8  # noises that an image is tried with


class Options(Generator):
    """Every knob, with the value of the paper. It becomes src/understudy/config/generators/NAME.py: a config is read
    without torch. `use=SAMPLING` is said of a key that only `sample` reads: another value trains nothing again."""

    features: int = key(32, "maps of the largest layer", ge=1)
    latent_size: LatentSize = 64
    batch: Batch = 32
    kimg: Kimg = 1000
    learning_rate: Number = key(0.001, "of Adam", gt=0)
    ema_decay: Number = key(0.999, "of the averaged network, per iteration", ge=0, lt=1)

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        if size % 4:
            yield "size", f"found {size}; allowed: a multiple of 4"


class Template:
    """The networks, the optimizer and the training step; `sample` draws from networks["decoder"].

    Raises:
        ValueError: an unknown option, or a size or value that it cannot work with.
    """

    averaged = "decoder"  # the network whose moving average is published; `sample` needs no other one

    def __init__(self, channels: int, size: int, **options):
        self.options = o = read_options(Options, "template", size, options)
        self.channels, self.size = channels, size
        if (processes := distributed.world_size()) > o.batch:
            raise ValueError(f"template: found {processes} GPUs for a batch of {o.batch}, expected at most so many")
        self.networks: dict[str, nn.Module] = {
            "encoder": Encoder(channels, size, o.features, o.latent_size),
            "decoder": Decoder(channels, size, o.features, o.latent_size),
        }
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        self.optimizers = {"both": torch.optim.Adam(parameters, o.learning_rate)}

    @property
    def device(self) -> torch.device:
        return next(self.networks["decoder"].parameters()).device

    def to(self, device: torch.device | str) -> "Template":
        for network in self.networks.values():
            network.to(device)
        return self

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.options.batch

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the average at the end of the iteration that began at `images_seen`."""
        return self.options.ema_decay

    def state_extra(self) -> dict:
        """State that is in no network and no optimizer: tensors and JSON values."""
        return {}

    def load_state_extra(self, state: dict) -> None:
        pass

    # -------------------------------------------------------------------------------------------- training
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator | None) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state."""
        o, n = self.options, len(real_NCHW)
        # every process draws all random numbers of the batch, then computes its share of the images
        if o.mirror:
            real_NCHW = training_step.mirrored(real_NCHW, rng)
        noise_NK = torch.randn(n, o.latent_size, device=self.device, generator=rng)
        loss_N = torch.zeros(n, device=self.device)

        def losses() -> Iterator[Tensor]:  # a part of the batch at a time: their gradients add up
            for chosen in distributed.share(torch.arange(n, device=self.device)).split(o.microbatch or n):
                part_N = self.loss(real_NCHW[chosen], noise_NK[chosen])
                loss_N[chosen] = part_N.detach()
                yield part_N.sum() / n

        nonfinite = training_step.descend(self.optimizers["both"], losses())
        return {"loss": distributed.all_reduce_sum(loss_N).mean(), "nonfinite_gradients": nonfinite}

    def loss(self, real_NCHW: Tensor, noise_NK: Tensor) -> Tensor:
        """(N,): the negative of equation 10, but for constants, with pixels of deviation 0.1."""
        mean_NK, log_variance_NK = self.networks["encoder"](real_NCHW)
        latent_NK = mean_NK + (0.5 * log_variance_NK).exp() * noise_NK
        error_N = (self.networks["decoder"](latent_NK) - real_NCHW).square().flatten(1).sum(1)
        divergence_N = 0.5 * (mean_NK.square() + log_variance_NK.exp() - log_variance_NK - 1).sum(1)
        return (error_N / (2 * 0.1**2) + divergence_N) / real_NCHW[0].numel()

    # -------------------------------------------------------------------------------------------- sampling
    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        decoder, size = self.networks["decoder"], self.options.latent_size

        def draw(indices: range) -> Tensor:  # noise of the CPU, so that an image is the same one on every device
            latents = [torch.randn(size, generator=seeds.generator("cpu", "latent", seed, i)) for i in indices]
            return decoder(torch.stack(latents).to(self.device))

        return training_step.sample_by_index(draw, n, first, CHUNK)

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: fast, and a function of no option in SAMPLING."""
        return self.sample(n, seed, first)

    @torch.no_grad()
    def misfit(self, real_NCHW: Tensor, seed: int) -> Tensor:
        """(N,): the mean of `loss` over some noises, the same for every image."""
        size, rngs = self.options.latent_size, (seeds.generator("cpu", seed, i) for i in range(TRIES))
        rows = [torch.randn(size, generator=rng).to(self.device).expand(len(real_NCHW), -1) for rng in rngs]
        return torch.stack([self.loss(real_NCHW, noise_NK) for noise_NK in rows]).mean(0)

    @property
    def drawn_per_misfit(self) -> float:
        return TRIES  # a loss is one pass, as a sample is

    def work(self) -> dict[str, Work]:
        """FLOPs of one image, counted by running both; for networks on the meta device."""
        o = self.options
        real_NCHW = torch.empty(o.batch, self.channels, self.size, self.size, device=self.device)
        latent_NK = torch.empty(CHUNK, o.latent_size, device=self.device)
        with torch.no_grad():
            sampling = count_work(lambda: self.networks["decoder"](latent_NK)) / CHUNK
        return {"training": count_work(lambda: self.step(real_NCHW, 0, None)) / o.batch, "sampling": sampling}


# ------------------------------------------------------------------------------------------------ networks
class Encoder(nn.Module):
    """(N, C, H, W) -> mean and logarithm of the variance of the latents, (N, K) each."""

    def __init__(self, channels: int, size: int, features: int, latent_size: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, features, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(features, 2 * features, 4, stride=2, padding=1)
        self.out = nn.Linear(2 * features * (size // 4) ** 2, 2 * latent_size)

    def forward(self, x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        h_NCHW = F.silu(self.conv2(F.silu(self.conv1(x_NCHW))))
        mean_NK, log_variance_NK = self.out(h_NCHW.flatten(1)).chunk(2, 1)
        return mean_NK, log_variance_NK


class Decoder(nn.Module):
    """Latents (N, K) -> images (N, C, H, W)."""

    def __init__(self, channels: int, size: int, features: int, latent_size: int):
        super().__init__()
        self.shape = (2 * features, size // 4, size // 4)
        self.first = nn.Linear(latent_size, 2 * features * (size // 4) ** 2)
        self.conv1 = nn.ConvTranspose2d(2 * features, features, 4, stride=2, padding=1)
        self.conv2 = nn.ConvTranspose2d(features, channels, 4, stride=2, padding=1)

    def forward(self, latent_NK: Tensor) -> Tensor:
        h_NCHW = F.silu(self.first(latent_NK)).unflatten(1, self.shape)
        return self.conv2(F.silu(self.conv1(h_NCHW)))
