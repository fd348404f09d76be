"""The training loop, one for all generators and all segmenters.

A trainee says what an iteration does and what its state is; the loop does the rest: resume, checkpoints, time budget,
signals, progress. An iteration is a function of (state, images seen), so 100 images straight and 40 + kill + 60 end in
the same weights, bit for bit on a CPU.

A run directory holds config.json, lock (lock.py), attempts.jsonl (attempts.py), step-N/ (checkpoint.py),
progress.jsonl (progress.py). It is never an output of a rule: Snakemake removes the outputs of a failed job, and these
have to survive it. Of several processes (distributed.py) the first alone writes there, and decides.
"""

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from understudy.files.atomic import hash_of, read_json, write_json

from . import distributed
from .attempts import Attempt, FailedRunError, attempt, failure, read
from .checkpoint import KEEP, load_newest_checkpoint, load_step, save_checkpoint
from .lock import Lock, only_writer
from .machine import named_out_of_memory
from .progress import Progress
from .stop import REASONS, Limits, Stop, stopping
from .trackers import Shown, Tracked, Tracker, tracker

_FAILED, _GO_ON, _SAVE, _STOP = -3, -2, -1, 0  # what the first process says; from _STOP on it is a place in REASONS


class Trainee(Protocol):
    images_per_step: int  # of the iteration that was made last
    done: bool  # nothing is left to learn: the training ends before its last image

    def step(self, images_seen: int) -> dict[str, torch.Tensor]:
        """One iteration. Returns detached scalars on the device; never waits for the device."""

    def state(self) -> dict:
        """Nested dict of tensors and JSON values from which `load_state` continues bit for bit."""

    def load_state(self, state: dict) -> None: ...

    def shown(self) -> list[Shown]:
        """What there is to look at since the last call, beside the scalars of `step`; asked where a training is
        tracked alone."""


@dataclass
class Outcome:
    finished: bool
    images_seen: int
    seconds: float  # of training, all attempts together
    reason: str  # finished, or one of stop.REASONS


def train(
    trainee: Trainee,
    run_dir: str | Path,
    images: int,
    *,
    config: dict,
    limits: Limits = Limits(),  # noqa: B008
    tracking: Tracked = Tracked(),  # noqa: B008
) -> Outcome:
    """Trains until `images` images have been seen, or until the time budget, a signal or another process ends it.

    Raises:
        FailedRunError: it cannot end well, now or in an earlier attempt; in all processes.
        ValueError: the run directory is in use, holds another config, has damaged checkpoints only, was started
            again and again without progress, or the disk is full; there is nothing to track with.
    """
    run_dir = Path(run_dir)
    with ExitStack() as stack:
        lock = None
        stop = stack.enter_context(stopping(limits, lambda: lock is not None and lock.asked))
        if distributed.rank() == 0:
            patience = {"silent_seconds": limits.silent_seconds, "patience_seconds": limits.patience_seconds}
            lock = stack.enter_context(only_writer(run_dir, **patience))
            check_config(run_dir, config)
        images_seen, seconds = _resume(trainee, run_dir)
        if images_seen >= images or trainee.done:  # finished before: whoever asks wants it published again
            return Outcome(True, images_seen, seconds, "finished")
        keeper = None
        failed_before = distributed.agree(_FAILED if lock and failure(read(run_dir)) else _GO_ON) == _FAILED
        if failed_before and not lock:
            raise FailedRunError("failed before, as the first process says")
        if lock:
            about = {"world_size": distributed.world_size(), "enough": limits.attempts}
            now = stack.enter_context(attempt(run_dir, images_seen, **about))
            progress = Progress(run_dir, images, images_seen, seconds)
            stack.callback(progress.close)
            board = tracker(tracking, run_dir, config, images_seen)
            if board:
                stack.enter_context(board)
            keeper = _Keeper(trainee, run_dir, lock, stop, now, progress, board)
        with named_out_of_memory(trainee.images_per_step):
            outcome = _loop(trainee, images, images_seen, keeper)
        if keeper:
            keeper.end(outcome)
        distributed.agree(_STOP)  # nobody leaves before the first process has saved: torchrun would end it
    if not outcome.finished and keeper:
        print(f"stopped ({outcome.reason}) at {outcome.images_seen} of {images} images; the same command goes on")
    return outcome


def _loop(trainee: Trainee, images: int, images_seen: int, keeper: "_Keeper | None") -> Outcome:
    """The iterations. All processes make them in step; the first one, which has a keeper, says when to stop."""
    while images_seen < images and not trainee.done:
        order = distributed.agree(keeper.order() if keeper else _GO_ON)
        if order == _FAILED:
            raise FailedRunError(keeper.progress.failure if keeper else "failed, as the first process says")
        if order >= _STOP:
            return Outcome(False, images_seen, keeper.progress.seconds if keeper else 0.0, REASONS[order])
        if order == _SAVE and keeper:
            keeper.save(images_seen)
        statistics = trainee.step(images_seen)
        images_seen += trainee.images_per_step
        if keeper:
            keeper.after(statistics, images_seen, images_seen >= images or trainee.done)
    return Outcome(True, images_seen, keeper.progress.seconds if keeper else 0.0, "finished")


@dataclass
class _Keeper:
    """What the first process does beside training: progress, checkpoints, and knowing when to stop."""

    trainee: Trainee
    run_dir: Path
    lock: Lock
    stop: Stop
    attempt: Attempt
    progress: Progress
    board: Tracker | None

    def __post_init__(self) -> None:
        self.saved_at, self.saved = self.attempt.images_seen, time.monotonic()  # images, seconds

    def order(self) -> int:
        if self.progress.failure:
            return _FAILED
        if self.lock.lost:
            self.lock.check()
        if reason := self.stop.reason():
            return REASONS.index(reason)
        due = time.monotonic() - self.saved >= 60 * self.stop.limits.checkpoint_minutes
        return _SAVE if due and self.attempt.images_seen != self.saved_at else _GO_ON

    def after(self, statistics: dict[str, torch.Tensor], images_seen: int, last: bool) -> None:
        self.attempt.images_seen = images_seen
        self.progress.add(statistics)
        if last or self.progress.due():
            numbers = self.progress.line(images_seen)
            if self.board:
                self.board.numbers(images_seen, numbers)
                self.board.show(self.trainee.shown())

    def save(self, images_seen: int, keep: int = KEEP) -> None:
        self.lock.check()
        state = {"trainee": self.trainee.state(), "seconds": self.progress.seconds}
        save_checkpoint(self.run_dir, images_seen, state, keep)
        self.saved_at, self.saved = images_seen, time.monotonic()

    def end(self, outcome: Outcome) -> None:
        """The last checkpoint; a finished training keeps that one alone."""
        if outcome.images_seen != self.saved_at:
            self.save(outcome.images_seen, 1 if outcome.finished else KEEP)
        self.attempt.reason = outcome.reason
        if self.board:
            self.board.ended(outcome.finished)


def _resume(trainee: Trainee, run_dir: Path) -> tuple[int, float]:
    """(images seen, seconds) of the newest sound checkpoint, the same one in every process."""
    found = load_newest_checkpoint(run_dir) if distributed.rank() == 0 else None
    step = distributed.agree(found[0] if found else -1)
    if step < 0:
        return 0, 0.0
    state = found[1] if found else load_step(run_dir, step)
    trainee.load_state(state["trainee"])
    if found:
        print(f"resumed from {run_dir} at {step} images", flush=True)
    return step, state["seconds"]


def run_directory(parent: str | Path, config: dict) -> Path:
    """Where a training with this config lives: another config is another directory, and the old one stays."""
    return Path(parent) / hash_of(config)


def check_config(run_dir: Path, config: dict) -> None:
    """Writes the config of a new run directory. Raises ValueError where it holds a training of another one."""
    path = run_dir / "config.json"
    if not path.exists():
        write_json(path, config)
        return
    stored, wanted = read_json(path), json.loads(json.dumps(config))
    differing = sorted(k for k in stored.keys() | wanted.keys() if stored.get(k) != wanted.get(k))
    if differing:
        changes = "; ".join(f"{k}: {stored.get(k)} there, {wanted.get(k)} now" for k in differing)
        raise ValueError(f"{run_dir}: holds a training of another config ({changes}). Use another run directory.")
