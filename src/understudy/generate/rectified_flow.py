"""Rectified flow on the network of the diffusion model. It is also the example of docs/adding-a-generator.md.

Paper     Liu, Gong, Liu: "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow", ICLR
          2023; Lipman et al.: "Flow Matching for Generative Modeling", ICLR 2023; logit-normal times: Esser et al.:
          "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", ICML 2024.
Original  github.com/gnobitab/RectifiedFlow (no licence found). This is an independent implementation. Not in the study.
Cost      of training as the diffusion model's, an iteration for an iteration; of a sample half as many evaluations.
Size      5 x 256 x 256: 41 125 637 parameters (83 GMAC an image and evaluation).
Departs   the network, batch and learning rate are the study's diffusion model's, so that the two differ in the process
          alone; no reflow; fixed steps in place of an adaptive solver.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from understudy.config.generators.rectified_flow import RectifiedFlow as Options
from understudy.config.reading import read_options

from .denoising import Denoising

TIMES = 1000  # the network is told t of [0, 1] as 0 to 1000: it knows times as steps of a diffusion
PREVIEW = ("heun", 25)  # sampler and evaluations when the training looks at its samples
Velocity = Callable[[Tensor, float], Tensor]


class RectifiedFlow(Denoising):
    """The velocity of a straight way from noise (t = 0) to an image (t = 1), learned; a sample follows it.

    Raises:
        ValueError: an unknown option, or a size or value that it cannot work with.
    """

    def __init__(self, channels: int, size: int, **options):
        o = read_options(Options, "rectified_flow", size, options)
        super().__init__("rectified_flow", channels, size, o)

    def times(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        if self.options.time_sampling == "uniform":
            t_N = torch.rand(n, device=self.device, generator=rng)
        else:  # Esser et al., section 3.1, with m = 0 and s = 1
            t_N = torch.randn(n, device=self.device, generator=rng).sigmoid()
        return t_N, torch.ones_like(t_N)

    def loss(self, image_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor) -> Tensor:
        """(N,): Liu et al., equation 1, whose X_0 is noise and X_1 an image, mean over pixels."""
        t_N111 = t_N.view(-1, 1, 1, 1)
        x_NCHW = t_N111 * image_NCHW + (1 - t_N111) * noise_NCHW
        velocity_NCHW = self.answer(self.networks["denoiser"].train(), x_NCHW, TIMES * t_N)
        return (image_NCHW - noise_NCHW - velocity_NCHW).square().flatten(1).mean(1)

    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        return self._sampled(n, seed, first, self.options.sampler, self.options.evaluations)

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, *PREVIEW)

    def _sampled(self, n: int, seed: int, first: int, sampler: str, evaluations: int) -> Tensor:
        network = self.networks["denoiser"].eval()

        def velocity(x_NCHW: Tensor, t: float) -> Tensor:
            return self.answer(network, x_NCHW, torch.full((len(x_NCHW),), TIMES * t, device=x_NCHW.device))

        return self.from_noise(lambda x, indices: SAMPLERS[sampler](velocity, x, evaluations), n, seed, first)


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


SAMPLERS = {"heun": heun, "euler": euler}
