"""Monitors memorization during training: at every snapshot, how near a fixed set of samples is to the training images.

A diffusion model first learns what brains look like, and only much later memorizes the brains that it was shown; the
more training images, the later (Bonnaire et al. 2025). The study noticed memorization at its end, when it looked at 100
images of each model. Here the numbers are logged beside the loss, while there is time to act.

Similarity is Pearson's correlation r over all modalities; standardised images have the distance sqrt(2 - 2 r). A sample
counts as memorized where its nearest subject stands out: the distance to it, relative to that to the second nearest
subject (Yoon et al. 2023), is as small as it is between people for 1 training image in 1000. Training images tell how
small that is. A fixed ratio of a third missed copies: a generator leaves out the noise of an image, and this noise
alone keeps the copy away from it. A blurred sample is near to all subjects, and none of them stands out.

Images are first averaged down to 64 x 64. This still finds copies and costs a sixteenth of 256 x 256. The audit
searches all samples exactly.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.run.device_images import DeviceImages

from .nearest_images import nearest_two_groups, standardised

PIXELS = 64  # along each side
REAL = 512  # training images that set the usual similarity between subjects
QUANTILE = 0.99
RATE = 0.001  # of other people's images that count as memorized
TAIL = 0.05  # share of the training images whose ratios tell how rare smaller ones are
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
    def between_people(self) -> tuple[Tensor, Tensor]:
        """(N,) each: correlations of training images with the nearest of other subjects, and with the second."""
        chosen = torch.linspace(0, len(self.images) - 1, min(REAL, len(self.images))).round().long()
        own_N = self.group_M[chosen.to(self.group_M.device)]
        return nearest_two_groups(self.vectors(self.images.batch(chosen)), self.references, self.group_M, own_N)

    @cached_property
    def usual(self) -> float:
        """The correlation with another subject's image that only 1 in 100 real images exceeds."""
        known = self.between_people[0]
        known = known[known > -1]  # none where there is one subject alone
        return float(torch.quantile(known, QUANTILE)) if len(known) else 1.0

    @cached_property
    def standing_out(self) -> float:
        """The ratio of 1 - r to the nearest and to the second nearest subject that RATE of images of other people are
        below; 0 where there are fewer than three subjects.

        The tail of -log(ratio) beyond TAIL is taken as exponential, with the scale that its median has: so a person who
        is there under two names changes little.
        """
        nearest_N, other_N = self.between_people
        excess_N = -(ratio(nearest_N, other_N)[other_N > -1].clamp(min=1e-6)).log()
        if not len(excess_N):
            return 0.0
        start = torch.quantile(excess_N, 1 - TAIL)
        beyond = excess_N[excess_N >= start] - start
        scale = beyond.median() / math.log(2)
        return float((-start - scale * math.log(TAIL / RATE)).exp())

    def look(self, x_NCHW: Tensor) -> dict[str, float]:
        """Mean and largest correlation of the samples with their nearest training image, and the memorized share.

        Args:
            x_NCHW: samples, modalities first.
        """
        nearest_N, other_N = nearest_two_groups(self.vectors(x_NCHW), self.references, self.group_M)
        return {
            "nearest_mean": float(nearest_N.mean()),
            "nearest_max": float(nearest_N.max()),
            "memorized_share": float((ratio(nearest_N, other_N) < self.standing_out).float().mean()),
        }

    def references(self) -> Iterator[Tensor]:
        """The training images, in blocks (M, K) of standardised vectors."""
        for start in range(0, len(self.images), BLOCK):
            yield self.vectors(self.images.batch(torch.arange(start, min(start + BLOCK, len(self.images)))))

    def vectors(self, x_NCHW: Tensor) -> Tensor:
        """(N, K) standardised, K pixels of all modalities."""
        return standardised(low_resolution(x_NCHW.to(self.images.device), self.modalities).flatten(1))


def ratio(nearest_N: Tensor, other_N: Tensor) -> Tensor:
    """Of the squared distances that belong to two correlations, the nearer one first."""
    tiny = torch.finfo(nearest_N.dtype).tiny
    return (1 - nearest_N).clamp(min=0) / (1 - other_N).clamp(min=tiny)


def low_resolution(x_NCHW: Tensor, modalities: int) -> Tensor:
    """float32, the first channels, averaged down to at most PIXELS x PIXELS."""
    x_NCHW = x_NCHW[:, :modalities].float()
    return F.adaptive_avg_pool2d(x_NCHW, PIXELS) if x_NCHW.shape[3] > PIXELS else x_NCHW
