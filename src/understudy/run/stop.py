"""When long work stops before it is finished, and how its process leaves.

Signals do not reach a training under Snakemake's SLURM executor, so a script knows its own time: the budget is that of
the job, and it leaves before the end with exit code 75, or has SLURM start its job again.
"""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from . import distributed

REASONS = ("budget", "signal", "asked")  # asked: by another process, which goes on
EXIT_LATER = 75  # EX_TEMPFAIL, "try again later": not finished, the same command goes on; `retries` submit it anew
EXIT_ASKED = 76  # the same, of torchrun's processes: another job waits to go on, so this one must not come back
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@dataclass(frozen=True)
class Limits:
    """What bounds one attempt of a training, sampling or search."""

    deadline: float = math.inf  # Unix time at which it saves and leaves
    checkpoint_minutes: float = 30
    attempts: int = 5  # that may start at the same place before it is given up
    silent_seconds: float = 60  # after which the lock of another machine is dead
    patience_seconds: float = 600  # for another process to leave the run directory


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM, SIGUSR1 or SIGINT arrives. The handler does nothing else: saving inside a
    handler would save half an iteration."""
    received: list[int] = []
    before = {kind: signal.signal(kind, lambda number, _: received.append(number)) for kind in STOP_SIGNALS}
    try:
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextmanager
def default_signals() -> Iterator[None]:
    """Meanwhile the signals end this process, and the processes that others' code starts: these inherit the handlers,
    and who ends them by SIGTERM would wait for ever."""
    before = {kind: signal.signal(kind, signal.SIG_DFL) for kind in STOP_SIGNALS}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@dataclass(frozen=True)
class Stop:
    """Is asked before every iteration, and before every part of a sampling or search."""

    limits: Limits
    received: list[int]  # signals
    asked: Callable[[], bool]  # whether another process waits for this one to leave

    def reason(self, seconds: float = 0.0) -> str | None:
        """Why the work ends here, one of REASONS; None where there is time for a piece that takes so many seconds."""
        if self.received:
            return "signal"
        if self.asked():
            return "asked"
        return "budget" if time.time() + seconds >= self.limits.deadline else None


@contextmanager
def stopping(limits: Limits, asked: Callable[[], bool]) -> Iterator[Stop]:
    with stop_signals() as received:
        yield Stop(limits, received, asked)


def leave(reason: str, on_budget: str) -> NoReturn:
    """Ends a process whose work is not finished: exit code 75, or a requeued job where the budget was the reason."""
    if distributed.is_child():
        sys.exit(EXIT_ASKED if reason == "asked" else EXIT_LATER)
    job = os.environ.get("SLURM_JOB_ID")
    if reason == "budget" and on_budget == "requeue" and job:
        _requeue(job)
    sys.exit(EXIT_LATER)


def reason_of(codes: set[int]) -> str:
    """Why torchrun's processes ended: finished, budget, asked, signal. Raises ValueError where one of them failed."""
    stopped = {sign * code for code in STOP_SIGNALS for sign in (1, -1)}
    if codes == {0}:
        return "finished"
    if EXIT_ASKED in codes and codes <= {EXIT_LATER, EXIT_ASKED, *stopped}:
        return "asked"
    if EXIT_LATER in codes and codes <= {EXIT_LATER, *stopped}:
        return "budget"
    if codes <= stopped:
        return "signal"
    raise ValueError(f"found exit codes {sorted(codes)} of the processes of this training; the first error is above")


def _requeue(job: str) -> None:
    """SLURM ends this job and queues it again under its number. Returns only where it refuses to."""
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)  # noqa: S607  where SLURM is
    except FileNotFoundError:
        print("on_budget requeue: found no scontrol here (a container?); leaving with exit code 75", flush=True)
        return
    if done.returncode:
        print(f"on_budget requeue: SLURM refused ({done.stderr.strip()}); leaving with exit code 75", flush=True)
        return
    print(f"job {job} is queued again and goes on from here", flush=True)
    time.sleep(600)  # SLURM kills this job meanwhile
