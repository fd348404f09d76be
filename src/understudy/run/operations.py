"""Counting kernels, the bytes that they move, and the peak of tensors, on the meta device: shapes and no numbers.

A GPU spends most of a training iteration on moving bytes and on starting kernels, and both can be counted where there
is no GPU. The rules are simple, the same for every model, and a real GPU does at least as much:

- An operation of ATen is one kernel, but for views and memory that is only reserved, which are none.
- A kernel reads each of its inputs once and writes each of its outputs once. What is expanded counts as what is stored.
- A backward convolution is one operation of two kernels at least, and counts as one.
- Operations of our own (`understudy::`) are one Triton kernel each: on the meta device the networks take the path of a
  GPU. Those that sum over maps with channels last start a second one, for sums of chunks, which is small.
- A norm is one kernel, too, that reads its maps once, PyTorch's or our own. Both start a few and look at the maps
  twice, for sums and for values; what is not in the cache the second time is read again.
- A kernel that reads or writes maps of 16 bits in two layouts, planes and channels last, turns maps: so do a copy from
  one to the other, and a convolution, inside, of maps and weights in different ones. A change of type may turn them.
- An optimizer's step is one kernel that reads parameters, gradients and moments, and writes parameters and moments.
"""

import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "addmm_", "baddbmm_", "convolution", "convolution_backward"}
NO_KERNEL = {"empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "_unsafe_view", "lift_fresh"}
MADE = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"}  # of tensors that they don't read
LAYOUTS = (torch.contiguous_format, torch.channels_last)
OF_WEIGHTS = {"prepare", "prepare_backward", "shifts"}  # write them in the layout of the maps
ONLY_WRITTEN = {"copy_", "fill_", "zero_", "normal_", "uniform_", "random_"}  # what they write they don't read


@dataclass
class Operations:
    """Of one run, or the sum of several; bytes by kind: pointwise (reductions, too), fir, products, optimizer."""

    kernels: float = 0
    bytes: Counter = field(default_factory=Counter)
    peak_bytes: int = 0  # of tensors that were made meanwhile, at once
    turning: float = 0  # kernels that turn maps of 16 bits
    by_name: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))  # kernels, bytes

    def add(self, other: "Operations", weight: float = 1) -> None:
        """What `other` did, `weight` times an iteration."""
        self.kernels += weight * other.kernels
        self.turning += weight * other.turning
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        for kind, count in other.bytes.items():
            self.bytes[kind] += weight * count
        for name, counts in other.by_name.items():
            self.by_name[name] = [a + weight * b for a, b in zip(self.by_name[name], counts, strict=True)]

    def note(self, name: str, kind: str, moved: int) -> None:
        self.kernels += 1
        self.bytes[kind] += moved
        self.by_name[name][0] += 1
        self.by_name[name][1] += moved


class _Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen, self.live, self.now = Operations(), {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if _name(function) in ("convolution", "convolution_backward"):
            result = _as_on_a_gpu(result, args[:3])
        moved = bytes_moved(function, args, kwargs or {}, result)
        if moved is not None:
            name = _name(function)
            self.seen.note(name, _kind(function, name, args), moved)
            self.seen.turning += turns_maps(name, [args, kwargs or {}, result])
        for tensor in _tensors(result):
            self._follow(tensor)
        return result

    def _follow(self, tensor: Tensor) -> None:
        """Adds a tensor's memory to what is there, until it is freed."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.live:
            return

        def freed(_, key=key):
            self.now -= self.live.pop(key)[1]

        self.live[key] = (weakref.ref(storage, freed), storage.nbytes())
        self.now += storage.nbytes()
        self.seen.peak_bytes = max(self.seen.peak_bytes, self.now)


def count_operations(function: Callable[[], object], optimizers: Iterable[torch.optim.Optimizer] = ()) -> Operations:
    """What `function` does on the meta device; a step of one of the optimizers counts as one kernel."""
    optimizers = list(optimizers)
    with _Recorder() as recorder:
        for optimizer in optimizers:
            optimizer.step = lambda o=optimizer: recorder.seen.note("optimizer", "optimizer", optimizer_bytes(o))
        try:
            function()
        finally:
            for optimizer in optimizers:
                del optimizer.step
    return recorder.seen


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Adam's: parameter, gradient, two moments are read, all but the gradient are written."""
    return 7 * sum(_bytes(p) for group in optimizer.param_groups for p in group["params"] if p.grad is not None)


def bytes_moved(function, args, kwargs, result) -> int | None:
    """By an operation's kernel; None: it has none."""
    name = _name(function)
    if _is_view(function) or name in NO_KERNEL:
        return None
    return _moved(function, name, args, kwargs, result)


def _as_on_a_gpu(result, read):
    """What a convolution, or its gradient, gives, in the layout that cuDNN gives it, channels last if anything is that
    it reads; the meta device forgets this in a transposed one."""
    if not any(t.ndim == 4 and _layout(t) == torch.channels_last for t in _tensors(read)):
        return result
    last = torch.channels_last
    return tree_map(lambda t: t.contiguous(memory_format=last) if isinstance(t, Tensor) and t.ndim == 4 else t, result)


def turns_maps(name: str, values) -> bool:
    """Whether the maps of 16 bits that an operation reads and writes are in two layouts; of a convolution, also if its
    weights are in another one or something lies in neither. Weights alone do not count, as they are small."""
    maps = [t for t in _tensors(values) if t.ndim == 4 and t.element_size() == 2 and 0 not in t.stride()]
    layouts = {_layout(t) for t in maps}
    odd = name.startswith("convolution") and "neither" in layouts
    return name not in OF_WEIGHTS and (odd or layouts >= set(LAYOUTS))


def _layout(t: Tensor) -> torch.memory_format | str:
    """Both where a shape makes them the same."""
    found = [layout for layout in LAYOUTS if t.is_contiguous(memory_format=layout)]
    return "both" if len(found) == 2 else found[0] if found else "neither"


def _name(function) -> str:
    return function._schema.name.split("::")[1]


def _is_view(function) -> bool:
    returned = [r.alias_info for r in function._schema.returns]
    return bool(returned) and all(a is not None and not a.is_write for a in returned)


def _kind(function, name: str, args) -> str:
    if name.startswith("convolution"):
        w_OIKK, groups = (args[1], args[8]) if name == "convolution" else (args[2], args[9])
        return "fir" if groups > 1 and w_OIKK.shape[1] == 1 else "products"  # depthwise
    if name in PRODUCTS:
        return "products"
    return "fir" if name == "fir" else "pointwise"


def _moved(function, name: str, args, kwargs, result) -> int:
    arguments = function._schema.arguments
    given = [(a, args[i] if i < len(args) else kwargs.get(a.name)) for i, a in enumerate(arguments)]
    written = [v for a, v in given if a.alias_info is not None and a.alias_info.is_write]
    overwritten = name in ONLY_WRITTEN or (name in ("addmm_", "baddbmm_") and kwargs.get("beta") == 0)
    unread = written if overwritten else []
    read = [v for _, v in given if name not in MADE and not any(v is w for w in unread)]
    own = {id(t) for t in _tensors(read)}
    total = sum(_bytes(t) for t in _tensors(read))
    if written:
        return total + sum(_bytes(t) for t in _tensors(written))
    return total + sum(_bytes(t) for t in _tensors(result) if id(t) not in own)


def _bytes(t: Tensor) -> int:
    """Of what is stored: an expanded axis counts once."""
    count = t.element_size()
    for size, stride in zip(t.shape, t.stride(), strict=True):
        count *= size if stride else min(size, 1)
    return count


def _tensors(values) -> list[Tensor]:
    return [v for v in tree_leaves(values) if isinstance(v, Tensor)]
