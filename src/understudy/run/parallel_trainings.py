"""The trainings of one job: in turn, or several at once, each in a process of its own, on data that is in memory once.

At once: one that fails, runs out of time or is killed ends alone, the others go on. Tensors in what a process is given
are shared and not copied, on a GPU through CUDA and on a CPU through /dev/shm (torch.multiprocessing). They belong to
the process that has started the others; it waits for them, passes signals on, and says how each has ended.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

import torch.multiprocessing

from .attempts import FailedRunError
from .stop import STOP_SIGNALS, stop_signals

_LOOK_SECONDS = 0.5  # between looks for a signal to pass on


@dataclass(frozen=True)
class Ending:
    reason: str  # finished; budget, asked, signal: not finished, the same command goes on; failed
    message: str = ""  # of a failure


def run_in_turn(work: Callable[[int], str], count: int) -> list[Ending]:
    """Calls work(place) for every place, one after the other in this process.

    One that failed for good does not stop the next; one that is out of time, or was asked to leave, does.
    """
    endings: list[Ending] = []
    while len(endings) < count and all(ending.reason in ("finished", "failed") for ending in endings):
        try:
            endings.append(Ending(work(len(endings))))
        except FailedRunError as error:  # the others are not to wait for somebody to look at it
            endings.append(Ending("failed", str(error)))
    return endings


def run_together(work: Callable[[int], str], names: Sequence[str], at_once: int) -> list[Ending]:
    """Calls work(place) for the place of every name, in new processes, `at_once` of them at a time.

    Args:
        work: importable, with what it is given (functools.partial). Returns the reason of its end; a ValueError is a
            failure. Its lines of output begin with the name.
    Returns:
        How each ended. Once one is out of time, was asked to leave or a signal came, no other is started.
    """
    context = torch.multiprocessing.get_context("spawn")  # a fork of a process that has used CUDA cannot use it
    endings: dict[int, Ending] = {}
    running: dict[int, _Child] = {}
    with stop_signals() as received:
        passed_on = 0
        for place in range(len(names)):
            while len(running) >= at_once:
                passed_on = _look(running, endings, received, passed_on)
            if stopped := _stop_of(endings, received):
                endings[place] = Ending(stopped)
            else:
                running[place] = _Child(context, work, place, names[place])
        while running:
            passed_on = _look(running, endings, received, passed_on)
    return [endings[place] for place in range(len(names))]


def _look(running: dict[int, "_Child"], endings: dict[int, Ending], received: list[int], passed_on: int) -> int:
    """Waits a little for one to end; passes new signals on. Returns how many have been."""
    wait([child.process.sentinel for child in running.values()], _LOOK_SECONDS)
    new = received[passed_on:]  # another may arrive in the loop: it is for the next look, and for all
    for place, child in list(running.items()):
        for number in new:
            child.pass_on(number)
        if not child.process.is_alive():
            endings[place] = running.pop(place).ending(bool(received))
    return passed_on + len(new)


def _stop_of(endings: dict[int, Ending], received: list[int]) -> str | None:
    """Why no other is to be started."""
    found = {ending.reason for ending in endings.values()} - {"finished", "failed"}
    return "signal" if received else next(iter(found), None)


class _Child:
    """A process that works, and the end of a pipe from which it tells how it ended."""

    def __init__(self, context, work: Callable[[int], str], place: int, name: str):
        self._told, tells = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(work, place, name, tells), name=name)
        self.process.start()
        tells.close()

    def pass_on(self, number: int) -> None:
        if self.process.is_alive():
            os.kill(self.process.pid, number)

    def ending(self, stopped: bool) -> Ending:
        """Of a process that has ended. One that was `stopped` while it could not save says nothing, as does one that
        was killed or broke."""
        self.process.join()
        code = self.process.exitcode
        with self._told, suppress(EOFError):
            return self._told.recv()
        if stopped or -code in STOP_SIGNALS:
            return Ending("signal")
        if code < 0:
            by = f"signal {-code} ({signal.Signals(-code).name})"
            return Ending("failed", f"killed by {by}. Where memory was short: raise mem_mb, or lower at_once.")
        return Ending("failed", f"ended with exit code {code}; its last words are above")


def _work(work: Callable[[int], str], place: int, name: str, tells: Connection) -> None:
    """The life of a process."""
    sys.stdout, sys.stderr = Named(name, sys.stdout), Named(name, sys.stderr)
    threading.Thread(target=_leave_with_parent, daemon=True, name="parent").start()
    try:
        ending = Ending(work(place))
    except ValueError as error:
        ending = Ending("failed", str(error))
    with suppress(BrokenPipeError):  # the parent was killed
        tells.send(ending)


def _leave_with_parent() -> None:
    """A process whose parent was killed saves and leaves: nobody would hear how it ends."""
    wait([parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(eq=False)
class Named(io.TextIOBase):
    """Text of one of several processes that write to one log: a line goes out whole and says whose it is."""

    name: str
    stream: io.TextIOBase
    _begun: str = field(default="", init=False)

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self.stream.write(f"{self.name}: {line}\n")
        return len(text)

    def flush(self) -> None:
        self.stream.flush()
