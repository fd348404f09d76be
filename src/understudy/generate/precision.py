"""Which layers of a GAN compute in which type, and which products of fp32 use TensorFloat-32."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from understudy.run.machine import tensor_float_32

REDUCED_RESOLUTIONS = 4  # that many, the highest ones, compute in reduced precision
CLAMP = 256.0  # of activations, where anything is in reduced precision
REDUCED = {"fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def type_of_maps(reduced: torch.dtype | None, full: Tensor) -> torch.dtype:
    """What a layer computes in: the reduced type; without one, or in fp16 on a CPU (slow there), that of `full`."""
    slow = reduced == torch.float16 and full.device.type == "cpu"
    return full.dtype if reduced is None or slow else reduced


class Precision(NamedTuple):
    """Which resolutions compute in which type, and what activations are clamped to."""

    reduced: torch.dtype | None
    lowest: int  # resolution from which on the reduced type applies
    clamp: float | None

    @classmethod
    def of(cls, name: str, size: int) -> "Precision":
        lowest = max(size >> (REDUCED_RESOLUTIONS - 1), 8)
        return cls(REDUCED[name], lowest, CLAMP if REDUCED[name] else None)

    @property
    def clamp_of_fp16(self) -> float | None:
        """Where only what would overflow is limited."""
        return self.clamp if self.reduced == torch.float16 else None

    def at(self, resolution: int, full: Tensor) -> torch.dtype:
        """The type of a resolution: where it is not reduced, that of `full`."""
        return type_of_maps(self.reduced if resolution >= self.lowest else None, full)


def own_products(method):
    """A method of a generator, during which products of fp32 are as its options say: TensorFloat-32 has the range of
    fp32 and 10 bits of mantissa, and a GPU's tensor cores take it."""

    @functools.wraps(method)
    def within(self, *args, **kwargs):
        o = self.options
        with tensor_float_32("tf32" in (o.precision, getattr(o, "fp32_layers", None))):
            return method(self, *args, **kwargs)

    return within
