"""Searches that are too long for one attempt: their parts lie in a run directory, each whole or not there.

A part is what some queries, one after the other, found. How the work was divided (memory, GPUs, interruptions) cannot
be seen in the result.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from understudy.core import distributed, machine, tensors
from understudy.core.attempts import Attempt, attempt
from understudy.core.files import hash_of
from understudy.core.forms import Open
from understudy.core.lock import only_writer
from understudy.core.machine import Limits, stop_signals
from understudy.core.progress import Progress, seconds_so_far

from .search import Found, Images, search, sizes
from .shifts import CANDIDATES, reach_of, registered
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
    shifts: int = 0  # pixels of 256 that a candidate may be moved by

    @property
    def key(self) -> str:
        """Names the folder of its parts."""
        how = {"view": self.view.name, "variants": self.variants, "k": self.k, "apart": self.apart}
        how |= {"shifts": self.shifts} if self.shifts else {}
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
        x_NCHW, kinds = self.queries.read(places), VARIANTS[self.variants]
        reach = reach_of(self.view, x_NCHW.shape[3], self.shifts)
        own_N = self.queries.group[places.start : places.stop] if self.apart else None
        how = {"kinds": kinds, "own_N": own_N, "device": device, "block": block}
        if not reach:
            return search(self.view, x_NCHW, self.references, k=self.k, **how)
        many = min(max(self.k, CANDIDATES), self.references.count)
        found = search(self.view, x_NCHW, self.references, k=many, **how)
        return registered(found, self.view, x_NCHW, self.references, kinds, reach, self.k, device)

    def result(self, runs: Path) -> Found:
        """Of all queries; all parts must be there."""
        parts = sorted(_parts(runs / self.key))
        assert not self.missing(runs), self.key
        return Found.joined([_read(path) for _, _, path in parts])


def run_folder(tasks: Iterable[Task], runs: Path) -> Path:
    """The run directory of these searches."""
    return runs / hash_of(sorted(task.key for task in tasks))


def remaining(tasks: Sequence[Task], runs: Path) -> int:
    return sum(len(places) for task in tasks for places in task.missing(runs))


@contextmanager
def only_searcher(tasks: Sequence[Task], runs: Path, limits: Limits) -> Iterator[Attempt]:
    """Makes this process the only one that searches here (with its children); an attempt is written down where there is
    something to search. Parts that cannot be read are named and searched again."""
    with only_writer(runs, silent_seconds=limits.silent_seconds, patience_seconds=limits.patience_seconds) as lock:
        for half in runs.rglob(".*.tmp"):  # of a kill
            half.unlink()
        for task in tasks:
            _set_damaged_aside(runs / task.key)
        total, left = sum(task.queries.count for task in tasks), remaining(tasks, runs)
        now = Attempt(total - left)
        with ExitStack() as stack:
            if left:
                now = stack.enter_context(attempt(runs, total - left, enough=limits.attempts))
            yield now
            lock.check()


def search_all(tasks: Mapping[str, Task], args: argparse.Namespace) -> dict[str, Found] | None:
    """What each task found; None in torchrun's processes, whose parent reads it. `args`: those of
    machine.add_machine_arguments, and memory_mb. Leaves the process where the time budget is used up."""
    limits, folder = machine.limits(args), run_folder(tasks.values(), args.runs)
    if distributed.is_child():
        _leave_unfinished(_run_here(tasks, folder, args, limits), args)
        return None
    with only_searcher(list(tasks.values()), folder, limits) as now:
        if now.images_seen < sum(task.queries.count for task in tasks.values()):
            codes = machine.spread(args)
            now.reason = _run_here(tasks, folder, args, limits) if codes is None else machine.reason_of(codes)
        else:
            now.reason = "finished"
        left = remaining(list(tasks.values()), folder)
        now.images_seen = sum(task.queries.count for task in tasks.values()) - left
    _leave_unfinished(now.reason, args)
    return {name: task.result(folder) for name, task in tasks.items()}


def _run_here(tasks: Mapping[str, Task], folder: Path, args: argparse.Namespace, limits: Limits) -> str:
    device = machine.use_device(args.device, args.threads)
    memory_bytes = args.memory_mb * 1e6 * _SHARE
    if device.type == "cuda":
        memory_bytes = min(memory_bytes, torch.cuda.mem_get_info(device)[0] * _SHARE)
    return run_tasks(list(tasks.values()), folder, device, memory_bytes, limits)


def _leave_unfinished(reason: str, args: argparse.Namespace) -> None:
    if reason != "finished":
        machine.leave(reason, args.on_budget)


def run_tasks(tasks: Sequence[Task], runs: Path, device: torch.device, memory_bytes: float, limits: Limits) -> str:
    """Searches this process's share of what is missing. Returns why it ended: finished, budget, signal, asked."""
    total = sum(task.queries.count for task in tasks)
    seen = total - remaining(tasks, runs)
    progress, took = Progress(runs, total, seen, seconds_so_far(runs)), 0.0
    with stop_signals() as stopped:
        for task, places, block in list(_shares(tasks, runs, memory_bytes, 2 if device.type == "cuda" else 4)):
            reason = _why_stop(stopped, runs, took, limits)
            if reason:
                progress.close()
                return reason
            begun = time.time()
            _write(runs / task.key, places, task.search(places, device, block))
            took, seen = time.time() - begun, min(seen + len(places) * distributed.world_size(), total)
            if distributed.rank() == 0 and (progress.due() or seen == total):
                progress.line(seen)
    progress.close()
    return "finished"


def _shares(tasks: Sequence[Task], runs: Path, memory_bytes: float, item: int) -> Iterator[tuple[Task, range, int]]:
    """(task, queries, references at once) of this process."""
    place = 0
    for task in tasks:
        kinds = len(VARIANTS[task.variants])
        queries, block = sizes(task.view, task.queries.shape, kinds, memory_bytes, item)
        for missing in task.missing(runs):
            for start in range(missing.start, missing.stop, queries):
                if place % distributed.world_size() == distributed.rank():
                    yield task, range(start, min(start + queries, missing.stop)), block
                place += 1


def _why_stop(stopped: list[int], runs: Path, seconds: float, limits: Limits) -> str | None:
    if stopped:
        return "signal"
    if (runs / "leave").exists():
        return "asked"
    return "budget" if time.time() + seconds >= limits.deadline else None


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
