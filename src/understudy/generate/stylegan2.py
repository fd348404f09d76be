"""StyleGAN 2, the configuration of the study.

Paper     Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020 (config F); adaptive
          augmentation is off (the official one refuses five channels). Equation numbers below are the paper's.
Original  the study trained github.com/NVlabs/stylegan3 with --cfg=stylegan2 (NVIDIA source code licence,
          non-commercial). This is an independent implementation, written from the paper and from documented facts.
Cost      published by the study: 25 000 kimg at 256 x 256 in 3 days on 4 A100 (288 GPU-hours).
Size      5 x 256 x 256: generator 30 040 240 parameters (45 GMAC an image), discriminator 28 864 385 (47 GMAC).
Departs   path-length mean is checkpointed; the sum over micro-batches is a mean; one style-mixing cutoff an iteration
          (the original: one for each GPU); fp16 layers compute in fp32 on a CPU.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.core import distributed
from understudy.core.flops import count_flops

from . import common, gan
from .stylegan2_networks import REDUCED, Discriminator, Generator


@dataclass(frozen=True)
class Options(common.CommonOptions):
    """Every knob, with the study's value."""

    SAMPLING = ("truncation_psi", "truncation_cutoff")

    channel_base: int = 32768  # feature maps at resolution r: channel_base / r ...
    channel_max: int = 512  # ... and at most this many
    latent_size: int = 512  # of z and of w
    mapping_layers: int = 8
    batch: int = 32  # images an iteration
    kimg: float = 25000  # thousand images in all
    r1_gamma: float = 8.2  # the paper of the study says 8.2, its folders 8; the original recommends 1 or less at 256
    r1_interval: int = 16  # iterations
    path_length_weight: float = 2.0
    path_length_interval: int = 4  # iterations
    path_length_decay: float = 0.01
    style_mixing: float = 0.9  # probability
    learning_rate_generator: float = 0.002
    learning_rate_discriminator: float = 0.002
    adam_betas: tuple[float, float] = (0.0, 0.99)
    adam_epsilon: float = 1e-8
    ema_kimg: float = 10.0  # half-life of the generator's average at batch 32; proportional to the batch
    ema_rampup: float | None = 0.05  # the half-life is at most this share of the images seen
    mapping_ema: float = 0.998  # decay of the mean w, per iteration
    minibatch_std_group: int = 4  # images
    truncation_psi: float = 1.0  # 1: none
    truncation_cutoff: int | None = None  # number of layers that are truncated; all
    precision: str = "fp16"  # of the 4 highest resolutions: fp32, bf16, fp16


# ------------------------------------------------------------------------------------------------ regularisation
def r1_penalty(discriminator: nn.Module, real_NCHW: Tensor) -> Tensor:
    """||grad_x D(x)||^2 of each real image, (N,) (Mescheder et al. 2018, equation 9)."""
    real_NCHW = real_NCHW.detach().requires_grad_()
    return gan.squared_gradients(discriminator(real_NCHW), real_NCHW)


def path_lengths(image_NCHW: Tensor, w_NLK: Tensor, y_NCHW: Tensor) -> Tensor:
    """||J_w^T y|| of equation 4, (N,), with y ~ N(0, 1), as the root mean square over layers. J is of the synthesis
    alone; y is scaled by 1 / sqrt(H W), so that lengths do not grow with the size."""
    y_NCHW = y_NCHW / math.sqrt(image_NCHW.shape[2] * image_NCHW.shape[3])
    (g_NLK,) = torch.autograd.grad((image_NCHW * y_NCHW).sum(), w_NLK, create_graph=True)
    return g_NLK.square().sum(2).mean(1).sqrt()


# ------------------------------------------------------------------------------------------------ training
class StyleGAN2:
    """Networks, optimizers and the training step; `sample` draws from networks["generator"].

    Raises:
        ValueError: an unknown option, or a size, precision or batch that it cannot work with.
    """

    averaged = "generator"  # the network whose moving average is published

    def __init__(self, channels: int, size: int, **options):
        self.options = o = common.read_options(Options, "stylegan2", options)
        self.channels, self.size = channels, size
        _check(size, o)
        g, d = Generator(channels, size, o), Discriminator(channels, size, o)
        self.networks = {"generator": g, "discriminator": d}
        g_lazy = o.path_length_interval if o.path_length_weight else None
        d_lazy = o.r1_interval if o.r1_gamma else None
        self.optimizers = {
            "generator": gan.adam(g.parameters(), o.learning_rate_generator, o.adam_betas, o.adam_epsilon, g_lazy),
            "discriminator": gan.adam(
                d.parameters(), o.learning_rate_discriminator, o.adam_betas, o.adam_epsilon, d_lazy
            ),
        }
        self.path_length_mean = torch.zeros(())

    @property
    def device(self) -> torch.device:
        return self.networks["generator"].w_mean_K.device

    def to(self, device: torch.device | str) -> "StyleGAN2":
        for network in self.networks.values():
            network.to(device)
        self.path_length_mean = self.path_length_mean.to(device)
        return self

    def state_extra(self) -> dict[str, Tensor]:
        """State that is in no network and no optimizer."""
        return {"path_length_mean": self.path_length_mean}

    def load_state_extra(self, state: dict[str, Tensor]) -> None:
        self.path_length_mean = state["path_length_mean"].to(self.device)

    def batch_at(self, images_seen: int) -> int:
        """Images of the iteration that begins at `images_seen`."""
        return self.options.batch

    def ema_decay(self, images_seen: int) -> float:
        """Decay of the generator's average at the end of the iteration that began at `images_seen`."""
        o = self.options
        half_life = o.ema_kimg * 1000 * o.batch / 32
        if o.ema_rampup is not None:
            half_life = min(half_life, o.ema_rampup * images_seen)
        return gan.half_life_decay(o.batch, half_life)

    def step(self, real_NCHW: Tensor, images_seen: int, rng: torch.Generator) -> dict[str, Tensor]:
        """One iteration on real images in [-1, 1], a function of its arguments and of the state.

        Returns detached scalars; those of the regularisers only in the iterations that they are due in.
        """
        o = self.options
        assert real_NCHW.shape == (o.batch, self.channels, self.size, self.size), real_NCHW.shape
        iteration = images_seen // o.batch
        if o.mirror:
            real_NCHW = common.mirrored(real_NCHW, rng)
        statistics = self._generator_step(rng)
        if o.path_length_weight and iteration % o.path_length_interval == 0:
            gan.merge(statistics, self._path_length_step(rng))
        gan.merge(statistics, self._discriminator_step(real_NCHW, rng))
        if o.r1_gamma and iteration % o.r1_interval == 0:
            gan.merge(statistics, self._r1_step(real_NCHW))
        return statistics

    def _generator_step(self, rng: torch.Generator) -> dict[str, Tensor]:
        """Non-saturating loss: softplus(-D(G(z)))."""
        draw, scores = self._draw(self.options.batch, rng), []

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                score_N = self.networks["discriminator"](self._fake(draw, chosen)[0])
                scores.append(score_N.detach())
                yield F.softplus(-score_N).sum() / self.options.batch

        nonfinite = common.descend(self.optimizers["generator"], losses())
        return {"loss_generator": F.softplus(-torch.cat(scores)).mean(), "nonfinite_gradients": nonfinite}

    def _path_length_step(self, rng: torch.Generator) -> dict[str, Tensor]:
        """Equation 4: (||J_w^T y|| - a)^2 with a the running mean of the lengths, on half a batch."""
        o = self.options
        n = max(o.batch // 2, 1)
        draw, lengths = self._draw(n, rng), []
        y_NCHW = torch.randn(n, self.channels, self.size, self.size, device=self.device, generator=rng)
        weight = o.path_length_weight * o.path_length_interval

        def losses() -> Iterator[Tensor]:
            rounds = math.ceil(o.batch / (o.microbatch or o.batch))
            for chosen in distributed.share(torch.arange(n, device=self.device)).chunk(rounds):
                image_NCHW, w_NLK = self._fake(draw, chosen)
                length_N = path_lengths(image_NCHW, w_NLK, y_NCHW[chosen])
                lengths.append(length_N.detach())
                yield (self._path_length_slope(length_N) * length_N).sum() / n * weight

        nonfinite = common.descend(self.optimizers["generator"], losses())
        length_N = torch.cat(lengths)
        self.path_length_mean = self.path_length_mean.lerp(distributed.mean(length_N), o.path_length_decay)
        penalty = (length_N - self.path_length_mean).square().mean()
        return {"path_length": length_N.mean(), "path_length_penalty": penalty, "nonfinite_gradients": nonfinite}

    def _path_length_slope(self, length_N: Tensor) -> Tensor:
        """The derivative of sum (l - m)^2 by each l. As in the original, the gradient flows through the batch's part of
        m = (1 - d) a + d mean(l) too; the mean is over all processes, and through it each l moves every m."""
        decay, batch_mean = self.options.path_length_decay, distributed.mean(length_N)
        mean = self.path_length_mean.lerp(batch_mean, decay)
        return 2 * (length_N.detach() - mean - decay * (batch_mean - mean))

    def _discriminator_step(self, real_NCHW: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """softplus(D(G(z))) + softplus(-D(x)); the mean w is followed here."""
        o, generator, discriminator = self.options, self.networks["generator"], self.networks["discriminator"]
        draw, fakes, reals = self._draw(o.batch, rng), [], []
        with torch.no_grad():
            generator.w_mean_K.lerp_(generator.mapping(draw.z).mean(0), 1 - o.mapping_ema)

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                with torch.no_grad():
                    fake_NCHW = self._fake(draw, chosen)[0]
                fake_N, real_N = discriminator(fake_NCHW), discriminator(real_NCHW[chosen])
                fakes.append(fake_N.detach())
                reals.append(real_N.detach())
                yield (F.softplus(fake_N) + F.softplus(-real_N)).sum() / o.batch

        nonfinite = common.descend(self.optimizers["discriminator"], losses())
        fake_N, real_N = torch.cat(fakes), torch.cat(reals)
        return {
            "loss_discriminator": (F.softplus(fake_N) + F.softplus(-real_N)).mean(),
            "score_fake": fake_N.mean(),
            "score_real": real_N.mean(),
            "sign_real": real_N.sign().mean(),  # near 1: the discriminator knows every training image
            "nonfinite_gradients": nonfinite,
        }

    def _r1_step(self, real_NCHW: Tensor) -> dict[str, Tensor]:
        """gamma / 2 * ||grad D(x)||^2, on the iteration's real images."""
        o, penalties = self.options, []

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                penalty_N = r1_penalty(self.networks["discriminator"], real_NCHW[chosen])
                penalties.append(penalty_N.detach())
                yield penalty_N.sum() / o.batch * (o.r1_gamma / 2) * o.r1_interval

        nonfinite = common.descend(self.optimizers["discriminator"], losses())
        return {"r1_penalty": torch.cat(penalties).mean(), "nonfinite_gradients": nonfinite}

    def _draw(self, n: int, rng: torch.Generator) -> gan.Draw:
        o, network = self.options, self.networks["generator"]
        return gan.Draw.of(n, o.latent_size, network.layers, o.style_mixing, network.noise_sizes, self.device, rng)

    def _fake(self, draw: gan.Draw, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) with mixed styles, and their w (N, layers, K)."""
        network = self.networks["generator"]
        w_NLK = draw.styles(network.mapping, chosen, network.layers)
        return network.synthesis(w_NLK, [noise[chosen] for noise in draw.noises]), w_NLK

    def _rounds(self) -> list[Tensor]:
        o = self.options
        return gan.rounds(o.batch, o.minibatch_std_group, o.microbatch, self.device)

    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        return self._sampled(n, seed, first, self.options.truncation_psi, self.options.truncation_cutoff)

    def preview(self, n: int, seed: int, first: int = 0) -> Tensor:
        """As `sample`, for the training's own looks: the same whatever the options of sampling say."""
        return self._sampled(n, seed, first, 1.0, None)

    def _sampled(self, n: int, seed: int, first: int, psi: float, cutoff: int | None) -> Tensor:
        network = self.networks["generator"].eval()

        def forward(z_NK: Tensor) -> Tensor:
            return network(z_NK, psi, cutoff)

        return gan.sample_by_index(forward, n, seed, first, self.options.latent_size, self.device)

    def flops(self) -> dict[str, float]:
        """FLOPs of one image, counted by running every phase of an iteration; for networks on the meta device."""
        o, network = self.options, self.networks["generator"]
        real_NCHW = torch.empty(o.batch, self.channels, self.size, self.size, device=self.device)
        batch = count_flops(lambda: self._generator_step(None))
        batch += count_flops(lambda: self._discriminator_step(real_NCHW, None))
        if o.path_length_weight:
            batch += count_flops(lambda: self._path_length_step(None)) / o.path_length_interval
        if o.r1_gamma:
            batch += count_flops(lambda: self._r1_step(real_NCHW)) / o.r1_interval
        with torch.no_grad():
            z_NK = torch.empty(gan.CHUNK, o.latent_size, device=self.device)
            sampling = count_flops(lambda: network(z_NK)) / gan.CHUNK
        return {"training": batch / o.batch, "sampling": sampling}


def _check(size: int, o: Options) -> None:
    group = max(min(o.minibatch_std_group, o.batch), 1)
    if size < 8 or size & (size - 1):
        raise ValueError(f"stylegan2: size {size}: expected a power of two of at least 8 (images.size in the config)")
    if o.precision not in REDUCED:
        raise ValueError(f"stylegan2: precision {o.precision!r}: expected one of {', '.join(REDUCED)}")
    for name in ("batch", "r1_interval", "path_length_interval", "minibatch_std_group"):
        if getattr(o, name) < 1:
            raise ValueError(f"stylegan2: {name} {getattr(o, name)}: expected at least 1")
    if o.batch % group:
        raise ValueError(f"stylegan2: batch {o.batch}: expected a multiple of minibatch_std_group, {group}")
    if (o.batch // group) % (processes := distributed.world_size()) or o.batch // 2 < processes:
        raise ValueError(
            f"stylegan2: found {processes} GPUs for a batch of {o.batch} in groups of {group} "
            f"(minibatch_std_group): expected a number that divides {o.batch // group}"
        )
    if o.microbatch is not None and (o.microbatch % group or o.batch % o.microbatch):
        raise ValueError(
            f"stylegan2: microbatch {o.microbatch}: expected a divisor of batch {o.batch} and a multiple of {group}"
        )
