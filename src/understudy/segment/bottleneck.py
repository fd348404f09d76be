"""The coarsest maps of a segmenter, averaged over their pixels, as features of an image.

U-Net: before its last instance norm, which gives every map the same mean over its pixels; DynUNet: after the block,
whose norm comes before its rectifier; networks of MMSegmentation: the last stage of the backbone.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .augment import prepare


def bottleneck_features(network: nn.Module, options: Mapping) -> Callable[[Tensor], Tensor]:
    """uint8 modalities (N, C, H, W) -> float32 features (N, D) of a network of `segment.build` in eval mode."""
    seen: list[Tensor] = []
    layer, slope = coarsest(network)

    def keep(_module: nn.Module, _inputs: tuple, output: Tensor | tuple[Tensor, ...]) -> None:
        seen.append(F.leaky_relu(output if isinstance(output, Tensor) else output[-1], slope))

    layer.register_forward_hook(keep)

    if options.get("intensities") not in ("z_score", "raw"):
        raise ValueError(
            f"segmenter weights: found intensities {options.get('intensities')!r}, expected z_score or raw"
        )

    @torch.no_grad()
    def features(x_NCHW: Tensor) -> Tensor:
        network(prepare(x_NCHW, options["intensities"], network.pad_to_input))
        return seen.pop().mean((2, 3))

    return features


def coarsest(network: nn.Module) -> tuple[nn.Module, float]:
    """The module whose output, or the last of whose outputs, are the coarsest maps, and the slope of the leaky ReLU
    that is still to come (1: none is)."""
    if hasattr(network, "encoder"):  # U-Net: its norm begins with the rectifier
        *_, conv, norm = network.encoder[-1]
        return conv, norm.slope
    inner = network.network
    return (inner.bottleneck if hasattr(inner, "bottleneck") else inner.backbone), 1.0
