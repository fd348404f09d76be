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

import torch
from torch import Tensor, nn

from understudy.config.generators.diffusion import Diffusion as Options
from understudy.config.reading import read_options
from understudy.run import seeds

from . import denoising
from . import diffusion_process as dp
from . import diffusion_samplers as samplers
from .guard import Guard

PREVIEW = 50  # evaluations of the fast sampler when the training looks at its samples


class Diffusion(denoising.Denoising):
    """The network, its optimizer and the training step; `sample` draws from networks["denoiser"].

    Raises:
        ValueError: an unknown option, or a size or value that it cannot work with.
    """

    def __init__(self, channels: int, size: int, **options):
        o = read_options(Options, "diffusion", size, options)
        self.process = dp.Process.of(o.schedule, o.steps)
        self.learned = o.variance == "learned"
        network = denoising.unet(channels, size, o, learned_variance=self.learned)
        super().__init__("diffusion", channels, size, o, network)
        self.moments = dp.SecondMoment(o.steps) if o.step_sampling == "second_moment" else None

    def to(self, device: torch.device | str) -> "Diffusion":
        if self.moments:
            self.moments.to(device)
        return super().to(device)

    def state_extra(self) -> dict[str, Tensor]:
        """State that is in no network and no optimizer."""
        return {"losses": self.moments.losses, "counts": self.moments.counts} if self.moments else {}

    def load_state_extra(self, state: dict[str, Tensor]) -> None:
        if self.moments:
            self.moments.losses, self.moments.counts = state["losses"].to(self.device), state["counts"].to(self.device)

    # -------------------------------------------------------------------------------------------- training
    def times(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        if self.moments:
            return self.moments.draw(n, rng)
        t_N = torch.randint(self.options.steps, (n,), device=self.device, generator=rng)
        return t_N, torch.ones(n, device=self.device)

    def learned_at(self, t_N: Tensor, loss_N: Tensor) -> None:
        if self.moments:
            self.moments.record(t_N, loss_N)

    def loss(self, x0_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor, told_N6: Tensor | None = None) -> Tensor:
        """(N,): the mean squared error of the target; with the variance learned the bound beside it (IDDPM, equation
        16), which teaches the variance alone."""
        o, network = self.options, self.networks["denoiser"].train()
        x_NCHW = dp.noisy(self.process, x0_NCHW, t_N, noise_NCHW)
        output, place = self._outputs(network, x_NCHW, t_N, told_N6)
        loss_N = dp.simple_loss(self.process, output, x0_NCHW, t_N, noise_NCHW, o.target, o.min_snr)
        if place is not None:
            signal, spread = (dp.per_image(self.process, name, t_N, x0_NCHW) for name in ("signal", "spread"))
            image = dp.image_of(output.detach(), x_NCHW, signal, spread, o.target)
            loss_N = loss_N + o.bound_weight * dp.bound_loss(self.process, image, place, x0_NCHW, x_NCHW, t_N)
        return loss_N

    def _outputs(
        self, network: nn.Module, x_NCHW: Tensor, t_N: Tensor, told_N6: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(what the process predicts, where the variance lies between its bounds), float32."""
        output = self.answer(network, x_NCHW, t_N, told_N6=told_N6)
        return tuple(output.chunk(2, 1)) if self.learned else (output, None)

    # -------------------------------------------------------------------------------------------- sampling
    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        o = self.options
        return self._sampled(n, seed, first, o.sampler, o.evaluations, self.asked_guard())

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: fast, and the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, "dpm_solver", min(PREVIEW, self.options.steps))

    def _sampled(
        self, n: int, seed: int, first: int, sampler: str, evaluations: int, guard: Guard | None = None
    ) -> Tensor:
        o, shape = self.options, (self.channels, self.size, self.size)
        process = (samplers.by_log_snr if sampler == "dpm_solver" else dp.Process.respaced)(self.process, evaluations)
        predict = self._predict(process, guard)

        def solve(x: Tensor, indices: range) -> Tensor:
            if sampler == "dpm_solver":
                return samplers.dpm_solver(predict, x, process)
            streams = [seeds.generator(self.device, "noise", seed, i) for i in indices]

            def noise(step: int) -> Tensor:
                return torch.stack([torch.randn(shape, device=self.device, generator=rng) for rng in streams])

            if sampler == "ddim":
                return samplers.ddim(predict, x, process, noise, o.ddim_eta)
            return samplers.ancestral(predict, x, process, noise, o.variance)

        return self.from_noise(solve, n, seed, first)

    def _predict(self, process: dp.Process, guard: Guard | None = None) -> samplers.Predict:
        o, network = self.options, self.networks["denoiser"].eval()

        def predict(x_NCHW: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
            t_N = torch.full((len(x_NCHW),), int(process.indices[step]), device=x_NCHW.device)
            output, place = self._outputs(network, x_NCHW, t_N)
            image = dp.image_of(output, x_NCHW, float(process.signal[step]), float(process.spread[step]), o.target)
            if place is not None:
                place = dp.learned_log_variance(process, place, torch.full_like(t_N, step))
            image = image.clamp(-1, 1)
            return image if guard is None else image + guard.change(image, x_NCHW), place

        return predict
