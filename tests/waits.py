"""Where a computation would wait for a GPU, seen without one: it runs on the meta device, which has no values.

Two modes of torch look at every call. What reads a value of the device (item, nonzero, a mask as an index) has to wait
for it; so has a copy from the host, unless its memory is pinned and it is asked not to block. Each is noted with the
line of this project that asked for it. On the meta device a read is then an error, which ends the computation.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_ROOTS = (str(Path(__file__).resolve().parents[1] / "src"), str(Path(__file__).resolve().parent))
_READS = {  # operators whose result, or its size, the host has to know
    "_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "unique_dim", "_unique", "_unique2",
    "unique_consecutive", "bincount", "histc",
}  # fmt: skip
_TO_HOST = {"item", "tolist", "cpu", "numpy", "__array__"}
_MADE_ON_HOST = (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy)


@dataclass
class Waits:
    found: list[str] = field(default_factory=list)  # "what: file:line function"
    pinned: set[int] = field(default_factory=set)
    kept: list[Tensor] = field(default_factory=list)  # so that no other tensor gets the number of a pinned one

    def note(self, what: str) -> None:
        own = [f for f in traceback.extract_stack() if f.filename.startswith(_ROOTS) and f.filename != __file__]
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}" if own else "?"
        self.found.append(f"{what}: {place}")


def _away(x: object) -> bool:
    return isinstance(x, Tensor) and x.device.type != "cpu"


def _on_host(x: object) -> bool:
    """What would be copied; a number, or a tensor of one without a dimension, is an argument of a kernel."""
    return isinstance(x, list | np.ndarray) or (isinstance(x, Tensor) and x.device.type == "cpu" and x.ndim > 0)


class _Calls(TorchFunctionMode):
    """What is asked for in Python: reads, tensors made of the host's values, indices that are the host's or a mask."""

    def __init__(self, waits: Waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        if name == "pin_memory":  # there is no pinned memory without a GPU: ordinary memory stands for it
            return self._pinned(args[0].clone())
        if kwargs.pop("pin_memory", False):
            return self._pinned(function(*args, **kwargs))
        if name in _TO_HOST and _away(args[0]):
            self.waits.note(name)
        if name in ("__getitem__", "__setitem__") and _away(args[0]):
            self._index(args[1])
        result = function(*args, **kwargs)
        if function in _MADE_ON_HOST and _away(result) and not _away(args[0]):
            self.waits.note(f"{name} of the host's values")
        return result

    def _pinned(self, x: Tensor) -> Tensor:
        self.waits.pinned.add(id(x))
        self.waits.kept.append(x)
        return x

    def _index(self, index: object) -> None:
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, Tensor) and part.dtype in (torch.bool, torch.uint8):
                self.waits.note("index by a mask")
            elif _on_host(part):
                self.waits.note("index of the host")


class _Operators(TorchDispatchMode):
    """What is done, by the library's own code and by backward passes as well."""

    def __init__(self, waits: Waits):
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, function._overloadpacket.__name__
        if name in _READS and any(map(_away, args)):
            self.waits.note(name)
        if function is torch.ops.aten.repeat_interleave.Tensor and kwargs.get("output_size") is None and _away(args[0]):
            self.waits.note("repeat_interleave without its size")
        if name in ("index", "index_put", "index_put_", "_index_put_impl_") and _away(args[0]):
            for part in args[1]:
                if part is not None and (part.dtype in (torch.bool, torch.uint8) or _on_host(part)):
                    self.waits.note(f"{name} by a mask or of the host")
        if name == "_to_copy" and torch.device(kwargs.get("device") or args[0].device).type != args[0].device.type:
            self._copy(args[0], kwargs.get("non_blocking", False))
        if name == "copy_" and args[0].device.type != args[1].device.type and args[1].ndim:
            self._copy(args[1], args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
        return function(*args, **kwargs)

    def _copy(self, source: Tensor, non_blocking: bool) -> None:
        if _away(source):
            self.waits.note("copy to the host")
        elif not (non_blocking and id(source) in self.waits.pinned):
            self.waits.note("blocking copy to the device")


@contextmanager
def watched() -> Iterator[Waits]:
    waits = Waits()
    with _Calls(waits), _Operators(waits):
        yield waits


def waits_of(function: Callable[[], object]) -> list[str]:
    """Where it waits, up to the first read of a value, which the meta device has none of."""
    with watched() as waits:
        try:
            function()
        except (RuntimeError, NotImplementedError):
            if not waits.found:
                raise
    return waits.found
