"""How the annotation is coded for a generator. Stacks always store it as grey levels.

`grey` is the study's coding: one channel, one grey level for each label. It can produce false rims: if a generator
blurs the border between background (0) and enhancing tumor (204), the values in between decode as other labels.
`channels` has one channel for each label, 255 inside and 0 outside, so a blurred border stays a border.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from understudy.run.transfer import to_device
from understudy.stack.labels import LABEL_CHANNEL, classes_of_grey, grey_of_classes, thresholds

CODINGS = ("grey", "channels")


@dataclass(frozen=True)
class Coding:
    """Converts images of a stack to those of a generator and back. Without labels, images have modalities alone."""

    kind: str = "grey"
    labels: Mapping[str, int] = field(default_factory=dict)  # name -> grey level

    @classmethod
    def of(cls, kind: str, channels: list[str], labels: Mapping[str, int]) -> "Coding":
        """The coding of a stack. Raises ValueError if `kind` is channels and the stack has no labels."""
        labels = labels if LABEL_CHANNEL in channels else {}
        if kind == "channels" and not labels:
            raise ValueError(f"annotation: channels: found no labels in a stack of {', '.join(channels)}")
        return cls(kind, labels)

    def count(self, channels: int) -> int:
        """Number of the generator's channels for a stack with this number of channels."""
        return coded_channels(self.kind, channels, len(self.labels))

    def modalities(self, channels: int) -> int:
        """Number of a stack's channels without the annotation."""
        return channels - 1 if self.labels else channels

    def encode(self, x_NCHW: Tensor) -> Tensor:
        """uint8 images of a stack -> uint8 images for the generator, on the same device."""
        if self.kind == "grey":
            return x_NCHW
        between = to_device(thresholds(self.labels).astype(np.float32), x_NCHW.device)
        classes_NHW = torch.bucketize(x_NCHW[:, -1].float(), between)
        numbers_K = torch.arange(1, len(self.labels) + 1, device=x_NCHW.device)
        masks_NKHW = classes_NHW[:, None] == numbers_K[:, None, None]
        return torch.cat([x_NCHW[:, :-1], 255 * masks_NKHW.to(torch.uint8)], 1)

    def decode(self, x_NCHW: Tensor) -> np.ndarray:
        """float images of the generator in [-1, 1] -> uint8 images of a stack, with valid grey levels alone.

        `grey` takes the nearest level. `channels` takes the label with the largest share of the pixel, or background if
        its share is larger; the background's share is what the labels leave over. So a thin rim, where only the kind of
        tumor is uncertain, stays tumor.
        """
        if not self.labels:
            return to_uint8(x_NCHW)
        if self.kind == "grey":
            x_NCHW = to_uint8(x_NCHW)
            table_256 = grey_of_classes(classes_of_grey(np.arange(256), self.labels), self.labels)
            x_NCHW[:, -1] = table_256[x_NCHW[:, -1]]
            return x_NCHW
        modalities = x_NCHW.shape[1] - len(self.labels)
        share_NKHW = ((x_NCHW[:, modalities:] + 1) / 2).clamp(0, 1)
        largest_NHW, label_NHW = share_NKHW.max(1)
        classes_NHW = torch.where(largest_NHW > 1 - share_NKHW.sum(1), label_NHW + 1, 0).cpu().numpy()
        grey_N1HW = grey_of_classes(classes_NHW, self.labels)[:, None]
        return np.concatenate([to_uint8(x_NCHW[:, :modalities]), grey_N1HW], 1)


def coded_channels(kind: str, channels: int, labels: int) -> int:
    """Number of a generator's channels for stacks with `channels` channels, annotation included."""
    return channels - 1 + labels if kind == "channels" else channels


def to_uint8(x_NCHW: Tensor) -> np.ndarray:
    """[-1, 1] -> 0 ... 255: floor(127.5 x + 128), saturated, as the study's scripts do."""
    return (x_NCHW * 127.5 + 128).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()
