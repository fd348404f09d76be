"""The training loop, one for all generators and all segmenters.

A trainee says what an iteration does and what its state is; the loop does the rest: resume, checkpoints, time budget,
signals, progress. An iteration is a function of (state, images seen), so 100 images straight and 40 + kill + 60 end in
the same weights, bit for bit on a CPU.

A run directory holds config.json, lock, step-N/ (checkpoint.py), progress.jsonl. It is never an output of a rule:
Snakemake removes the outputs of a failed job, and these have to survive it.
"""

import argparse
import fcntl
import json
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from tqdm import tqdm

from .checkpoint import load_newest_checkpoint, save_checkpoint
from .files import hash_of, read_json, write_json

EXIT_BUDGET = 75  # EX_TEMPFAIL: "try again later"; a profile's `retries` submit the job anew
LOG_SECONDS = 15
DIVERGED_AFTER = 20  # log lines in a row with a loss that is no number
_PROCESS_START = time.monotonic()


class Trainee(Protocol):
    images_per_step: int

    def step(self, images_seen: int) -> dict[str, torch.Tensor]:
        """One iteration. Returns detached scalars on the device; never waits for the device."""

    def state(self) -> dict:
        """Nested dict of tensors and JSON values from which `load_state` continues bit for bit."""

    def load_state(self, state: dict) -> None: ...


@dataclass
class Outcome:
    finished: bool
    images_seen: int
    seconds: float  # of training, all restarts together


@dataclass
class _Progress:
    """Means of the statistics since the last line; one host synchronisation a line."""

    folder: Path
    images: int
    bar: tqdm
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)  # per name: a penalty is not taken in every iteration
    since: float = field(default_factory=time.monotonic)
    since_images: int = 0
    diverged: int = 0

    def add(self, statistics: dict[str, torch.Tensor]) -> None:
        self.counts.update(statistics.keys())
        for name, value in statistics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def due(self) -> bool:
        return time.monotonic() - self.since >= LOG_SECONDS

    def line(self, images_seen: int, seconds: float) -> None:
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        rate = (time.monotonic() - self.since) / max(images_seen - self.since_images, 1) * 1000
        record = {
            "images_seen": images_seen,
            "images": self.images,
            "seconds": round(seconds, 1),
            "seconds_per_kimg": round(rate, 3),
            "memory_mb": _memory_mb(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            **{name: round(value, 6) if math.isfinite(value) else str(value) for name, value in means.items()},
        }
        with open(self.folder / "progress.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.bar.update(images_seen - self.bar.n)
        if not sys.stderr.isatty():
            hours = rate * (self.images - images_seen) / 1000 / 3600
            losses = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
            print(f"{images_seen} of {self.images} images  {rate:.1f} s/kimg  {hours:.2f} h left  {losses}", flush=True)
        self.diverged = 0 if all(map(math.isfinite, means.values())) else self.diverged + 1
        self.sums, self.counts, self.since, self.since_images = {}, Counter(), time.monotonic(), images_seen
        if self.diverged >= DIVERGED_AFTER:
            broken = [name for name, value in means.items() if not math.isfinite(value)]
            raise ValueError(
                f"{self.folder}: training diverged at {images_seen} images: {', '.join(broken)} is no number in "
                f"{DIVERGED_AFTER} log lines in a row. This run failed and is not averaged; lower its learning rate."
            )


def train(
    trainee: Trainee,
    run_dir: str | Path,
    images: int,
    *,
    config: dict,
    checkpoint_minutes: float = 30,
    budget_minutes: float | None = None,
    margin_minutes: float = 20,
) -> Outcome:
    """Trains until `images` images have been seen, or until the time budget (of the process) or a signal ends it.

    Raises:
        ValueError: the run directory is in use, holds another config, has damaged checkpoints only, the disk is full,
            or the losses are no numbers any more.
    """
    if budget_minutes is not None and budget_minutes <= margin_minutes:
        raise ValueError(
            f"time budget: found {budget_minutes:g} minutes with a margin of {margin_minutes:g}: nothing "
            "could be trained. Raise the rule's `runtime`, or lower --margin-min."
        )
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    with _only_writer(run_dir), _stop_signals() as stopped:
        _check_config(run_dir, config)
        images_seen, seconds = _resume(trainee, run_dir)
        begun = saved = time.monotonic()
        before = seconds
        deadline = math.inf if budget_minutes is None else _PROCESS_START + 60 * (budget_minutes - margin_minutes)
        bar = tqdm(total=images, initial=images_seen, unit="img", unit_scale=True, disable=not sys.stderr.isatty())
        progress = _Progress(run_dir, images, bar, since_images=images_seen)
        resumed_at = images_seen
        while images_seen < images and not stopped and time.monotonic() < deadline:
            progress.add(trainee.step(images_seen))
            images_seen += trainee.images_per_step
            now = time.monotonic()
            seconds = before + now - begun
            if progress.due() or images_seen >= images:
                progress.line(images_seen, seconds)
            if now - saved >= 60 * checkpoint_minutes:
                _save(trainee, run_dir, images_seen, seconds)
                saved = time.monotonic()
        if images_seen > resumed_at:
            _save(trainee, run_dir, images_seen, seconds)
        bar.close()
    finished = images_seen >= images
    if not finished:
        print(f"stopped at {images_seen} of {images} images; the same command goes on from here", flush=True)
    return Outcome(finished, images_seen, seconds)


def _save(trainee: Trainee, run_dir: Path, images_seen: int, seconds: float) -> None:
    save_checkpoint(run_dir, images_seen, {"trainee": trainee.state(), "seconds": seconds})


def _resume(trainee: Trainee, run_dir: Path) -> tuple[int, float]:
    found = load_newest_checkpoint(run_dir)
    if found is None:
        return 0, 0.0
    images_seen, state = found
    trainee.load_state(state["trainee"])
    print(f"resumed from {run_dir} at {images_seen} images", flush=True)
    return images_seen, state["seconds"]


def run_directory(parent: str | Path, config: dict) -> Path:
    """Where a training with this config lives: another config is another directory, and the old one stays."""
    return Path(parent) / hash_of(config)


def add_device_arguments(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU where one is")
    parser.add_argument("--threads", default=0, type=int, help="CPU threads of torch; 0: its own choice")


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every training script that say where and how long it runs, not what it computes."""
    group = parser.add_argument_group("machine", "never part of the result's identity")
    group.add_argument("--runs", required=True, type=Path, help="folder of run directories, kept through failures")
    group.add_argument(
        "--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU where there is one"
    )
    group.add_argument("--threads", default=0, type=int, help="CPU threads of torch; 0: its own choice")
    group.add_argument("--budget-min", default=None, type=float, help="minutes after which it saves and leaves with 75")
    group.add_argument("--margin-min", default=20, type=float, help="minutes of the budget kept for saving")
    group.add_argument("--checkpoint-min", default=30, type=float, help="minutes between checkpoints")


def use_device(name: str, threads: int = 0) -> torch.device:
    """The device `auto`, `cpu` or `cuda`; TensorFloat-32 is off, so that fp32 means fp32, and cuDNN chooses by timing.

    Raises ValueError where cuda is asked for and there is none.
    """
    if threads:
        torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("--device cuda: torch sees no GPU here; use --device cpu, or a node that has one")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def _check_config(run_dir: Path, config: dict) -> None:
    path = run_dir / "config.json"
    if not path.exists():
        write_json(path, config)
        return
    stored, wanted = read_json(path), json.loads(json.dumps(config))
    differing = sorted(k for k in stored.keys() | wanted.keys() if stored.get(k) != wanted.get(k))
    if differing:
        changes = "; ".join(f"{k}: {stored.get(k)} there, {wanted.get(k)} now" for k in differing)
        raise ValueError(f"{run_dir}: holds a training of another config ({changes}). Use another run directory.")


@contextmanager
def _only_writer(run_dir: Path) -> Iterator[None]:
    with open(run_dir / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{run_dir}: another process is training here; wait for it or stop it first.") from error
        yield


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM, SIGUSR1 or SIGINT arrives. The handler does nothing else: saving inside a
    handler would save half an iteration."""
    received: list[int] = []
    kinds = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = {kind: signal.signal(kind, lambda number, _: received.append(number)) for kind in kinds}
    try:
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _memory_mb() -> int:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() >> 20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
