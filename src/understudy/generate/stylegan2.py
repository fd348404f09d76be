"""StyleGAN 2, the configuration of the study.

Paper     Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020 (config F); adaptive
          augmentation is off (the official one refuses five channels). Equation numbers below are the paper's.
Original  the study trained github.com/NVlabs/stylegan3 with --cfg=stylegan2 (NVIDIA source code licence,
          non-commercial). This is an independent implementation, written from the paper and from documented facts.
Cost      published by the study: 25 000 kimg at 256 x 256 in 3 days on 4 A100 (288 GPU-hours).
Size      5 x 256 x 256: generator 30 040 240 parameters (45 GMAC an image), discriminator 28 864 385 (47 GMAC).
Departs   the mean of path lengths is checkpointed and of all GPUs (the original: of each); the mean w follows the whole
          batch (the original: one GPU's part); the sum over micro-batches is a mean; one style-mixing cutoff an
          iteration (the original: one for each GPU); data come in shuffled epochs of our own; Adam is not corrected for
          a regularisation whose weight is zero; fp16 layers compute in fp32 on a CPU.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from understudy.config.generators.stylegan2 import StyleGAN2 as Options
from understudy.config.reading import read_options
from understudy.run import distributed
from understudy.run.flops import Work, count_work

from . import gan, style_training, training_step
from .first_gradient import first_gradient
from .style_training import StyleTraining
from .style_training import r1_penalty as r1_penalty  # part of this module for its readers
from .stylegan2_networks import Discriminator, Generator


# ------------------------------------------------------------------------------------------------ regularisation
def path_lengths(image_NCHW: Tensor, w_NLK: Tensor, y_NCHW: Tensor) -> Tensor:
    """||J_w^T y|| of equation 4, (N,), with y ~ N(0, 1), as the root mean square over layers. J is of the synthesis
    alone; y is scaled by 1 / sqrt(H W), so that lengths do not grow with the size."""
    y_NCHW = y_NCHW / math.sqrt(image_NCHW.shape[2] * image_NCHW.shape[3])
    return first_gradient((image_NCHW * y_NCHW).sum(), w_NLK).square().sum(2).mean(1).sqrt()


# ------------------------------------------------------------------------------------------------ training
class StyleGAN2(StyleTraining):
    """Networks, optimizers and the training step; `sample` draws from networks["generator"].

    Raises:
        ValueError: an unknown option, or a size, precision or batch that it cannot work with.
    """

    def __init__(self, channels: int, size: int, **options):
        o = read_options(Options, "stylegan2", size, options)
        style_training.check_processes("stylegan2", o)
        generator, discriminator = Generator(channels, size, o), Discriminator(channels, size, o)
        lazy = o.path_length_interval if o.path_length_weight else None
        super().__init__(channels, size, o, generator, discriminator, lazy)
        self.path_length_mean = torch.zeros(())

    def to(self, device: torch.device | str) -> "StyleGAN2":
        self.path_length_mean = self.path_length_mean.to(device)
        return super().to(device)

    def state_extra(self) -> dict[str, Tensor]:
        return super().state_extra() | {"path_length_mean": self.path_length_mean}

    def load_state_extra(self, state: dict[str, Tensor]) -> None:
        super().load_state_extra(state)
        self.path_length_mean = state["path_length_mean"].to(self.device)

    def _regularise_generator(self, iteration: int, rng: torch.Generator) -> dict[str, Tensor] | None:
        o = self.options
        due = o.path_length_weight and iteration % o.path_length_interval == 0
        return self._path_length_step(rng) if due else None

    def _path_length_step(self, rng: torch.Generator) -> dict[str, Tensor]:
        """Equation 4: (||J_w^T y|| - a)^2 with a the running mean of the lengths, on half a batch."""
        o = self.options
        n = max(o.batch // 2, 1)
        draw = self._draw(n, rng)
        y_NCHW = torch.randn(n, self.channels, self.size, self.size, device=self.device, generator=rng)
        weight = o.path_length_weight * o.path_length_interval

        def lengths_of(chosen: gan.Rows) -> Tensor:
            image_NCHW, w_NLK = self._fake(draw, chosen)
            return path_lengths(image_NCHW, w_NLK, y_NCHW[chosen])

        rounds, lengths, mean = self._path_length_rounds(n), [], None
        if len(rounds) > 1:  # each slope depends on the lengths of all: computed first, and once more with a graph
            mean = distributed.mean(torch.cat([lengths_of(chosen).detach() for chosen in rounds]))

        def losses() -> Iterator[Tensor]:
            nonlocal mean
            for chosen in rounds:
                length_N = lengths_of(chosen)
                lengths.append(length_N.detach())
                mean = distributed.mean(length_N) if mean is None else mean
                yield (self._path_length_slope(lengths[-1], mean) * length_N).sum() / n * weight

        nonfinite = training_step.descend(self.optimizers["generator"], losses())
        length_N = torch.cat(lengths)
        self.path_length_mean = self.path_length_mean.lerp(mean, o.path_length_decay)
        penalty = (length_N - self.path_length_mean).square().mean()
        return {"path_length": length_N.mean(), "path_length_penalty": penalty, "nonfinite_gradients": nonfinite}

    def _path_length_rounds(self, n: int) -> list[gan.Rows]:
        """Of n images, as many micro-batches as the whole batch has."""
        rounds = math.ceil(self.options.batch / (self.options.microbatch or self.options.batch))
        if rounds == 1 and len(distributed.share(range(n))) == n:
            return [slice(None)]
        return list(distributed.share(torch.arange(n, device=self.device)).chunk(rounds))

    def _path_length_slope(self, length_N: Tensor, batch_mean: Tensor) -> Tensor:
        """The derivative of sum (l - m)^2 by each l. As in the original, the gradient flows through the batch's part of
        m = (1 - d) a + d mean(l) too; the mean is over all processes, and through it each l moves every m."""
        decay = self.options.path_length_decay
        mean = self.path_length_mean.lerp(batch_mean, decay)
        return 2 * (length_N - mean - decay * (batch_mean - mean))

    def _draw(self, n: int, rng: torch.Generator | None) -> gan.Draw:
        o, network = self.options, self.networks["generator"]
        return gan.Draw.of(n, o.latent_size, network.layers, o.style_mixing, network.noise_sizes, self.device, rng)

    def _mapped(self, draw: gan.Draw) -> tuple[Tensor, gan.Draw]:
        w_2NK = self.networks["generator"].mapping(torch.cat((draw.z, draw.z_mix))).unflatten(0, (2, -1))
        return w_2NK[0], draw._replace(w=w_2NK)

    def _fake(self, draw: gan.Draw, chosen: gan.Rows) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) with mixed styles, and their w (N, layers, K)."""
        network = self.networks["generator"]
        w_NLK = draw.styles(network.mapping, chosen, network.layers)
        return network.synthesis(w_NLK, [noise[chosen] for noise in draw.noises]), w_NLK

    def _noise_of_samples(self) -> list[int]:
        return self.networks["generator"].noise_sizes if self.options.noise == "random" else []

    def _images(self, draw: gan.Draw, chosen: gan.Rows) -> Tensor:
        return self._fake(draw, chosen)[0]

    def _regularisation_work(self) -> Work:
        o = self.options
        if not o.path_length_weight:
            return Work()
        return count_work(lambda: self._path_length_step(None)) / o.path_length_interval
