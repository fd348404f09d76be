"""Counting floating point operations without doing them: on the meta device, which has shapes and no numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Demand:
    """What a model asks for, counted and not measured. FLOPs are of one image; a multiply-add is two."""

    training_flops: float  # forward, backward and everything else of the network, on average over the training
    inference_flops: float  # a generator: of a sample; a segmenter: of a prediction
    weights_bytes: int  # published
    checkpoint_bytes: int


class _Counter(TorchDispatchMode):
    """Adds up what torch's table of FLOPs says of each operation. (FlopCounterMode also keeps track of modules, at
    three times the cost, and fails where a view of a parameter is an input of a module.)"""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if formula := flop_registry.get(function._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def count_flops(function: Callable[[], object]) -> int:
    """FLOPs of convolutions and matrix products, those of backward passes too. Everything else is not counted: it is
    limited by memory, and part of what keeps a GPU from its peak."""
    with _Counter() as counter:
        function()
    return counter.total


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
