"""A denoising network whose maps are all of one size, and networks that see squares of pixels as channels.

Papers    Liu et al.: "A ConvNet for the 2020s", CVPR 2022 (a depthwise convolution, then 1 x 1 up and down); Peebles,
          Xie: "Scalable Diffusion Models with Transformers", ICCV 2023 (norms without weights, modulated by t; every
          block begins as the identity).
Departs   3 x 3 in place of 7 x 7, twice as many channels between the 1 x 1 convolutions in place of four times, SiLU,
          group norm; attention after some blocks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .diffusion_networks import GROUPS, Attention, timestep_embedding, zero

EXPANSION = 2


class Block(nn.Module):
    """x + gate * down(silu(up(depthwise(norm(x) * (1 + scale) + shift)))), where the time gives scale, shift, gate."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm, self.time = nn.GroupNorm(GROUPS, width, affine=False), zero(nn.Linear(width, 3 * width))
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.up, self.down = nn.Conv2d(width, EXPANSION * width, 1), nn.Conv2d(EXPANSION * width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_NCHW: Tensor, embedding_NK: Tensor) -> Tensor:
        scale, shift, gate = self.time(F.silu(embedding_NK))[:, :, None, None].chunk(3, dim=1)
        h_NCHW = self.depthwise(torch.addcmul(shift, self.norm(x_NCHW), 1 + scale))
        return torch.addcmul(x_NCHW, gate, self.down(self.dropout(F.silu(self.up(h_NCHW)))))


class ConvNeXt(nn.Module):
    """forward(x_NCHW, t_N) -> (N, C, H, W); with `spans` also forward(x_NCHW, t_N, span_N), of a jump so far from t;
    with `told` also with told_N6, of images that were transformed so (augmentation.told).
    Where a pixel lies it is told by a learned map, which is added. `edge_kernel`: of the first and the last
    convolution; 1 is enough where a pixel is a square of pixels."""

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        width: int,
        blocks: int,
        attention_interval: int,
        heads: int,
        dropout: float,
        edge_kernel: int = 3,
        spans: bool = False,
        told: bool = False,
    ):
        super().__init__()
        self.width = width
        self.embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        if spans:
            self.embed_span = nn.Sequential(nn.Linear(width, width), nn.SiLU(), zero(nn.Linear(width, width)))
        if told:
            self.embed_told = zero(nn.Linear(6, width, bias=False))
        self.first = nn.Conv2d(channels, width, edge_kernel, padding=edge_kernel // 2)
        self.position_1CHW = nn.Parameter(torch.zeros(1, width, size, size))
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(blocks))
        attends = {i for i in range(blocks) if attention_interval and (i + 1) % attention_interval == 0}
        self.attention = nn.ModuleDict({str(i): Attention(width, heads) for i in sorted(attends)})
        self.norm = nn.GroupNorm(GROUPS, width)
        self.last = zero(nn.Conv2d(width, channels, edge_kernel, padding=edge_kernel // 2))

    def forward(
        self, x_NCHW: Tensor, t_N: Tensor, span_N: Tensor | None = None, told_N6: Tensor | None = None
    ) -> Tensor:
        embedding_NK = self.embed(timestep_embedding(t_N, self.width).to(x_NCHW.dtype))
        if span_N is not None:
            embedding_NK = embedding_NK + self.embed_span(timestep_embedding(span_N, self.width).to(x_NCHW.dtype))
        if told_N6 is not None:
            embedding_NK = embedding_NK + self.embed_told(told_N6.to(x_NCHW.dtype))
        h_NCHW = self.first(x_NCHW) + self.position_1CHW
        for i, block in enumerate(self.blocks):
            h_NCHW = block(h_NCHW, embedding_NK)
            if str(i) in self.attention:
                h_NCHW = self.attention[str(i)](h_NCHW)
        return self.last(F.silu(self.norm(h_NCHW)))


class Folded(nn.Module):
    """Shows a network squares of patch x patch pixels as channels, patch^2 times as many, and makes pixels of its
    answer."""

    def __init__(self, network: nn.Module, patch: int):
        super().__init__()
        self.network, self.patch = network, patch

    def forward(self, x_NCHW: Tensor, *times_N: Tensor, **told: Tensor) -> Tensor:
        return F.pixel_shuffle(self.network(F.pixel_unshuffle(x_NCHW, self.patch), *times_N, **told), self.patch)
