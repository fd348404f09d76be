"""Segmentation networks by name: `build("unet", channels=4, classes=4, size=256, options)` -> Module."""

from collections.abc import Mapping

import torch

SEGMENTERS = ("unet", "swin", "dynunet")  # any other name is a network of MMSegmentation, with its `model`


def build(name: str, channels: int, classes: int, size: int, options: Mapping | None = None) -> torch.nn.Module:
    """A segmenter: forward(x_NCHW) -> list of logits (N, classes, size, size), the final output first.

    While it trains further outputs follow; `level_weights` are their weights in the loss. `pad_to_input(x_NCHW)` is the
    image as large as the network wants it.

    Args:
        channels: modalities of the input. classes: labels and background. size: pixels along each side.
        options: the segmenter's config block; those that are of the network are taken, the study's where it has none.
    Raises:
        ValueError: an option that the network cannot work with.
    """
    network, options = network_class(name), options or {}
    return network(channels, classes, size, **{key: options[key] for key in network.OPTIONS if key in options})


def network_class(name: str) -> type:
    if name == "unet":
        from .unet import UNet

        return UNet
    if name == "swin":
        from .swin import Swin

        return Swin
    if name == "dynunet":
        from .dynunet import DynUNet

        return DynUNet
    from .openmmlab import OpenMMLab

    return OpenMMLab
