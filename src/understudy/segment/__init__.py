"""Segmentation networks by name: `build("unet", channels=4, classes=4, size=256, **options)` -> Module.

A segmenter is two modules of the same name: its options in understudy/config/segmenters/, and its class here, named
after the module. Any other name is a network of MMSegmentation, described by its `model`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from understudy.config.blocks import block_of
from understudy.config.fields import NETWORK
from understudy.config.reading import read_options
from understudy.config.segmenters import BUILT as SEGMENTERS
from understudy.config.segmenters import block
from understudy.study.grid import NNUNET

if TYPE_CHECKING:
    import torch


def build(name: str, channels: int, classes: int, size: int, **options) -> "torch.nn.Module":
    """A segmenter, with what segmenter_protocol.Segmenter says.

    Args:
        channels: modalities of the input.
        classes: labels and background.
        size: pixels along each side.
        options: of the segmenter's block, the study's where none are given; those of the training build nothing.
    Raises:
        ValueError: an option that there is not, or that the network cannot work with.
    """
    if name == NNUNET:
        raise ValueError(f"{NNUNET}: found a network that nnU-Net plans and builds itself; docs/nnunet.md trains it")
    network = block_of(__name__, name if name in SEGMENTERS else "openmmlab")
    return network(channels, classes, size, read_options(block(name), name, size, options))


def building_options(name: str, options: Mapping) -> dict:
    """Those of the options that build the network, but for a file to start from, which published weights replace."""
    wanted = block(name).of_use(NETWORK) - {"pretrained"}
    return {key: value for key, value in options.items() if key in wanted}
