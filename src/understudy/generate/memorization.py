"""Monitors memorization during training: at every snapshot, how near a fixed set of samples is to the training images.

A diffusion model first learns what brains look like, and only much later memorizes the brains that it was shown; the
more training images, the later (Bonnaire et al. 2025). The study noticed memorization at its end, when it looked at 100
images of each model. Here the numbers are logged beside the loss, while there is time to act.

Similarity is Pearson's correlation over all modalities. A sample counts as memorized if two conditions hold:
- It is nearer to a training image than 99 of 100 training images are to those of other subjects.
- The nearest subject stands out: its distance is under a third of the second nearest subject's (Yoon et al. 2023;
  standardised images with correlation r have the distance sqrt(2 - 2 r)). A blurred sample is near to all subjects and
  copies none.

Images are first averaged down to 64 x 64. This still finds copies and costs a sixteenth of 256 x 256. The audit
searches all samples exactly.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.run.device_images import DeviceImages

from .nearest_images import nearest, nearest_two_groups, standardised

PIXELS = 64  # along each side
REAL = 512  # training images that set the usual similarity between subjects
QUANTILE = 0.99
STANDS_OUT = 1 / 3  # largest ratio of the two distances
BLOCK = 512  # references of one matrix product


class Memorization:
    """Args:
    images: the training images. modalities: number of first channels that count.
    people: the person of each image (Stack.people); None: unknown, each image counts as a person of its own.
    """

    def __init__(self, images: DeviceImages, modalities: int, people: Sequence[str] | None):
        self.images, self.modalities = images, modalities
        names = list(people) if people is not None else [str(i) for i in range(len(images))]
        number = {name: i for i, name in enumerate(dict.fromkeys(names))}
        self.group_M = torch.tensor([number[name] for name in names], device=images.device)

    @cached_property
    def usual(self) -> float:
        """The correlation with another subject's image that only 1 in 100 real images exceeds."""
        chosen = torch.linspace(0, len(self.images) - 1, min(REAL, len(self.images))).round().long()
        real_NK, own_N = self.vectors(self.images.batch(chosen)), self.group_M[chosen.to(self.group_M.device)]
        r_N, place_N = nearest(real_NK, self.references(), (own_N, self.group_M))
        known = r_N[place_N >= 0]  # none where there is one subject alone
        return float(torch.quantile(known, QUANTILE)) if len(known) else 1.0

    def look(self, x_NCHW: Tensor) -> dict[str, float]:
        """Mean and largest correlation of the samples with their nearest training image, and the memorized share.

        Args:
            x_NCHW: samples, modalities first.
        """
        nearest_N, other_N = nearest_two_groups(self.vectors(x_NCHW), self.references, self.group_M)
        stands_out_N = (1 - nearest_N).clamp(min=0) < STANDS_OUT**2 * (1 - other_N)
        return {
            "nearest_mean": float(nearest_N.mean()),
            "nearest_max": float(nearest_N.max()),
            "memorized_share": float(((nearest_N > self.usual) & stands_out_N).float().mean()),
        }

    def references(self) -> Iterator[Tensor]:
        """The training images, in blocks (M, K) of standardised vectors."""
        for start in range(0, len(self.images), BLOCK):
            yield self.vectors(self.images.batch(torch.arange(start, min(start + BLOCK, len(self.images)))))

    def vectors(self, x_NCHW: Tensor) -> Tensor:
        """(N, K) standardised, K pixels of all modalities."""
        return standardised(low_resolution(x_NCHW.to(self.images.device), self.modalities).flatten(1))


def low_resolution(x_NCHW: Tensor, modalities: int) -> Tensor:
    """float32, the first channels, averaged down to at most PIXELS x PIXELS."""
    x_NCHW = x_NCHW[:, :modalities].float()
    return F.adaptive_avg_pool2d(x_NCHW, PIXELS) if x_NCHW.shape[3] > PIXELS else x_NCHW
