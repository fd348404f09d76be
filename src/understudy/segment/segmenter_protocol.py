"""What a segmenter has to offer: all that training, prediction and publishing ask of one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Segmenter(Protocol):
    """A network of src/understudy/segment/, an nn.Module built as Class(channels, classes, size, options)."""

    level_weights: Sequence[float]
    """In the loss, of its outputs while it trains: the final one, then those of coarser levels or auxiliary heads."""

    def forward(self, x_NCHW: Tensor) -> list[Tensor]:
        """Logits (N, classes, size, size), one for each level while it trains, else of the final output alone."""

    def pad_to_input(self, x_NCHW: Tensor) -> Tensor:
        """Images of (size, size) as large as the network wants them."""
