"""Memorization along the way: how near a fixed set of samples is to the training images, snapshot by snapshot.

A diffusion model first learns what brains look like and much later, the later the more training images there are, which
brains it was shown (Bonnaire et al. 2025). The study met this at its end, when 100 images of each model were looked at;
here it stands beside the loss while there is time to act.

Similarity is Pearson's correlation over all modalities. A sample counts as memorized where two things hold:
- it is nearer to a training image than 99 of 100 training images are to those of other subjects;
- that subject stands out: the distance to it is under a third of that to the next one (Yoon et al. 2023; correlations r
  of standardised images are distances sqrt(2 - 2 r)). A blurred sample is near to all of them, and copies none.

Images are averaged down to 64 x 64 before, which finds copies and costs a sixteenth at 256; the exact search, over all
samples, is the audit's.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.run.device_images import DeviceImages

from .nearest_images import nearest, nearest_two_groups, standardised

PIXELS = 64  # along each side
REAL = 512  # training images whose nearest ones of other subjects tell what is usual
QUANTILE = 0.99
STANDS_OUT = 1 / 3  # ratio of distances
BLOCK = 512  # references of one matrix product


class Memorization:
    """Args:
    images: the training images. modalities: how many of their channels count, the first ones.
    subjects: of each image; None where nobody knows, then every image is its own.
    """

    def __init__(self, images: DeviceImages, modalities: int, subjects: Sequence[str] | None):
        self.images, self.modalities = images, modalities
        names = list(subjects) if subjects is not None else [str(i) for i in range(len(images))]
        number = {name: i for i, name in enumerate(dict.fromkeys(names))}
        self.group_M = torch.tensor([number[name] for name in names], device=images.device)

    @cached_property
    def usual(self) -> float:
        """The correlation that a real image seldom exceeds with its nearest one of another subject."""
        chosen = torch.linspace(0, len(self.images) - 1, min(REAL, len(self.images))).round().long()
        real_NK, own_N = self._vectors(self.images.batch(chosen)), self.group_M[chosen.to(self.group_M.device)]
        r_N, place_N = nearest(real_NK, self._references(), (own_N, self.group_M))
        known = r_N[place_N >= 0]  # none where there is one subject alone
        return float(torch.quantile(known, QUANTILE)) if len(known) else 1.0

    def look(self, x_NCHW: Tensor) -> dict[str, float]:
        """Of samples (N, C, H, W), modalities first: mean and largest correlation with the nearest training image, and
        the share of them that is memorized."""
        nearest_N, other_N = nearest_two_groups(self._vectors(x_NCHW), self._references, self.group_M)
        stands_out_N = (1 - nearest_N).clamp(min=0) < STANDS_OUT**2 * (1 - other_N)
        return {
            "nearest_mean": float(nearest_N.mean()),
            "nearest_max": float(nearest_N.max()),
            "memorized_share": float(((nearest_N > self.usual) & stands_out_N).float().mean()),
        }

    def _references(self) -> Iterator[Tensor]:
        for start in range(0, len(self.images), BLOCK):
            yield self._vectors(self.images.batch(torch.arange(start, min(start + BLOCK, len(self.images)))))

    def _vectors(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = x_NCHW[:, : self.modalities].to(self.images.device).float()
        if x_NCHW.shape[3] > PIXELS:
            x_NCHW = F.adaptive_avg_pool2d(x_NCHW, PIXELS)
        return standardised(x_NCHW.flatten(1))
