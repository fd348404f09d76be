"""Operations `torch.ops.understudy.*` of Triton kernels: how one is defined, and whether a tensor goes there.

On the meta device an operation gives the shapes of its results, so that it can be counted and traced without a GPU.
The interpreter of Triton runs the kernels on a CPU (TRITON_INTERPRET=1 before anything imports Triton).
"""

import functools
import importlib.util
import os

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("understudy", "DEF")


@functools.cache
def _available() -> bool:
    """Whether Triton is there. Says so once where it is not, as a GPU is then slower than it could be."""
    found = importlib.util.find_spec("triton") is not None
    if not found:
        print("without fused kernels, so slower: they need the package triton, and found none", flush=True)
    return found


def fused(x: Tensor) -> bool:
    """Whether the kernels take this tensor: on a GPU, and on the meta device, which stands for one."""
    if x.dtype == torch.float64:
        return False
    return x.device.type == "meta" or (x.device.type == "cuda" and _available())


def define(schema: str, fake, launch, on_cpu: bool = False) -> None:
    """An operation whose result `fake` allocates and `launch` computes; a CPU has it if `on_cpu` or interpreting."""
    name = schema.split("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, launch, "CUDA")
    _LIBRARY.impl(name, fake, "Meta")
    if on_cpu or os.environ.get("TRITON_INTERPRET") == "1":
        _LIBRARY.impl(name, launch, "CPU")


def differentiate(schema: str, backward, setup_context) -> None:
    """Gives an operation its gradient."""
    name = "understudy::" + schema.split("(")[0]
    torch.library.register_autograd(name, backward, setup_context=setup_context, lib=_LIBRARY)
