"""MONAI's DynUNet (Apache-2.0) in the shape that nnU-Net gives a 2D network: the peer of the study's U-Net.

Paper     Isensee et al., "nnU-Net", Nature Methods 2021
Size      4 x 256 x 256, filters 32 ... 512: 33 465 108 parameters, 30 GFLOP an image
"""

import torch
from monai.networks.nets import DynUNet as MonaiDynUNet
from torch import nn

from understudy.config.segmenters.dynunet import DynUNet as Options

from .instance_norm import keep_layout
from .loss import level_weights


class DynUNet(nn.Module):
    """forward(x_NCHW) -> [logits_NKHW, and while training those of the coarser levels, at the same size]."""

    def __init__(self, channels: int, classes: int, size: int, options: Options):
        super().__init__()
        levels, deep = len(options.filters), options.deep_supervision
        supervised = levels - 2 if deep and levels > 3 else 0  # all but the two coarsest, as nnU-Net
        network = MonaiDynUNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=classes,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=list(options.filters),
            norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
            deep_supervision=supervised > 0,
            deep_supr_num=max(supervised, 1),
        )
        self.network = keep_layout(network)
        self.level_weights = level_weights(supervised + 1)

    def forward(self, x_NCHW: torch.Tensor) -> list[torch.Tensor]:
        logits = self.network(x_NCHW)
        return list(logits.unbind(1)) if logits.ndim == 5 else [logits]

    def pad_to_input(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return x_NCHW
