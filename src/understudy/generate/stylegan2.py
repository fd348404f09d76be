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
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import gan
from .layers import Conv, Dense, activate, append_minibatch_stddev, modulated_conv, normalize_second_moment, upsample

REDUCED_RESOLUTIONS = 4  # that many, the highest ones, compute in reduced precision
CLAMP = 256.0  # of activations, where anything is in reduced precision
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Options:
    """Every knob, with the study's value."""

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
    mirror: bool = False  # flips real images (annotation too) left to right with probability 1/2
    microbatch: int | None = None  # images in a forward pass, gradients are accumulated; the machine's, not the study's


# ------------------------------------------------------------------------------------------------ networks
class Precision(NamedTuple):
    """Which resolutions compute in which type, and what activations are clamped to."""

    dtype: torch.dtype
    lowest: int  # resolution from which on dtype applies
    clamp: float | None

    @classmethod
    def of(cls, name: str, size: int) -> "Precision":
        lowest = max(size >> (REDUCED_RESOLUTIONS - 1), 8)
        return cls(DTYPES[name], lowest, None if name == "fp32" else CLAMP)

    def at(self, resolution: int, x: Tensor) -> torch.dtype:
        if resolution < self.lowest or (self.dtype == torch.float16 and x.device.type == "cpu"):
            return torch.float32
        return self.dtype


def resolutions(size: int) -> list[int]:
    """[4, 8, ..., size]."""
    return [2**k for k in range(2, size.bit_length())]


def feature_maps(resolution: int, base: int, limit: int) -> int:
    return min(base // resolution, limit)


class Mapping(nn.Sequential):
    """z -> w, figure 2: normalised latent, fully connected layers at a hundredth of the learning rate."""

    def __init__(self, latent_size: int, layers: int):
        super().__init__(*(Dense(latent_size, latent_size, active=True, lr_multiplier=0.01) for _ in range(layers)))

    def forward(self, z_NK: Tensor) -> Tensor:
        return super().forward(normalize_second_moment(z_NK))


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, activation (section 2.2, figure 2c and d)."""

    def __init__(self, inputs: int, outputs: int, latent_size: int, resolution: int, *, up: bool, clamp: float | None):
        super().__init__()
        self.up, self.clamp = up, clamp
        self.affine = Dense(latent_size, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_HW", torch.randn(resolution, resolution))  # for sampling

    def forward(self, x_NCHW: Tensor, w_NK: Tensor, noise_N1HW: Tensor | None) -> Tensor:
        x_NCHW = modulated_conv(x_NCHW, self.weight, self.affine(w_NK), up=self.up)
        noise = self.noise_HW if noise_N1HW is None else noise_N1HW
        return activate(x_NCHW + (noise * self.noise_strength).to(x_NCHW.dtype), self.bias, clamp=self.clamp)


class ToImage(nn.Module):
    """Modulated 1 x 1 convolution to the image's channels, not demodulated, linear."""

    def __init__(self, inputs: int, channels: int, latent_size: int, clamp: float | None):
        super().__init__()
        self.clamp = clamp
        self.affine = Dense(latent_size, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_NCHW: Tensor, w_NK: Tensor) -> Tensor:
        style_NC = self.affine(w_NK) / math.sqrt(self.weight.shape[1])
        y = modulated_conv(x_NCHW, self.weight, style_NC, demodulate=False)
        y = y + self.bias.to(y.dtype)[:, None, None]
        return (y if self.clamp is None else y.clamp(-self.clamp, self.clamp)).float()


class SynthesisBlock(nn.Module):
    """One resolution: doubles the size, convolves, adds its image to the up-sampled one (skip, figure 7b)."""

    def __init__(
        self, inputs: int, outputs: int, channels: int, latent_size: int, resolution: int, precision: Precision
    ):
        super().__init__()
        self.resolution, self.precision = resolution, precision
        clamp = precision.clamp
        if resolution == 4:
            self.constant_CHW = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, latent_size, resolution, up=True, clamp=clamp)
        self.conv1 = SynthesisLayer(outputs, outputs, latent_size, resolution, up=False, clamp=clamp)
        self.to_image = ToImage(outputs, channels, latent_size, clamp)

    def forward(self, x_NCHW: Tensor | None, image_NCHW: Tensor | None, w_NLK: Tensor, noises: Iterator[Tensor | None]):
        ws = iter(w_NLK.unbind(1))
        dtype = self.precision.at(self.resolution, w_NLK)
        if self.resolution == 4:
            x_NCHW = self.constant_CHW.to(dtype).expand(len(w_NLK), -1, -1, -1)
        else:
            x_NCHW = self.conv0(x_NCHW.to(dtype), next(ws), next(noises))
        x_NCHW = self.conv1(x_NCHW, next(ws), next(noises))
        y_NCHW = self.to_image(x_NCHW, next(ws))  # shares its w with conv0 of the next block
        return x_NCHW, y_NCHW if image_NCHW is None else upsample(image_NCHW) + y_NCHW


class Generator(nn.Module):
    """Latents z (N, K) -> images (N, C, size, size), no output nonlinearity."""

    def __init__(self, channels: int, size: int, options: Options):
        super().__init__()
        o = options
        precision = Precision.of(o.precision, size)
        maps = [feature_maps(r, o.channel_base, o.channel_max) for r in resolutions(size)]
        self.layers = 2 * len(maps)  # number of w that an image takes
        self.noise_sizes = [4] + [r for r in resolutions(size)[1:] for _ in range(2)]
        self.mapping = Mapping(o.latent_size, o.mapping_layers)
        self.blocks = nn.ModuleDict(
            {
                f"b{r}": SynthesisBlock(inputs, outputs, channels, o.latent_size, r, precision)
                for r, inputs, outputs in zip(resolutions(size), [0, *maps], maps, strict=False)
            }
        )
        self.register_buffer("w_mean_K", torch.zeros(o.latent_size))

    def synthesis(self, w_NLK: Tensor, noises: list[Tensor] | None = None) -> Tensor:
        """Images of one w for each layer; noises (N, 1, r, r) of `noise_sizes`, or the constant ones."""
        supply = iter([None] * len(self.noise_sizes) if noises is None else noises)
        x_NCHW = image_NCHW = None
        for i, block in enumerate(self.blocks.values()):
            start = max(2 * i - 1, 0)
            x_NCHW, image_NCHW = block(x_NCHW, image_NCHW, w_NLK[:, start:], supply)
        return image_NCHW

    def truncate(self, w_NK: Tensor, psi: float, cutoff: int | None) -> Tensor:
        """(N, layers, K): the first `cutoff` layers, or all, are drawn to the mean w (psi 1: not at all)."""
        truncated_NK = self.w_mean_K.lerp(w_NK, psi)
        cutoff = self.layers if cutoff is None else cutoff
        return torch.stack([truncated_NK if i < cutoff else w_NK for i in range(self.layers)], 1)

    def forward(self, z_NK: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        return self.synthesis(self.truncate(self.mapping(z_NK), psi, cutoff))


class DiscriminatorBlock(nn.Module):
    """One resolution, residual (figure 7c): two convolutions and a linear skip, both halve the size."""

    def __init__(self, inputs: int, outputs: int, resolution: int, precision: Precision):
        super().__init__()
        self.resolution, self.precision = resolution, precision
        self.conv0 = Conv(inputs, inputs, 3, clamp=precision.clamp)
        self.conv1 = Conv(inputs, outputs, 3, down=True, clamp=precision.clamp)
        self.skip = Conv(inputs, outputs, 1, down=True, active=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = x_NCHW.to(self.precision.at(self.resolution, x_NCHW))
        gain = math.sqrt(0.5)  # the sum of the two keeps unit variance
        return self.skip(x_NCHW, gain) + self.conv1(self.conv0(x_NCHW), gain)


class Discriminator(nn.Module):
    """Images (N, C, size, size) -> logits (N,), larger for what looks real."""

    def __init__(self, channels: int, size: int, options: Options):
        super().__init__()
        o = options
        self.size, self.precision, self.group = size, Precision.of(o.precision, size), o.minibatch_std_group
        falling = resolutions(size)[::-1]
        maps = [feature_maps(r, o.channel_base, o.channel_max) for r in falling]
        clamp = self.precision.clamp
        self.from_image = Conv(channels, maps[0], 1, clamp=clamp)
        self.blocks = nn.ModuleDict(
            {
                f"b{r}": DiscriminatorBlock(inputs, outputs, r, self.precision)
                for r, inputs, outputs in zip(falling[:-1], maps, maps[1:], strict=False)
            }
        )
        self.conv = Conv(maps[-1] + 1, maps[-1], 3, clamp=clamp)
        self.dense = Dense(maps[-1] * 16, maps[-1], active=True)
        self.out = Dense(maps[-1], 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.from_image(x_NCHW.to(self.precision.at(self.size, x_NCHW)))
        for block in self.blocks.values():
            x_NCHW = block(x_NCHW)
        x_NCHW = self.conv(append_minibatch_stddev(x_NCHW.float(), self.group))
        return self.out(self.dense(x_NCHW.flatten(1))).squeeze(1)


# ------------------------------------------------------------------------------------------------ regularisation
def r1_penalty(discriminator: nn.Module, real_NCHW: Tensor) -> Tensor:
    """Squared norm of the gradient of the logit with respect to each real image, (N,) (Mescheder et al. 2018, eq. 9)."""
    real_NCHW = real_NCHW.detach().requires_grad_()
    (g_NCHW,) = torch.autograd.grad(discriminator(real_NCHW).sum(), real_NCHW, create_graph=True)
    return g_NCHW.square().sum((1, 2, 3))


def path_lengths(image_NCHW: Tensor, w_NLK: Tensor, y_NCHW: Tensor) -> Tensor:
    """||J_w^T y|| of equation 4, (N,), with y ~ N(0, 1), as the root mean square over layers. J is of the synthesis
    alone; y is scaled by 1 / sqrt(H W), so that lengths do not grow with the size."""
    y_NCHW = y_NCHW / math.sqrt(image_NCHW.shape[2] * image_NCHW.shape[3])
    (g_NLK,) = torch.autograd.grad((image_NCHW * y_NCHW).sum(), w_NLK, create_graph=True)
    return g_NLK.square().sum(2).mean(1).sqrt()


# ------------------------------------------------------------------------------------------------ training
class Draw(NamedTuple):
    """The random numbers of one batch of fakes."""

    z_NK: Tensor
    z_mix_NK: Tensor
    cutoff: Tensor  # () layers below it take the first latent, the others the second
    noises: list[Tensor]  # (N, 1, r, r)


class StyleGAN2:
    """Networks, optimizers and the training step; `sample` draws from networks["generator"].

    Raises:
        ValueError: an unknown option, or a size, precision or batch that it cannot work with.
    """

    def __init__(self, channels: int, size: int, **options):
        self.options = o = gan.read_options(Options, "stylegan2", options)
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
            flip_N = torch.rand(o.batch, device=self.device, generator=rng) < 0.5
            real_NCHW = torch.where(flip_N[:, None, None, None], real_NCHW.flip(3), real_NCHW)
        statistics = self._generator_step(rng)
        if o.path_length_weight and iteration % o.path_length_interval == 0:
            _merge(statistics, self._path_length_step(rng))
        _merge(statistics, self._discriminator_step(real_NCHW, rng))
        if o.r1_gamma and iteration % o.r1_interval == 0:
            _merge(statistics, self._r1_step(real_NCHW))
        return statistics

    def _generator_step(self, rng: torch.Generator) -> dict[str, Tensor]:
        """Non-saturating loss: softplus(-D(G(z)))."""
        draw, scores = self._draw(self.options.batch, rng), []

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                score_N = self.networks["discriminator"](self._fake(draw, chosen)[0])
                scores.append(score_N.detach())
                yield F.softplus(-score_N).sum() / self.options.batch

        nonfinite = gan.descend(self.optimizers["generator"], losses())
        return {"loss_generator": F.softplus(-torch.cat(scores)).mean(), "nonfinite_gradients": nonfinite}

    def _path_length_step(self, rng: torch.Generator) -> dict[str, Tensor]:
        """Equation 4: (||J_w^T y|| - a)^2 with a the running mean of the lengths, on half a batch."""
        o = self.options
        n = max(o.batch // 2, 1)
        draw, lengths = self._draw(n, rng), []
        y_NCHW = torch.randn(n, self.channels, self.size, self.size, device=self.device, generator=rng)

        def losses() -> Iterator[Tensor]:
            rounds = math.ceil(o.batch / (o.microbatch or o.batch))
            for chosen in torch.arange(n, device=self.device).chunk(rounds):
                image_NCHW, w_NLK = self._fake(draw, chosen)
                length_N = path_lengths(image_NCHW, w_NLK, y_NCHW[chosen])
                lengths.append(length_N.detach())
                mean = self.path_length_mean.lerp(length_N.mean(), o.path_length_decay)  # keeps its gradient, as there
                yield (length_N - mean).square().sum() / n * o.path_length_weight * o.path_length_interval

        nonfinite = gan.descend(self.optimizers["generator"], losses())
        length_N = torch.cat(lengths)
        self.path_length_mean = self.path_length_mean.lerp(length_N.mean(), o.path_length_decay)
        penalty = (length_N - self.path_length_mean).square().mean()
        return {"path_length": length_N.mean(), "path_length_penalty": penalty, "nonfinite_gradients": nonfinite}

    def _discriminator_step(self, real_NCHW: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """softplus(D(G(z))) + softplus(-D(x)); the mean w is followed here."""
        o, generator, discriminator = self.options, self.networks["generator"], self.networks["discriminator"]
        draw, fakes, reals = self._draw(o.batch, rng), [], []
        with torch.no_grad():
            generator.w_mean_K.lerp_(generator.mapping(draw.z_NK).mean(0), 1 - o.mapping_ema)

        def losses() -> Iterator[Tensor]:
            for chosen in self._rounds():
                with torch.no_grad():
                    fake_NCHW = self._fake(draw, chosen)[0]
                fake_N, real_N = discriminator(fake_NCHW), discriminator(real_NCHW[chosen])
                fakes.append(fake_N.detach())
                reals.append(real_N.detach())
                yield (F.softplus(fake_N) + F.softplus(-real_N)).sum() / o.batch

        nonfinite = gan.descend(self.optimizers["discriminator"], losses())
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

        nonfinite = gan.descend(self.optimizers["discriminator"], losses())
        return {"r1_penalty": torch.cat(penalties).mean(), "nonfinite_gradients": nonfinite}

    def _draw(self, n: int, rng: torch.Generator) -> Draw:
        """All random numbers of a batch at once, so that micro-batches see those of the whole batch."""
        network, at = self.networks["generator"], {"device": self.device, "generator": rng}
        z_2NK = torch.randn(2, n, self.options.latent_size, **at)
        cutoff = torch.randint(1, network.layers, (), **at)
        cutoff = torch.where(torch.rand((), **at) < self.options.style_mixing, cutoff, network.layers)
        noises = [torch.randn(n, 1, r, r, **at) for r in network.noise_sizes]
        return Draw(z_2NK[0], z_2NK[1], cutoff, noises)

    def _fake(self, draw: Draw, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) with mixed styles, and their w (N, layers, K)."""
        network = self.networks["generator"]
        w_NK, w_mix_NK = network.mapping(draw.z_NK[chosen]), network.mapping(draw.z_mix_NK[chosen])
        first_L = torch.arange(network.layers, device=self.device) < draw.cutoff
        w_NLK = torch.where(first_L[:, None], w_NK[:, None], w_mix_NK[:, None])
        return network.synthesis(w_NLK, [noise[chosen] for noise in draw.noises]), w_NLK

    def _rounds(self) -> list[Tensor]:
        """Indices of the micro-batches; groups of the minibatch deviation stay whole, and those of the full batch."""
        o = self.options
        group = min(o.minibatch_std_group, o.batch)
        members_GM = torch.arange(o.batch, device=self.device).view(group, -1)
        return [part.flatten() for part in members_GM.split((o.microbatch or o.batch) // group, dim=1)]

    def sample(self, n: int, seed: int, first: int = 0) -> Tensor:
        """float32 (n, C, H, W) in [-1, 1]; image i depends on (seed, first + i) only."""
        o, network = self.options, self.networks["generator"].eval()

        def forward(z_NK: Tensor) -> Tensor:
            return network(z_NK, o.truncation_psi, o.truncation_cutoff)

        return gan.sample_by_index(forward, n, seed, first, o.latent_size, self.device)


def _merge(statistics: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    """Adds the statistics of a further phase; non-finite gradients add up."""
    more["nonfinite_gradients"] = more["nonfinite_gradients"] + statistics["nonfinite_gradients"]
    statistics.update(more)


def _check(size: int, o: Options) -> None:
    group = min(o.minibatch_std_group, o.batch)
    if size < 8 or size & (size - 1):
        raise ValueError(f"stylegan2: size {size}: expected a power of two of at least 8 (images.size in the config)")
    if o.precision not in DTYPES:
        raise ValueError(f"stylegan2: precision {o.precision!r}: expected one of {', '.join(DTYPES)}")
    if o.batch % group:
        raise ValueError(f"stylegan2: batch {o.batch}: expected a multiple of minibatch_std_group, {group}")
    if o.microbatch is not None and (o.microbatch % group or o.batch % o.microbatch):
        raise ValueError(
            f"stylegan2: microbatch {o.microbatch}: expected a divisor of batch {o.batch} and a multiple of {group}"
        )
