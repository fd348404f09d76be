"""Rectified flow on the network of the diffusion model. It is also the example of docs/adding-a-generator.md.

Papers    Liu, Gong, Liu: "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow", ICLR
          2023; Lipman et al.: "Flow Matching for Generative Modeling", ICLR 2023; logit-normal times: Esser et al.:
          "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", ICML 2024; the image as target: Li,
          He: "Back to Basics: Let Denoising Generative Models Denoise", 2025 (arXiv 2511.13720); jumps: Geng et al.:
          "Mean Flows for One-step Generative Modeling", 2025 (arXiv 2505.13447), with the loss of "Improved Mean Flows:
          On the Challenges of Fastforward Generative Models", 2025 (arXiv 2512.02012).
Original  github.com/gnobitab/RectifiedFlow (no licence found). This is an independent implementation. Not in the study.
Cost      an iteration costs as much as the diffusion model's; a sample takes half as many evaluations.
Size      5 x 256 x 256: 41 125 637 parameters, 167 GFLOP an image and evaluation. With patch 4,
          width 128 and 2 blocks: 92 203 216 parameters, 62 GFLOP.
Departs   network, batch and learning rate are those of the study's diffusion model, so the two differ only in the
          process; no reflow; fixed steps in place of an adaptive solver. `target: x` has no transformer.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from understudy.config.generators.rectified_flow import RectifiedFlow as Options
from understudy.config.reading import read_options
from understudy.run import distributed

from .denoising import Denoising, Loss, unet
from .gan import half_life_decay
from .guard import Guard
from .rectified_flow_networks import ConvNeXt, Folded

TIMES = 1000  # the network is told t of [0, 1] as 0 to 1000: it knows times as steps of a diffusion
PREVIEW = ("heun", 25)  # sampler and evaluations when the training looks at its samples
Velocity = Callable[..., Tensor]  # of (x, t): that at t; of (x, t, span): its mean on the way from t to t + span


class RectifiedFlow(Denoising):
    """Learns the velocity of the straight path from noise (t = 0) to an image (t = 1). Sampling follows the velocity.

    Raises:
        ValueError: an unknown option, or a size or value that it cannot work with.
    """

    def __init__(self, channels: int, size: int, **options):
        o = read_options(Options, "rectified_flow", size, options)
        super().__init__("rectified_flow", channels, size, o, _network(channels, size, o), o.adam_betas)
        self.gradient_clip, self.jumps = o.gradient_clip, round(o.mean_flow * o.batch)
        if 0 < min(self.jumps, o.batch - self.jumps) < (processes := distributed.world_size()):
            raise ValueError(f"rectified_flow: found {self.jumps} of {o.batch} images that jump for {processes} GPUs")

    def learning_rate(self, images_seen: int) -> float:
        o, kimg = self.options, images_seen / 1000
        rising = min(1, (kimg + o.batch / 1000) / o.warmup_kimg) if o.warmup_kimg else 1
        return o.learning_rate * rising * max(0, 1 - kimg / o.kimg) ** o.rate_decay

    def ema_decay(self, images_seen: int) -> float:
        o = self.options
        if o.ema_rampup is None:
            return o.ema_decay
        return min(o.ema_decay, half_life_decay(o.batch, o.ema_rampup * images_seen))

    # -------------------------------------------------------------------------------------------- training
    def times(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        o = self.options
        if o.time_sampling == "uniform":
            t_N = torch.rand(n, device=self.device, generator=rng)
        else:  # Esser et al., section 3.1
            t_N = (o.time_mean + o.time_scale * torch.randn(n, device=self.device, generator=rng)).sigmoid()
        return t_N, torch.ones_like(t_N)

    def parts(self, t_N: Tensor, rng: torch.Generator | None) -> list[tuple[Tensor, Loss]]:
        """The first images of a batch jump from the one to the other of two times."""
        places_N, found = torch.arange(len(t_N), device=t_N.device), []
        if self.jumps:
            other_N, _ = self.times(self.jumps, rng)
            for chosen in self.micro_batches(places_N[: self.jumps]):
                found.append((chosen, partial(self.jump_loss, other_N=other_N[chosen])))
        if self.jumps < len(t_N):
            found += [(chosen, self.loss) for chosen in self.micro_batches(places_N[self.jumps :])]
        return found

    def loss(self, image_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor, told_N6: Tensor | None = None) -> Tensor:
        """(N,): Liu et al., equation 1, whose X_0 is noise and X_1 an image, mean over pixels."""
        t_N111 = t_N.view(-1, 1, 1, 1)
        x_NCHW = t_N111 * image_NCHW + (1 - t_N111) * noise_NCHW
        network = self.networks["denoiser"].train()
        answer_NCHW = self.answer(network, x_NCHW, *self._times(t_N, torch.zeros_like(t_N)), told_N6=told_N6)
        if self.options.target == "velocity":
            error_NCHW = image_NCHW - noise_NCHW - answer_NCHW
        else:  # the same, as X_1 - X_0 = (X_1 - X_t) / (1 - t): Li, He, table 1
            error_NCHW = (image_NCHW - answer_NCHW) / (1 - t_N111).clamp(min=self.options.smallest_noise)
        return error_NCHW.square().flatten(1).mean(1)

    def jump_loss(
        self, image_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor, told_N6: Tensor | None = None, *, other_N: Tensor
    ) -> Tensor:
        """(N,): of the mean velocity u from the earlier to the later of two times. At the time t it must be such that
        u - (until - t) du/dt is the velocity, du/dt along the way (Geng et al. 2025, improved, algorithm 1)."""
        network, until_N = self.networks["denoiser"].train(), torch.maximum(t_N, other_N)
        t_N = torch.minimum(t_N, other_N).clamp(max=1 - self.options.smallest_noise)
        t_N111, span_N111 = t_N.view(-1, 1, 1, 1), (until_N - t_N).view(-1, 1, 1, 1)
        x_NCHW = t_N111 * image_NCHW + (1 - t_N111) * noise_NCHW

        def mean_velocity(x_NCHW: Tensor, t_N: Tensor) -> Tensor:
            return self._velocity(network.forward, x_NCHW, t_N, until_N - t_N, told_N6)  # not compiled: it has tangents

        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # other attention has no forward derivative
            now_NCHW = self._velocity(network.forward, x_NCHW, t_N, torch.zeros_like(t_N), told_N6)
            change_NCHW = torch.func.jvp(mean_velocity, (x_NCHW, t_N), (now_NCHW, torch.ones_like(t_N)))[1]
        mean_NCHW = self._velocity(network, x_NCHW, t_N, until_N - t_N, told_N6)
        error_NCHW = image_NCHW - noise_NCHW - (mean_NCHW - span_N111 * change_NCHW)
        return error_NCHW.square().flatten(1).mean(1)

    def _velocity(
        self, network: Callable[..., Tensor], x_NCHW: Tensor, t_N: Tensor, span_N: Tensor, told_N6: Tensor | None
    ) -> Tensor:
        """On average on the way from t to t + span, as the network answers."""
        answer_NCHW = self.answer(network, x_NCHW, *self._times(t_N, span_N), told_N6=told_N6)
        if self.options.target == "velocity":
            return answer_NCHW
        return (answer_NCHW - x_NCHW) / (1 - t_N.view(-1, 1, 1, 1)).clamp(min=self.options.smallest_noise)

    def _times(self, t_N: Tensor, span_N: Tensor) -> tuple[Tensor, ...]:
        """What the network is told of times."""
        return (TIMES * t_N, TIMES * span_N) if self.jumps else (TIMES * t_N,)

    # -------------------------------------------------------------------------------------------- sampling

    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        return self._sampled(n, seed, first, self.options.sampler, self.options.evaluations, self.asked_guard())

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, *PREVIEW)

    def _sampled(
        self, n: int, seed: int, first: int, sampler: str, evaluations: int, guard: Guard | None = None
    ) -> Tensor:
        network = self.networks["denoiser"].eval()

        def guarded(x_NCHW: Tensor, t: float, velocity_NCHW: Tensor) -> Tensor:
            """The predicted image is X_t + (1 - t) v; at t = 1 it is X_t, whatever v."""
            if guard is None or t == 1:
                return velocity_NCHW
            return velocity_NCHW + guard.change(x_NCHW + (1 - t) * velocity_NCHW, x_NCHW) / (1 - t)

        def velocity(x_NCHW: Tensor, t: float, span: float = 0) -> Tensor:
            t_N, span_N = (torch.full((len(x_NCHW),), time, device=x_NCHW.device) for time in (t, span))
            answer_NCHW = self.answer(network, x_NCHW, *self._times(t_N, span_N))
            if self.options.target == "x":
                answer_NCHW = (answer_NCHW - x_NCHW) / (1 - t if t < 1 else self.options.smallest_noise)
            return guarded(x_NCHW, t, answer_NCHW)

        def solve(x: Tensor, indices: range) -> Tensor:
            image = SAMPLERS[sampler](velocity, x, evaluations)
            # half of Heun's last step is at t = 1, which no guard has changed
            return image if guard is None else image + guard.change(image, x)

        return self.from_noise(solve, n, seed, first)


def _network(channels: int, size: int, o: Options) -> nn.Module:
    channels, size = channels * o.patch**2, size // o.patch
    if o.network == "unet":
        network = unet(channels, size, o)
    else:
        shape = {key: getattr(o, key) for key in ("width", "blocks", "attention_interval", "heads", "dropout")}
        shape |= {"spans": o.mean_flow > 0, "told": o.augmentation_probability > 0}
        network = ConvNeXt(channels, size, edge_kernel=1 if o.patch > 1 else 3, **shape)
    return Folded(network, o.patch) if o.patch > 1 else network


# ------------------------------------------------------------------------------------------------ samplers
def euler(velocity: Velocity, x: Tensor, evaluations: int) -> Tensor:
    """dX = v(X, t) dt in equal steps of first order, one evaluation each."""
    for step in range(evaluations):
        x = x + velocity(x, step / evaluations) / evaluations
    return x


def heun(velocity: Velocity, x: Tensor, evaluations: int) -> Tensor:
    """Second order, equal steps, two evaluations each; of an odd number the last step has one, as Euler's."""
    steps = (evaluations + 1) // 2
    for step in range(steps):
        slope = velocity(x, step / steps)
        if 2 * step + 1 < evaluations:
            slope = (slope + velocity(x + slope / steps, (step + 1) / steps)) / 2
        x = x + slope / steps
    return x


def jump(velocity: Velocity, x: Tensor, evaluations: int) -> Tensor:
    """Equal steps, each by the mean velocity on its way: exact where that is."""
    for step in range(evaluations):
        x = x + velocity(x, step / evaluations, 1 / evaluations) / evaluations
    return x


SAMPLERS = {"heun": heun, "euler": euler, "jump": jump}
