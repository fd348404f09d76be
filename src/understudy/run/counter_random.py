"""Random numbers of a whole batch on any device, each a function of seed, kind and place.

A torch.Generator for each image costs a launch for each image, and draws other numbers on a GPU than on a CPU. Here a
number is a hash of what it is for: the stream of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) that begins at a hash of (seed, kind, place). It needs integers alone, which wrap alike
everywhere: the bits are the same on every device, in every batch, in every process.
"""

import math

import torch
from torch import Tensor

from .seeds import seed_of

_GOLDEN, _FIRST, _SECOND = (x - (1 << 64) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def bits(seed: int, kind: str, places_N: Tensor, count: int) -> Tensor:
    """int64 (N, count) of 64 random bits, on the device of `places_N` (int64)."""
    start_N = _mixed((places_N * _GOLDEN).add_(seed_of(seed, kind)))
    return _mixed(start_N[:, None] + torch.arange(1, count + 1, device=places_N.device) * _GOLDEN)


def uniform(seed: int, kind: str, places_N: Tensor, count: int) -> Tensor:
    """float32 (N, count) in [0, 1), multiples of 2^-24."""
    return _words(seed, kind, places_N, count).float().mul_(2.0**-24).add_(0.5)


def normal(seed: int, kind: str, places_N: Tensor, count: int) -> Tensor:
    """float32 (N, count), standard normal, at most 5.5 from 0; between devices the last bits may differ."""
    middle = (
        _words(seed, kind, places_N, count).float().mul_(2.0**-23).add_(2.0**-24)
    )  # exact, symmetric, inside (-1, 1)
    return middle.erfinv_().mul_(math.sqrt(2))


def _words(seed: int, kind: str, places_N: Tensor, count: int) -> Tensor:
    """int32 (N, count), uniform in [-2^23, 2^23): as many values as float32 has in a step of 1."""
    return (bits(seed, kind, places_N, -(-count // 2)).view(torch.int32) >> 8)[:, :count]


def _mixed(x: Tensor) -> Tensor:
    """The output function of SplitMix64, in place."""
    shifted = torch.empty_like(x)
    for shift, factor in ((30, _FIRST), (27, _SECOND), (31, None)):
        torch.bitwise_right_shift(x, shift, out=shifted)
        x.bitwise_xor_(shifted.bitwise_and_((1 << (64 - shift)) - 1))  # zeros from the left: a sign is no sign here
        if factor is not None:
            x.mul_(factor)
    return x
