"""Searches that are too long for one attempt. The results of some queries are a part (run/parts.py)."""

import argparse
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from understudy.files.atomic import hash_of
from understudy.files.json_forms import Open
from understudy.run import distributed
from understudy.run.parts import Turn, finish
from understudy.stack import tensors

from .search import NONE, Found, Images, search, sizes
from .views import VARIANTS, View

_SHARE = 0.6  # of the memory that a search may take; the rest is for decoding and for what torch needs itself


@dataclass(frozen=True)
class Task:
    """One search. `apart`: references of a query's own subject do not count."""

    queries: Images
    references: Images
    view: View
    variants: str = "none"  # a name in views.VARIANTS
    k: int = 1
    apart: bool = False

    @property
    def key(self) -> str:
        """Names the folder of its parts."""
        how = {"view": self.view.name, "variants": self.variants, "k": self.k, "apart": self.apart}
        return hash_of({"queries": self.queries.key, "references": self.references.key, **how})

    def missing(self, runs: Path) -> list[range]:
        """Runs of queries that no part holds."""
        held, left, start = sorted(_parts(runs / self.key)), [], 0
        for first, stop, _ in held:
            if first > start:
                left.append(range(start, first))
            start = max(start, stop)
        return left + [range(start, self.queries.count)] * (start < self.queries.count)

    def search(self, places: range, device: torch.device, block: int) -> Found:
        x_NCHW = self.queries.read(places)
        if self.apart:
            return self._searched(x_NCHW, self.queries.group[places.start : places.stop], device, block)
        # a generator that has collapsed draws one image again and again, or nothing
        first_U, which_N = distinct(x_NCHW)
        found = self._searched(x_NCHW[first_U], None, device, block)
        known_G = found.group_query != NONE
        return replace(found.rows(which_N), group_query=np.where(known_G, first_U[found.group_query], NONE))

    def _searched(self, x_NCHW: np.ndarray, own_N: np.ndarray | None, device: torch.device, block: int) -> Found:
        kinds = VARIANTS[self.variants]
        how = {"kinds": kinds, "own_N": own_N, "device": device, "block": block}
        return search(self.view, x_NCHW, self.references, k=self.k, **how)

    def result(self, runs: Path) -> Found:
        """Of all queries; all parts must be there."""
        parts = sorted(_parts(runs / self.key))
        assert not self.missing(runs), self.key
        return Found.joined([_read(path) for _, _, path in parts])


def distinct(x_NCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places of the first of equal images (U,), ascending; which of these each image is (N,))."""
    number: dict[bytes, int] = {}
    which_N = np.array([number.setdefault(hashlib.sha256(x_CHW).digest(), len(number)) for x_CHW in x_NCHW])
    return np.unique(which_N, return_index=True)[1], which_N


class Searches:
    """Several tasks, as one work of run.parts."""

    def __init__(self, tasks: Mapping[str, Task], runs: Path, memory_bytes: float):
        self.tasks, self.memory_bytes = tasks, memory_bytes
        self.folder = runs / hash_of(sorted(task.key for task in tasks.values()))
        self.count = sum(task.queries.count for task in tasks.values())

    def begin(self) -> None:
        for task in self.tasks.values():
            _set_damaged_aside(self.folder / task.key)

    def missing(self) -> int:
        return sum(len(places) for task in self.tasks.values() for places in task.missing(self.folder))

    def make_share(self, device: torch.device, turn: Turn) -> None:
        memory_bytes, item, took = self.memory_bytes, 4, 0.0
        if device.type == "cuda":
            memory_bytes, item = min(memory_bytes, torch.cuda.mem_get_info(device)[0]), 2
        for task, places, block in list(self._shares(memory_bytes * _SHARE, item)):
            if turn.stops(took):
                return
            begun = time.time()
            _write(self.folder / task.key, places, task.search(places, device, block))
            took = time.time() - begun
            turn.made(len(places))

    def _shares(self, memory_bytes: float, item: int) -> Iterator[tuple[Task, range, int]]:
        """(task, queries, references at once) of this process. `item`: bytes of a number."""
        place = 0
        for task in self.tasks.values():
            kinds = len(VARIANTS[task.variants])
            queries, block = sizes(task.view, task.queries.shape, kinds, memory_bytes, item)
            for missing in task.missing(self.folder):
                for start in range(missing.start, missing.stop, queries):
                    if place % distributed.world_size() == distributed.rank():
                        yield task, range(start, min(start + queries, missing.stop)), block
                    place += 1

    def found(self) -> dict[str, Found]:
        return {name: task.result(self.folder) for name, task in self.tasks.items()}


def search_all(tasks: Mapping[str, Task], args: argparse.Namespace) -> dict[str, Found]:
    """What each task found. `args`: those of machine.add_machine_arguments, and memory_mb."""
    searches = Searches(tasks, args.runs, args.memory_mb * 1e6)
    return finish(searches, args, searches.found)


def _parts(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """(first query, end, file)."""
    for path in folder.glob("part-*-*.safetensors"):
        _, first, stop = path.stem.split("-")
        yield int(first), int(stop), path


def _write(folder: Path, places: range, found: Found) -> None:
    tensors.write_arrays(folder / f"part-{places.start:09d}-{places.stop:09d}.safetensors", asdict(found), {})


def _read(path: Path) -> Found:
    arrays, _ = tensors.read_arrays(path, Open, "a part of a search")
    return Found.of_arrays(arrays, str(path))


def _set_damaged_aside(folder: Path) -> None:
    for first, stop, path in _parts(folder):
        try:
            sound = len(_read(path).index) == stop - first
        except ValueError:
            sound = False
        if not sound:
            print(f"damaged part {path}: its queries are searched again", flush=True)
            path.rename(path.with_suffix(".damaged"))
