"""A network is built from what a file says, and the file may lie: no more is allocated than the file itself holds.

While a `Budget` is active, every operation of PyTorch is first asked on the meta device how large its result would be.
So options such as a width of 10^9 end in a ValueError, and not in all of the memory or in hours.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_leaves, tree_map

_SPARE = 2**22  # numbers that may always be made: tables of positions, filters
_TIMES = 4  # initial values are drawn in float64, shuffled, cut
_OPERATIONS = 40  # a tensor of a file may take so many: initial values, copies
_MOST_TENSORS = 5_000  # of a file: four times those of the largest network here


class Budget(TorchDispatchMode):
    """Within it, building may make `numbers` (times a small factor) and no more. Raises ValueError."""

    def __init__(self, numbers: int, tensors: int):
        super().__init__()
        self.left = _TIMES * numbers + _SPARE
        self.most = self.left
        self.operations = _OPERATIONS * (min(tensors, _MOST_TENSORS) + 50)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.operations -= 1
        told = _on_meta(func, args, kwargs)
        if told is not _UNKNOWN:
            self._count(told, args, kwargs)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        self._count(result, args, kwargs)
        return result

    def _count(self, result: object, args: tuple, kwargs: dict) -> None:
        size = sum(value.numel() for value in tree_leaves(result) if isinstance(value, torch.Tensor))
        if not tree_any(lambda value: isinstance(value, torch.Tensor), (args, kwargs)):
            self.left -= size  # made from nothing: these stay
        if size > self.most or self.left < 0 or self.operations < 0:
            raise ValueError("options of a larger network than the weights are of")


_UNKNOWN = object()


def _on_meta(func, args: tuple, kwargs: dict) -> object:
    """The result on the meta device. _UNKNOWN where values decide what it is (a single one that is read, a mask): such
    a result is counted when it is there."""

    def on_meta(value: object) -> object:
        if isinstance(value, torch.Tensor):
            return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
        return torch.device("meta") if isinstance(value, torch.device) else value

    if func in _VALUES:
        return _UNKNOWN
    args, kwargs = tree_map(on_meta, (args, kwargs))
    if "device" in {argument.name for argument in func._schema.arguments}:
        kwargs = {**kwargs, "device": torch.device("meta")}
    try:
        return func(*args, **kwargs)
    except (NotImplementedError, RuntimeError):  # what the meta device raises where it has no form of an operation
        return _UNKNOWN


_VALUES = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default, torch.ops.aten.nonzero.default}
