"""Segmentation networks by name: `build("unet", channels=4, classes=4, size=256, **options)` -> Module."""

import torch

SEGMENTERS = ("unet",)


def build(name: str, channels: int, classes: int, size: int, **options) -> torch.nn.Module:
    """A segmenter: forward(x_NCHW) -> list of logits (N, classes, size, size), the final output first.

    Args:
        channels: modalities of the input. classes: labels and background. size: pixels along each side.
        options: of the network alone (depth, base_filters, padding, ...), each with the study's default.
    Raises:
        ValueError: unknown name.
    """
    if name == "unet":
        from .unet import UNet

        return UNet(channels, classes, size, **options)
    raise ValueError(f"segmenter {name!r} is unknown; known: {', '.join(SEGMENTERS)}")
