"""The study's 2D U-Net: nnU-Net in spirit, one level deeper, with bilinear upsampling.

Akbar, Larsson, Blystad, Eklund, Scientific Data 11:259 (2024); shape of their released code. Six levels of 64 ... 2048
filters; per block two 3x3 convolutions, each followed by leaky ReLU 0.01 and then affine instance norm; max pooling;
bilinear x2 and a 1x1 convolution on the way up; an output without bias at every decoder level. 116,014,272 parameters.

`valid` (the released form) pads no convolution: the input is 636 x 636 for an output of 256 x 256, 297 GFLOP.
`same` (default) pads by zeros: 256 x 256 in and out, 115 GFLOP, the same parameters.
"""

import torch
from torch import nn
from torch.nn import functional as F

from understudy.config.segmenters.unet import UNet as Options

from .instance_norm import InstanceNorm
from .loss import level_weights

_SLOPE = 0.01


class Block(nn.Sequential):
    def __init__(self, channels_in: int, channels_out: int, padding: int):
        super().__init__()
        for i, channels in enumerate((channels_in, channels_out)):  # weights keep the names of three layers each
            self.add_module(f"{3 * i}", nn.Conv2d(channels, channels_out, 3, padding=padding))
            self.add_module(f"{3 * i + 2}", InstanceNorm(channels_out, slope=_SLOPE))

    def forward(self, x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps, once more for their second reader."""
        *layers, last = self
        for layer in layers:
            x_NCHW = layer(x_NCHW)
        return last.twice(x_NCHW)


class UNet(nn.Module):
    """forward(x_NCHW) -> [logits_NKHW of the final level, ... of coarser levels, all at the output size].

    In `valid` form the input has `input_size` pixels along each side, see `pad_to_input`.
    """

    def __init__(self, channels: int, classes: int, size: int, options: Options):
        super().__init__()
        self.size, self.deep_supervision = size, options.deep_supervision
        self.input_size = size if options.padding == "same" else valid_input_size(size, options.depth)
        pad = 1 if options.padding == "same" else 0
        filters = [options.base_filters * 2**level for level in range(options.depth)]
        self.encoder = nn.ModuleList(Block(a, b, pad) for a, b in zip([channels, *filters], filters, strict=False))
        levels = range(options.depth - 1)  # of the decoder, finest first
        self.reduce = nn.ModuleList(nn.Conv2d(filters[k + 1], filters[k], 1) for k in levels)
        self.decoder = nn.ModuleList(Block(2 * filters[k], filters[k], pad) for k in levels)
        self.level_weights = level_weights(options.depth - 1 if options.deep_supervision else 1)
        self.heads = nn.ModuleList(nn.Conv2d(filters[k], classes, 1, bias=False) for k in levels)

    def forward(self, x_NCHW: torch.Tensor) -> list[torch.Tensor]:
        skips = []
        for level, block in enumerate(self.encoder):
            x_NCHW, skip_NCHW = block(x_NCHW if level == 0 else F.max_pool2d(x_NCHW, 2))
            skips.append(skip_NCHW)
        features = []
        for level in reversed(range(len(self.decoder))):
            x_NCHW = self.reduce[level](x_NCHW)  # commutes with what comes next, and is cheaper before it
            x_NCHW = F.interpolate(x_NCHW, scale_factor=2, mode="bilinear", align_corners=False)
            skip_NCHW = _crop(skips[level], x_NCHW.shape[-1])
            x_NCHW, feature_NCHW = self.decoder[level](torch.cat([skip_NCHW, x_NCHW], 1))
            features.append(feature_NCHW)
        levels = len(features) if self.deep_supervision and self.training else 1
        return [self._output(self.heads[k](features[-1 - k]), k) for k in range(levels)]

    def _output(self, logits_NKHW: torch.Tensor, level: int) -> torch.Tensor:
        """The centre of a level's map that shows the output's pixels, at the output's size."""
        logits_NKHW = _crop(logits_NKHW, self.size >> level)
        if level == 0:
            return logits_NKHW
        return F.interpolate(logits_NKHW, (self.size, self.size), mode="bilinear", align_corners=False)

    def pad_to_input(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The image with zeros around it, as large as the network wants its input; before its z-score."""
        before = (self.input_size - x_NCHW.shape[-1]) // 2
        after = self.input_size - x_NCHW.shape[-1] - before
        return F.pad(x_NCHW, (before, after, before, after))


def _crop(x_NCHW: torch.Tensor, size: int) -> torch.Tensor:
    """The centre of a map."""
    start = (x_NCHW.shape[-1] - size) // 2
    return x_NCHW[..., start : start + size, start : start + size]


def valid_input_size(size: int, depth: int) -> int:
    """The smallest input whose output through unpadded blocks covers `size`: 636 for 256 and depth 6 (260 before the
    final crop). A block takes 4 pixels; on the way down maps are halved, on the way up doubled."""
    lowest, output = 0, 0
    while output < size:
        lowest += 1
        output = lowest
        for _ in range(depth - 1):
            output = 2 * output - 4
    inner = lowest
    for _ in range(depth - 1):
        inner = 2 * (inner + 4)
    return inner + 4
