"""The denoising network of the diffusion model: a residual U-Net with attention on its small maps.

Papers    Ho, Jain, Abbeel: "Denoising Diffusion Probabilistic Models", NeurIPS 2020; Dhariwal, Nichol: "Diffusion
          Models Beat GANs on Image Synthesis", NeurIPS 2021 (scale-shift norm, attention at several resolutions).
Original  the study trained github.com/openai/guided-diffusion (MIT). This is an independent implementation; diffusers'
          UNet2DModel, given the same weights, is its oracle in the tests.
Size      5 x 256 x 256, the study's flags (width 64, 3 blocks): 41 125 637 parameters, 167 GFLOP an image and pass;
          with the variance learned 41 128 522; width 128 with 2 blocks: 124 057 861.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual
from torch.nn import functional as F

from understudy.config.generator import MULTIPLIERS
from understudy.run.norms import normalized
from understudy.run.triton_operations import fused

GROUPS = 32  # of every group norm


def timestep_embedding(t_N: Tensor, width: int) -> Tensor:
    """(N, width): cosines, then sines, of t at frequencies from 1 down to 1/10000."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=t_N.device, dtype=torch.float32) / half)
    angle_NK = t_N.float()[:, None] * frequencies
    return torch.cat([angle_NK.cos(), angle_NK.sin()], 1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-5)


def zero(layer: nn.Module) -> nn.Module:
    """Every residual branch, and the whole network, begins as zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _activated(norm: nn.GroupNorm, x_NCHW: Tensor, time_NK: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(silu(norm(x) * (1 + scale) + shift), x), where `time_NK` are scale and shift, if there are any. x comes back for
    whoever needs it once more: on a GPU, where all of this is one operation, its gradients are added there."""
    if fused(x_NCHW):
        factor_NC, shift_NC = (t_C.expand(x_NCHW.shape[:2]) for t_C in (norm.weight, norm.bias))
        if time_NK is not None:
            scale_NC, offset_NC = time_NK.chunk(2, dim=1)
            scale_NC = 1 + scale_NC
            factor_NC, shift_NC = factor_NC * scale_NC, torch.addcmul(offset_NC, shift_NC, scale_NC)
        return normalized(x_NCHW, factor_NC, shift_NC, norm.num_groups, norm.eps, silu=True)[::2]
    h_NCHW = norm(x_NCHW)
    if time_NK is not None:
        scale, shift = time_NK[:, :, None, None].chunk(2, dim=1)
        h_NCHW = torch.addcmul(shift, h_NCHW, 1 + scale)
    return F.silu(h_NCHW, inplace=not torch.is_grad_enabled()), x_NCHW  # in place where no gradient will ask for it


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))) * (1 + scale) + shift)), where the time gives scale and shift."""

    def __init__(self, channels_in: int, channels_out: int, embedding: int, dropout: float):
        super().__init__()
        self.norm1, self.conv1 = _norm(channels_in), nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.time = nn.Linear(embedding, 2 * channels_out)
        self.norm2, self.dropout = _norm(channels_out), nn.Dropout(dropout)
        self.conv2 = zero(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x_NCHW: Tensor, embedding_NK: Tensor) -> Tensor:
        h_NCHW, x_NCHW = _activated(self.norm1, x_NCHW)
        h_NCHW, _ = _activated(self.norm2, self.conv1(h_NCHW), self.time(F.silu(embedding_NK)))
        return self.skip(x_NCHW) + self.conv2(self.dropout(h_NCHW))


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(width)) v, one kernel on a GPU; so it is on the meta device, which else takes it apart. That
    kernel has no tangents."""
    if q.device.type == "meta" and unpack_dual(q).tangent is None:
        return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, True)[0]
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Self-attention over the pixels of a map, added to it."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads, self.norm = heads, _norm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), zero(nn.Linear(channels, channels))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        n, c, height, width = x_NCHW.shape
        x_NLC = self.norm(x_NCHW).flatten(2).transpose(1, 2)
        qkv = self.qkv(x_NLC).view(n, height * width, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attended = _attended(*qkv).transpose(1, 2).reshape(n, height * width, c)
        return x_NCHW + self.out(attended).transpose(1, 2).reshape(n, c, height, width)


class Stage(nn.Module):
    """A residual block, and attention after it where the map is small enough."""

    def __init__(self, channels_in: int, channels_out: int, embedding: int, dropout: float, heads: int | None):
        super().__init__()
        self.block = ResidualBlock(channels_in, channels_out, embedding, dropout)
        self.attention = Attention(channels_out, heads) if heads else nn.Identity()

    def forward(self, x_NCHW: Tensor, embedding_NK: Tensor) -> Tensor:
        return self.attention(self.block(x_NCHW, embedding_NK))


class Denoiser(nn.Module):
    """forward(x_NCHW, t_N) -> (N, C, H, W), or (N, 2 C, H, W) with the variance learned: what the process predicts,
    then where the variance lies between its bounds. t counts the steps of the whole process, from 0. With `told` also
    forward(x_NCHW, t_N, told_N6), of images that were transformed so (augmentation.told).

    Raises:
        ValueError: a size or a width that it cannot work with.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        width: int = 64,
        multipliers: Sequence[int] | None = None,
        blocks: int = 3,
        attention: Sequence[int] = (16, 8),
        heads: int = 4,
        dropout: float = 0.0,
        learned_variance: bool = False,
        told: bool = False,
    ):
        super().__init__()
        multipliers = _checked(size, width, multipliers, heads)
        self.width, embedding = width, 4 * width
        self.embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        if told:
            self.embed_told = zero(nn.Linear(6, embedding, bias=False))
        self.first = nn.Conv2d(channels, width, 3, padding=1)

        def stage(channels_in: int, channels_out: int, level: int) -> Stage:
            attends = size >> level in attention
            return Stage(channels_in, channels_out, embedding, dropout, heads if attends else None)

        levels, now, skips = range(len(multipliers)), width, [width]
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level in levels:
            out = width * multipliers[level]
            self.down.append(nn.ModuleList(stage(now if i == 0 else out, out, level) for i in range(blocks)))
            now = out
            skips += [out] * blocks
            if level < levels[-1]:
                self.shrink.append(nn.Conv2d(out, out, 3, stride=2, padding=1))
                skips.append(out)
        self.middle = nn.ModuleList([Stage(now, now, embedding, dropout, h) for h in (heads, None)])
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level in reversed(levels):
            out = width * multipliers[level]
            row = nn.ModuleList()
            for _ in range(blocks + 1):
                row.append(stage(now + skips.pop(), out, level))
                now = out
            self.up.append(row)
            if level:
                self.grow.append(nn.Conv2d(out, out, 3, padding=1))
        self.norm = _norm(now)
        self.last = zero(nn.Conv2d(now, channels * (2 if learned_variance else 1), 3, padding=1))

    def forward(self, x_NCHW: Tensor, t_N: Tensor, told_N6: Tensor | None = None) -> Tensor:
        embedding_NK = self.embed(timestep_embedding(t_N, self.width).to(x_NCHW.dtype))
        if told_N6 is not None:
            embedding_NK = embedding_NK + self.embed_told(told_N6.to(x_NCHW.dtype))
        h_NCHW = self.first(x_NCHW)
        skips = [h_NCHW]
        for level, row in enumerate(self.down):
            for stage in row:
                h_NCHW = stage(h_NCHW, embedding_NK)
                skips.append(h_NCHW)
            if level < len(self.shrink):
                h_NCHW = self.shrink[level](h_NCHW)
                skips.append(h_NCHW)
        for stage in self.middle:
            h_NCHW = stage(h_NCHW, embedding_NK)
        for level, row in enumerate(self.up):
            for stage in row:
                h_NCHW = stage(torch.cat([h_NCHW, skips.pop()], 1), embedding_NK)
            if level < len(self.grow):
                h_NCHW = self.grow[level](F.interpolate(h_NCHW, scale_factor=2.0, mode="nearest"))
        return self.last(_activated(self.norm, h_NCHW)[0])


def _checked(size: int, width: int, multipliers: Sequence[int] | None, heads: int) -> Sequence[int]:
    if multipliers is None and size not in MULTIPLIERS:
        known = ", ".join(map(str, MULTIPLIERS))
        raise ValueError(f"diffusion multipliers: found none for size {size}; expected a list, or a size of {known}")
    multipliers = multipliers or MULTIPLIERS[size]
    if size % 2 ** (len(multipliers) - 1):
        raise ValueError(f"diffusion multipliers: found {len(multipliers)}; {size} pixels cannot be halved that often")
    if width % GROUPS or width % heads:
        raise ValueError(f"diffusion width: found {width}; expected a multiple of {GROUPS} and of heads, {heads}")
    return multipliers
