"""The diffusion model of the study.

Paper     Ho, Jain, Abbeel: "Denoising Diffusion Probabilistic Models", NeurIPS 2020; Nichol, Dhariwal: "Improved
          Denoising Diffusion Probabilistic Models", ICML 2021; samplers: see diffusion_samplers.py.
Original  the study trained github.com/openai/guided-diffusion (MIT) with width 64, 3 blocks and 4000 linear steps, and
          sampled with 4000 evaluations an image. This is an independent implementation.
Cost      published by the study: 7800 kimg at 256 x 256 in 22 days on one V100; 288 GPU-hours for 100 000 samples.
Size      5 x 256 x 256: 41 125 637 parameters (83 GMAC an image and evaluation).
Departs   samples with DPM-Solver++ and 50 evaluations (`sampler: ancestral`, `evaluations: 4000` are the study's);
          bf16 on a GPU in place of fp32; rounds samples as the other generators do.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from understudy.core import distributed, seeds
from understudy.core.flops import count_flops

from . import common
from . import diffusion_process as dp
from . import diffusion_samplers as samplers
from .diffusion_networks import Denoiser

CHUNK = 16  # images of one forward pass when sampling
PREVIEW = 50  # evaluations of the fast sampler when the training looks at its samples
CHOICES = {
    "schedule": tuple(dp.SCHEDULES),
    "target": dp.TARGETS,
    "variance": ("large", "small", "learned"),
    "step_sampling": ("uniform", "second_moment"),
    "sampler": ("dpm_solver", "ddim", "ancestral"),
    "precision": ("fp32", "bf16"),
}


@dataclass(frozen=True)
class Options(common.CommonOptions):
    """Every knob, with the study's value."""

    SAMPLING = ("sampler", "evaluations", "ddim_eta")

    width: int = 64  # feature maps of the first level
    multipliers: tuple[int, ...] | None = None  # of the width, at each level; by image size: diffusion_networks.py
    blocks: int = 3  # residual blocks of a level
    attention: tuple[int, ...] = (16, 8)  # sizes of the maps that have it
    heads: int = 4
    dropout: float = 0.0
    steps: int = 4000
    schedule: str = "linear"  # linear, cosine
    target: str = "epsilon"  # what the network predicts: epsilon (the noise), v
    variance: str = "large"  # of an ancestral step: large (beta), small (the posterior's), learned (hybrid loss)
    bound_weight: float = 1.0  # of the variational bound in the hybrid loss
    min_snr: float | None = None  # limits the signal to noise ratio that a step's loss is weighted by; 5 is usual
    step_sampling: str = "uniform"  # of training: uniform, second_moment
    batch: int = 12  # images an iteration; the paper's table says 12, the released command 32
    kimg: float = 7800  # thousand images in all
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    ema_decay: float = 0.9999  # per iteration
    precision: str = "bf16"  # of the network on a GPU: fp32, bf16; a CPU computes in fp32
    compile: bool = True  # the network, on a GPU; the machine's, not the study's
    sampler: str = "dpm_solver"  # dpm_solver, ddim, ancestral
    evaluations: int = 50  # of the network for one sample
    ddim_eta: float = 0.0  # 0: no noise is added; 1: as much as the small variance


class Diffusion:
    """The network, its optimizer and the training step; `sample` draws from networks["denoiser"].

    Raises:
        ValueError: an unknown option, or a size or value that it cannot work with.
    """

    averaged = "denoiser"  # the network whose moving average is published

    def __init__(self, channels: int, size: int, **options):
        self.options = o = common.read_options(Options, "diffusion", options)
        self.channels, self.size = channels, size
        _check(o)
        self.process = dp.Process.of(o.schedule, o.steps)
        self.learned = o.variance == "learned"
        shape = {key: getattr(o, key) for key in ("width", "multipliers", "blocks", "attention", "heads", "dropout")}
        network = Denoiser(channels, size, **shape, learned_variance=self.learned)
        self.networks: dict[str, nn.Module] = {"denoiser": network}
        parameters = list(network.parameters())
        fused = parameters[0].device.type in ("cpu", "cuda")
        adam = torch.optim.AdamW(parameters, o.learning_rate, weight_decay=o.weight_decay, fused=fused)
        self.optimizers = {"denoiser": adam}
        self.moments = dp.SecondMoment(o.steps) if o.step_sampling == "second_moment" else None

    @property
    def device(self) -> torch.device:
        return next(self.networks["denoiser"].parameters()).device

    def to(self, device: torch.device | str) -> "Diffusion":
        network = self.networks["denoiser"].to(device)
        if self.device.type == "cuda":
            network.to(memory_format=torch.channels_last)
            if self.options.compile:
                common.compile_in_place(network)
        if self.moments:
            self.moments.to(device)
        return self

    def state_extra(self) -> dict[str, Tensor]:
        """State that is in no network and no optimizer."""
        return {"losses": self.moments.losses, "counts": self.moments.counts} if self.moments else {}

    def load_state_extra(self, state: dict[str, Tensor]) -> None:
        if self.moments:
            self.moments.losses, self.moments.counts = state["losses"].to(self.device), state["counts"].to(self.device)

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.options.batch

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the network's average at the end of the iteration that began at `images_seen`."""
        return self.options.ema_decay

    # -------------------------------------------------------------------------------------------- training
    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator | None) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state."""
        o, n = self.options, len(real_NCHW)
        assert real_NCHW.shape == (o.batch, self.channels, self.size, self.size), real_NCHW.shape
        if o.mirror:
            real_NCHW = common.mirrored(real_NCHW, rng)
        if self.moments:
            t_N, weight_N = self.moments.draw(n, rng)
        else:
            t_N = torch.randint(o.steps, (n,), device=self.device, generator=rng)
            weight_N = torch.ones(n, device=self.device)
        noise_NCHW = torch.randn(real_NCHW.shape, device=self.device, generator=rng)
        loss_N = torch.zeros(n, device=self.device)

        def losses() -> Iterator[Tensor]:
            for chosen in distributed.share(torch.arange(n, device=self.device)).split(o.microbatch or n):
                part_N = self.loss(real_NCHW[chosen], t_N[chosen], noise_NCHW[chosen])
                loss_N[chosen] = part_N.detach()
                yield (weight_N[chosen] * part_N).sum() / n

        with _dropout_of(rng, o.dropout):
            nonfinite = common.descend(self.optimizers["denoiser"], losses())
        loss_N = distributed.all_reduce_sum(loss_N)
        if self.moments:
            self.moments.record(t_N, loss_N)
        return {"loss": (weight_N * loss_N).mean(), "nonfinite_gradients": nonfinite}

    def loss(self, x0_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor) -> Tensor:
        """(N,): the mean squared error of the target; with the variance learned the bound beside it (IDDPM, equation
        16), which teaches the variance alone."""
        o, network = self.options, self.networks["denoiser"].train()
        x_NCHW = dp.noisy(self.process, x0_NCHW, t_N, noise_NCHW)
        output, place = self._outputs(network, x_NCHW, t_N)
        loss_N = dp.simple_loss(self.process, output, x0_NCHW, t_N, noise_NCHW, o.target, o.min_snr)
        if place is not None:
            signal, spread = (dp.per_image(self.process, name, t_N, x0_NCHW) for name in ("signal", "spread"))
            image = dp.image_of(output.detach(), x_NCHW, signal, spread, o.target)
            loss_N = loss_N + o.bound_weight * dp.bound_loss(self.process, image, place, x0_NCHW, x_NCHW, t_N)
        return loss_N

    def _outputs(self, network: nn.Module, x_NCHW: Tensor, t_N: Tensor) -> tuple[Tensor, Tensor | None]:
        """(what the process predicts, where the variance lies between its bounds), float32."""
        if x_NCHW.device.type == "cuda":
            x_NCHW = x_NCHW.contiguous(memory_format=torch.channels_last)
        reduced = x_NCHW.device.type == "cuda" and self.options.precision == "bf16"
        with torch.autocast("cuda", torch.bfloat16) if reduced else nullcontext():
            output = network(x_NCHW, t_N).float()
        return tuple(output.chunk(2, 1)) if self.learned else (output, None)

    # -------------------------------------------------------------------------------------------- sampling
    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        o = self.options
        return self._sampled(n, seed, first, o.sampler, o.evaluations)

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: fast, and the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, "dpm_solver", min(PREVIEW, self.options.steps))

    def _sampled(self, n: int, seed: int, first: int, sampler: str, evaluations: int) -> Tensor:
        o, shape = self.options, (self.channels, self.size, self.size)
        process = (samplers.by_log_snr if sampler == "dpm_solver" else dp.Process.respaced)(self.process, evaluations)
        predict = self._predict(process)

        def draw(indices: range) -> Tensor:
            # the first noise is the CPU's, so that an image is the same one, but for rounding, on every device
            x = torch.stack([torch.randn(shape, generator=seeds.generator("cpu", "latent", seed, i)) for i in indices])
            x = x.to(self.device)
            if sampler == "dpm_solver":
                return samplers.dpm_solver(predict, x, process)
            streams = [seeds.generator(self.device, "noise", seed, i) for i in indices]

            def noise(step: int) -> Tensor:
                return torch.stack([torch.randn(shape, device=self.device, generator=rng) for rng in streams])

            if sampler == "ddim":
                return samplers.ddim(predict, x, process, noise, o.ddim_eta)
            return samplers.ancestral(predict, x, process, noise, o.variance)

        return common.sample_by_index(draw, n, first, CHUNK)

    def _predict(self, process: dp.Process) -> samplers.Predict:
        o, network = self.options, self.networks["denoiser"].eval()

        def predict(x_NCHW: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
            t_N = torch.full((len(x_NCHW),), int(process.indices[step]), device=x_NCHW.device)
            output, place = self._outputs(network, x_NCHW, t_N)
            image = dp.image_of(output, x_NCHW, float(process.signal[step]), float(process.spread[step]), o.target)
            if place is not None:
                place = dp.learned_log_variance(process, place, torch.full_like(t_N, step))
            return image.clamp(-1, 1), place

        return predict

    def flops(self) -> dict[str, float]:
        """FLOPs of one image, counted by running an iteration; for networks on the meta device."""
        o, network = self.options, self.networks["denoiser"]
        real_NCHW = torch.empty(o.batch, self.channels, self.size, self.size, device=self.device)
        training = count_flops(lambda: self.step(real_NCHW, 0, None)) / o.batch
        with torch.no_grad():
            t_N = torch.zeros(CHUNK, dtype=torch.int64, device=self.device)
            x_NCHW = torch.empty(CHUNK, self.channels, self.size, self.size, device=self.device)
            evaluation = count_flops(lambda: network(x_NCHW, t_N)) / CHUNK
        return {"training": training, "sampling": evaluation * o.evaluations}


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


def _check(o: Options) -> None:
    for name, allowed in CHOICES.items():
        if (found := getattr(o, name)) not in allowed:
            raise ValueError(f"diffusion: {name} {found!r}: expected one of {', '.join(allowed)}")
    for name in ("batch", "blocks", "heads"):
        if getattr(o, name) < 1:
            raise ValueError(f"diffusion: {name} {getattr(o, name)}: expected at least 1")
    if o.steps <= 20:  # the linear schedule would add all of the noise in one step
        raise ValueError(f"diffusion: steps {o.steps}: expected more than 20")
    if not 1 < o.evaluations <= o.steps:
        raise ValueError(f"diffusion: evaluations {o.evaluations}: expected 2 to steps, {o.steps}")
    if (processes := distributed.world_size()) > o.batch:
        raise ValueError(f"diffusion: found {processes} GPUs for a batch of {o.batch}, expected at most so many")
    if o.microbatch is not None and o.microbatch < 1:
        raise ValueError(f"diffusion: microbatch {o.microbatch}: expected at least 1")
