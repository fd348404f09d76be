"""The options of nnU-Net v2, which plans, trains and predicts by itself (docs/nnunet.md)."""

from typing import ClassVar

from understudy.config.fields import Whole, key
from understudy.config.segmenter import Validated

PACKAGE = "nnunetv2==2.8.1"  # as pip names it


class NnUNet(Validated):
    """Network, batch, patch, loss, learning rate and augmentation are nnU-Net's own, from its plan."""

    remark: ClassVar[str] = "nnU-Net v2 itself, 2D: docs/nnunet.md"

    epochs: Whole = key(1000, "length of the training in epochs; nnU-Net's learning rate falls over this length")
    iterations_per_epoch: Whole = key(
        250, "optimizer steps per epoch; after each epoch, a fifth as many batches validate"
    )
