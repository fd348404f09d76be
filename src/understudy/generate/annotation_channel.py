"""How the annotation is coded while a generator learns it. Stacks hold it as grey levels, whatever the coding.

`grey` is the study's: one channel, a grey level for each label. Neighbours in grey level need not be neighbours in the
brain: where a generator blurs the border between background (0) and enhancing tumor (204), the values between mean the
other labels, a false rim. `channels` has a channel for each label, 255 inside, 0 outside: a blurred border stays one.
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
    """Between the images of a stack and those of a generator; without labels the images are modalities alone."""

    kind: str = "grey"
    labels: Mapping[str, int] = field(default_factory=dict)  # name -> grey level

    @classmethod
    def of(cls, kind: str, channels: list[str], labels: Mapping[str, int]) -> "Coding":
        """That of a stack with these channels and labels. Raises ValueError for channels where there are no labels."""
        labels = labels if LABEL_CHANNEL in channels else {}
        if kind == "channels" and not labels:
            raise ValueError(f"annotation: channels: found no labels in a stack of {', '.join(channels)}")
        return cls(kind, labels)

    def count(self, channels: int) -> int:
        """Channels of the generator for a stack of `channels`."""
        return coded_channels(self.kind, channels, len(self.labels))

    def modalities(self, channels: int) -> int:
        """Channels of a stack that are no annotation."""
        return channels - 1 if self.labels else channels

    def encode(self, x_NCHW: Tensor) -> Tensor:
        """uint8 images of a stack -> uint8 images for the generator, on the device."""
        if self.kind == "grey":
            return x_NCHW
        between = to_device(thresholds(self.labels).astype(np.float32), x_NCHW.device)
        classes_NHW = torch.bucketize(x_NCHW[:, -1].float(), between)
        numbers_K = torch.arange(1, len(self.labels) + 1, device=x_NCHW.device)
        masks_NKHW = classes_NHW[:, None] == numbers_K[:, None, None]
        return torch.cat([x_NCHW[:, :-1], 255 * masks_NKHW.to(torch.uint8)], 1)

    def decode(self, x_NCHW: Tensor) -> np.ndarray:
        """float images of the generator, [-1, 1] -> uint8 images of a stack; every pixel of the annotation is a grey
        level that has a meaning: the nearest one, or that of the label with the largest share of the pixel, if it is
        above that of the background, which is what the labels leave. So where only the kind of tumor is in doubt, as in
        a thin rim, there is tumor."""
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
    """Channels of a generator for stacks of `channels`, annotation included."""
    return channels - 1 + labels if kind == "channels" else channels


def to_uint8(x_NCHW: Tensor) -> np.ndarray:
    """[-1, 1] -> 0 ... 255: floor(127.5 x + 128), saturated, as the study's scripts do."""
    return (x_NCHW * 127.5 + 128).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()
