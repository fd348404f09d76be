"""Progressive growing: what is trained when, and at which resolution, as functions of the images seen.

Karras et al. 2018, section 2 and appendix A.1. A training begins at a low resolution. Each resolution is trained
`stable` images long, then the next one is faded in over `fade` images, until the images have their full size. The level
of detail (lod) counts the halvings that are left, with a fraction while a resolution fades in: 6.0 is 4 x 4 of
256 x 256, 5.25 is 8 x 8 with a quarter of the image still from the layers of 4 x 4, and 0 is the full size.

Networks compute at the resolution of the phase. The original enlarges the images of every phase to full size. This
changes only the size of gradients, by the factor `Phase.enlarged`.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from understudy.config.generator import at_resolution

from .layers import double, halve


class Phase(NamedTuple):
    """What networks do at one level of detail."""

    resolution: int  # of the images; during a fade, the higher one
    old: float = 0.0  # weight of the layers of half the resolution, in [0, 1); 0: no fade
    enlarged: int = 1  # edge of a full-size image / resolution

    @classmethod
    def of(cls, lod: float, size: int) -> "Phase":
        whole = math.floor(lod)
        return cls(size >> whole, lod - whole, 1 << whole)


@dataclass(frozen=True)
class Schedule:
    """The phases of a training.

    As in the original, the schedule is updated every `interval` iterations, so a level may change some iterations late.
    The batches determine when it is updated, so everything is a function of the images seen.
    """

    size: int  # of the full images
    first: int  # resolution that the training begins with
    stable: float  # images
    fade: float  # images
    batch: int | Sequence[int]  # images an iteration, see at_resolution
    interval: int = 1  # iterations

    @classmethod
    def of(cls, size: int, options) -> "Schedule":
        o = options
        first = min(o.first_resolution, size)
        return cls(size, first, o.stable_kimg * 1000, o.fade_kimg * 1000, o.batch, o.schedule_interval)

    @property
    def top(self) -> int:
        """The level of detail at the beginning."""
        return (self.size // self.first).bit_length() - 1

    def lod(self, images: float) -> float:
        """The level of detail after so many images, if one looked at every image."""
        risen, rest = divmod(images, self.stable + self.fade)
        faded = max(rest - self.stable, 0) / self.fade if self.fade else 0
        return max(self.top - risen - faded, 0.0)

    def phase_at(self, images_seen: int) -> Phase:
        """The phase of the iteration that begins at `images_seen`."""
        return Phase.of(self.lod_at(images_seen), self.size)

    def lod_at(self, images_seen: int) -> float:
        return self.lod(self._look(images_seen)[0])

    def batch_at(self, images_seen: int) -> int:
        return at_resolution(self.batch, self.phase_at(images_seen).resolution)

    def begins_level(self, images_seen: int) -> bool:
        """Whether this iteration is the first of a fade or the first after one: then optimizers begin anew."""
        now, before = self._look(images_seen)
        if images_seen != now or now == 0:
            return False
        a, b = self.lod(now), self.lod(before)
        return (math.floor(a), math.ceil(a)) != (math.floor(b), math.ceil(b))

    def shares(self, images: float) -> Iterator[tuple[Phase, float]]:
        """The phases of a training of so many images, each with its share; a fade is taken in its middle."""
        begin = 0.0
        for level in range(self.top, -1, -1):
            stable_end = begin + self.stable if level else images
            for end, lod in ((stable_end, level), (stable_end + self.fade, level - 0.5)):
                end = min(end, images)
                if end > begin:
                    yield Phase.of(lod, self.size), (end - begin) / images
                    begin = end

    def resolutions(self) -> list[int]:
        return [self.first << k for k in range(self.top + 1)]

    def _look(self, images_seen: int) -> tuple[int, int]:
        """When the schedule was last looked at for the iteration that begins at `images_seen`, and when before."""
        starts = [start for start, _ in self._runs]
        i = bisect_right(starts, images_seen) - 1
        start, block = self._runs[i]
        now = start + (images_seen - start) // block * block
        return now, max(now - (block if now > start else self._runs[i - 1][1]), 0)

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        """For each resolution: the images at its first iteration, and those between two looks at the schedule."""
        start, runs = 0, []
        while True:
            resolution = self._resolution(start)
            block = self.interval * at_resolution(self.batch, resolution)
            runs.append((start, block))
            if resolution == self.size:
                return runs
            risen = (resolution // self.first).bit_length() - 1
            kept = risen * (self.stable + self.fade) + self.stable  # images up to which the resolution stays
            start += max(int((kept - start) // block), 1) * block
            while self._resolution(start) == resolution:
                start += block

    def _resolution(self, images: int) -> int:
        return Phase.of(self.lod(images), self.size).resolution


def shown(real_NCHW: Tensor, phase: Phase) -> Tensor:
    """Full-size real images as the discriminator sees them in a phase: means of squares of pixels, in 256 grey levels
    as the original stores them, and blurred as far as the fade of the generator is."""
    if phase.enlarged > 1:
        grey_NCHW = ((real_NCHW + 1) * 127.5).round()  # whole numbers, whose means are exact
        while grey_NCHW.shape[3] > phase.resolution:
            grey_NCHW = halve(grey_NCHW)
        real_NCHW = grey_NCHW.round() / 127.5 - 1
    return real_NCHW.lerp(double(halve(real_NCHW)), phase.old) if phase.old else real_NCHW


def full_size(image_NCHW: Tensor, size: int) -> Tensor:
    """Every pixel as a square of equal ones."""
    factor = size // image_NCHW.shape[3]
    return F.interpolate(image_NCHW, scale_factor=factor) if factor > 1 else image_NCHW
