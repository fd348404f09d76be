"""The random numbers for the augmentation of a batch, drawn on the host, so that nothing waits for the device."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.special import ndtri

from understudy.run.counter_random import uniform


class Draws:
    """Uniform numbers by name, `counts` of each for every image: functions of the seed and of the image's place in the
    training."""

    def __init__(self, seed: int, places: np.ndarray, counts: Mapping[str, int]):
        self.places = np.asarray(places, np.int64)
        numbers_NK = uniform(seed, "augmentation", torch.from_numpy(self.places), sum(counts.values())).numpy()
        ends = np.cumsum(list(counts.values()))
        self.numbers = dict(zip(counts, np.split(numbers_NK.astype(np.float64), ends[:-1], axis=1), strict=True))

    def __getitem__(self, images: slice) -> "Draws":
        part = object.__new__(Draws)
        part.places, part.numbers = self.places[images], {name: x[images] for name, x in self.numbers.items()}
        return part

    def between(self, name: str, low: float, high: float) -> np.ndarray:
        """(N, count)"""
        return low + (high - low) * self.numbers[name]

    def normal(self, name: str, sd: float) -> np.ndarray:
        """(N, count)"""
        return sd * ndtri(self.numbers[name] + 2.0**-25)  # the middle of each step of 2^-24

    def below(self, name: str, probability: float) -> np.ndarray:
        """bool (N, count)"""
        return self.numbers[name] < probability

    def happens(self, name: str, probability: float) -> np.ndarray:
        """bool (N,), of a single number"""
        return self.below(name, probability)[:, 0]
