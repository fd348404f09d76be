"""Which layers of a GAN compute in which type and layout, and which products of fp32 use TensorFloat-32.

A tensor core's convolution of fp16 or bf16 wants channels last. Maps in planes would be turned before and after each
one, so maps of a reduced type are turned once, where they get this type, and all that follows keeps their layout.
"""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from understudy.run.machine import tensor_float_32

REDUCED_RESOLUTIONS = 4  # that many, the highest ones, compute in reduced precision
CLAMP = 256.0  # of activations, where anything is in reduced precision
REDUCED_LAYOUT = torch.channels_last  # of maps of a reduced type; all others are planes
REDUCED = {"fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def type_of_maps(reduced: torch.dtype | None, full: Tensor) -> torch.dtype:
    """What a layer computes in: the reduced type; without one, or in fp16 on a CPU (slow there), that of `full`."""
    slow = reduced == torch.float16 and full.device.type == "cpu"
    return full.dtype if reduced is None or slow else reduced


def cast(x_NCHW: Tensor, dtype: torch.dtype) -> Tensor:
    """x in the type, and where this changes it in the type's layout; its gradients in those of x. One kernel each."""
    return x_NCHW if x_NCHW.dtype == dtype else _Cast.apply(x_NCHW, dtype)


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor, dtype: torch.dtype) -> Tensor:
        reduced = dtype in (torch.float16, torch.bfloat16)
        return x_NCHW.to(dtype, memory_format=REDUCED_LAYOUT if reduced else torch.contiguous_format)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Cast.apply(g_NCHW, ctx.dtype), None


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

    def cast(self, x_NCHW: Tensor, resolution: int, full: Tensor) -> Tensor:
        """x in the type and layout of a resolution: where its type is not reduced, that of `full`."""
        return cast(x_NCHW, type_of_maps(self.reduced if resolution >= self.lowest else None, full))


def own_products(method):
    """A method of a generator, during which products of fp32 are as its options say: TensorFloat-32 has the range of
    fp32 and 10 bits of mantissa, and a GPU's tensor cores take it."""

    @functools.wraps(method)
    def within(self, *args, **kwargs):
        o = self.options
        with tensor_float_32("tf32" in (o.precision, getattr(o, "fp32_layers", None))):
            return method(self, *args, **kwargs)

    return within
