"""Long work in parts: each lies in the work's run directory whole, or not there.

A part is some images of a sampling, or what some queries of a search have found. How the work was divided (attempts,
GPUs, memory) cannot be seen in what the parts hold together. A training has a state in place of parts:
training_loop.py.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from . import distributed, machine
from .attempts import Attempt, attempt
from .lock import only_writer
from .progress import Progress, seconds_so_far
from .stop import Limits, Stop, leave, reason_of, stopping

Result = TypeVar("Result")


class Work(Protocol):
    folder: Path  # its run directory
    count: int  # of images, in all

    def begin(self) -> None:
        """In the one process that has the run directory: names damaged parts and sets them aside."""

    def missing(self) -> int:
        """How many images are in no part."""

    def make_share(self, device: torch.device, turn: "Turn") -> None:
        """Makes this process's share of what is missing, part by part, until `turn.stops`."""


class Turn:
    """One process's time at the work: when to stop, and how far it is. `reason` says why it ended."""

    def __init__(self, work: Work, stop: Stop):
        self.work, self.stop, self.reason = work, stop, "finished"
        self.seen = work.count - work.missing()
        self.progress = Progress(work.folder, work.count, self.seen, seconds_so_far(work.folder))

    def stops(self, seconds: float) -> bool:
        """Whether the work ends before a part that takes so long."""
        self.reason = self.stop.reason(seconds) or self.reason
        return self.reason != "finished"

    def made(self, images: int) -> None:
        """Tells of a part; the other processes are about as far."""
        self.seen = min(self.seen + images * distributed.world_size(), self.work.count)
        if distributed.rank() == 0 and (self.progress.due() or self.seen == self.work.count):
            self.progress.line(self.seen)


def finish(work: Work, args: argparse.Namespace, result: Callable[[], Result | None]) -> Result:
    """Makes what is missing, in this process or in one for each GPU, and returns result().

    Where the time budget is used up, a signal came, or another process wants to go on, the process ends here, and the
    same command goes on. torchrun's processes end here, too.

    Args:
        args: those of machine.add_machine_arguments.
        result: None where a part turned out to be damaged: it is set aside, and made again.
    Raises ValueError as run.training_loop.train does.
    """
    limits = machine.limits(args)
    if distributed.is_child():
        if (reason := make_share(work, machine.use_device(args.device, args.threads), limits)) != "finished":
            leave(reason, args.on_budget)
        raise SystemExit(0)

    def make() -> str:
        codes = machine.spread(args)
        if codes is not None:
            return reason_of(codes)
        return make_share(work, machine.use_device(args.device, args.threads), limits)

    reason, found = alone(work, limits, make, result)
    if reason != "finished":
        leave(reason, args.on_budget)
    return found


def alone(
    work: Work, limits: Limits, make: Callable[[], str], result: Callable[[], Result | None]
) -> tuple[str, Result | None]:
    """(why it ended, result()), as the only process at this work, with its children. `make` makes what is missing and
    returns why it ended. An attempt is written down where anything is missing."""
    patience = {"silent_seconds": limits.silent_seconds, "patience_seconds": limits.patience_seconds}
    with only_writer(work.folder, **patience) as lock, ExitStack() as stack:
        for half in work.folder.rglob(".*.tmp"):  # of a kill
            half.unlink()
        work.begin()
        now, found = Attempt(work.count - work.missing(), "finished"), None
        if now.images_seen < work.count:
            now = stack.enter_context(attempt(work.folder, now.images_seen, enough=limits.attempts))
        while found is None:
            if work.missing():
                now.reason = make()
                now.images_seen = work.count - work.missing()
                if now.reason != "finished":
                    break
                assert now.images_seen == work.count, work.folder
            found = result()
        lock.check()
        now.reason = now.reason if found is None else "finished"
    return now.reason, found


def make_share(work: Work, device: torch.device, limits: Limits) -> str:
    """This process's share of what is missing. Returns why it ended: finished, budget, signal, asked."""
    with stopping(limits, (work.folder / "leave").exists) as stop:
        turn = Turn(work, stop)
        try:
            work.make_share(device, turn)
        finally:
            turn.progress.close()
    return turn.reason
