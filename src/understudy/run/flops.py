"""Counting floating point operations without doing them: on the meta device, which has shapes and no numbers."""

from collections.abc import Callable, Iterable

import torch
from torch import Tag, Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class _Counter(TorchDispatchMode):
    """Adds up what torch's table of FLOPs says of each operation. (FlopCounterMode also keeps track of modules, at
    three times the cost, and fails where a view of a parameter is an input of a module.)

    On the meta device an operation is Python's work, a fraction of a millisecond, and a training step asks for the same
    few hundred thousands of times. Its result and its FLOPs are a function of the shapes that it is given, so that each
    is asked for once (`_SEEN`), and later its result is only allocated."""

    total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and to say so to the compiler would import it, which takes a second or two."""
        return False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function.is_view or Tag.inplace_view in function.tags:  # shares memory with what it is given, and is fast
            return function(*args, **kwargs)
        key = function, _facts(args), _facts(tuple(kwargs.items()))
        if (seen := _SEEN.get(key)) is None:
            result = function(*args, **kwargs)
            formula = flop_registry.get(function._overloadpacket)
            seen = formula(*args, **kwargs, out_val=result) if formula else 0, _recipe(function, result, args)
            if seen[1] is None:
                self.total += seen[0]
                return result
            _SEEN[key] = seen
        self.total += seen[0]
        return _made(seen[1], args)


_SEEN: dict[tuple, tuple[int, object]] = {}  # operation on the meta device, arguments -> FLOPs, recipe of the result
_FIRST = "the first argument, changed in place"


def _facts(value: object) -> object:
    """All that the shape of a result can depend on."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, list | tuple):
        return tuple(map(_facts, value))
    return type(value), value  # 1 and 1.0 are equal, and make other types of results


def _recipe(function: OpOverload, result: object, args: tuple) -> object:
    """How to make such a result again: shape, strides and type; None where it is more than these."""
    if isinstance(result, Tensor) and result.device.type == "meta":
        if args and result is args[0]:
            return _FIRST
        return None if function._schema.is_mutable else (result.shape, result.stride(), result.dtype)
    if isinstance(result, list | tuple) and result and not function._schema.is_mutable:
        parts = [_recipe(function, part, ()) for part in result]
        return None if None in parts else parts
    return None


def _made(recipe: object, args: tuple) -> object:
    if recipe is _FIRST:
        return args[0]
    if isinstance(recipe, list):
        return tuple(_made(part, args) for part in recipe)
    shape, strides, dtype = recipe
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def count_flops(function: Callable[[], object]) -> int:
    """FLOPs of convolutions and matrix products, those of backward passes too. Everything else is not counted: it is
    limited by memory, and part of what keeps a GPU from its peak."""
    with _Counter() as counter:
        function()
    return counter.total


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
