"""Counting floating point operations, the bytes that kernels move, and kernels, without doing them: on the meta device,
which has shapes and no numbers. What counts as a kernel and as moved, operations.py says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tag, Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .operations import bytes_moved, optimizer_bytes


@dataclass(frozen=True)
class Work:
    """What is asked of a device: FLOPs of convolutions and matrix products, those of backward passes too; bytes that
    kernels read and write; kernels."""

    flops: float = 0
    bytes: float = 0
    kernels: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.flops + other.flops, self.bytes + other.bytes, self.kernels + other.kernels)

    def __mul__(self, factor: float) -> "Work":
        return Work(factor * self.flops, factor * self.bytes, factor * self.kernels)

    def halved(self) -> "Work":
        """Counted in fp32, where maps would be of 16 bits."""
        return Work(self.flops, self.bytes / 2, self.kernels)

    def __truediv__(self, divisor: float) -> "Work":
        return self * (1 / divisor)


class _Counter(TorchDispatchMode):
    """Adds up what torch's table of FLOPs and operations.py say of each operation. (FlopCounterMode also keeps track of
    modules, at three times the cost, and fails where a view of a parameter is an input of a module.)

    On the meta device an operation is Python's work, a fraction of a millisecond, and a training step asks for the same
    few hundred thousands of times. Its result and what it counts are functions of the shapes that it is given, so that
    each is asked for once (`_SEEN`), and later its result is only allocated."""

    active: "_Counter | None" = None

    def __init__(self):
        super().__init__()
        self.total = [0, 0, 0]  # of Work

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
            moved = bytes_moved(function, args, kwargs, result)
            counts = _flops(function, args, kwargs, result), moved or 0, moved is not None
            seen = counts, _recipe(function, result, args)
            if seen[1] is None:
                self.add(seen[0])
                return result
            _SEEN[key] = seen
        self.add(seen[0])
        return _made(seen[1], args)

    def add(self, counts: tuple[int, int, int]) -> None:
        for i, count in enumerate(counts):
            self.total[i] += count


_SEEN: dict[tuple, tuple[tuple[int, int, int], object]] = {}  # operation, arguments -> counts, recipe of the result
_FIRST = "the first argument, changed in place"


def _flops(function: OpOverload, args: tuple, kwargs: dict, result: object) -> int:
    """By torch's table, which counts the gradient of a grouped convolution's weights as if all maps were one group."""
    formula = flop_registry.get(function._overloadpacket)
    if formula is None:
        return 0
    flops = formula(*args, **kwargs, out_val=result)
    if function is torch.ops.aten.convolution_backward.default:
        groups, (_, by_weights, _) = args[9:11]
        alone = formula(*args[:10], (False, by_weights, False), out_val=result)
        flops -= alone - alone // groups
    return flops


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


def count_work(function: Callable[[], object]) -> Work:
    """Of a run of the function. An optimizer's step counts where `counts_steps` said so."""
    with _Counter() as counter:
        before, _Counter.active = _Counter.active, counter
        try:
            function()
        finally:
            _Counter.active = before
    return Work(*counter.total)


def count_flops(function: Callable[[], object]) -> int:
    return count_work(function).flops


def counts_steps(optimizer: torch.optim.Optimizer) -> None:
    """A step of it is one kernel from now on, and a count alone: on the meta device it would be a third of all
    operations."""

    def step() -> None:
        if _Counter.active:
            _Counter.active.add((0, optimizer_bytes(optimizer), 1))

    optimizer.step = step


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
