"""The history of a run directory, attempts.jsonl: a line at each start and each end, with job, place and reason.

It is what a person reads after a bad night, and what stops a training that is started again and again and never gets
past one place. A start without an end was killed: out of memory, time limit, node lost, kill -9.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .lock import identity

NAME = "attempts.jsonl"
ENOUGH = 5  # starts at one place that are believed to be bad luck


class FailedRunError(ValueError):
    """A training that cannot end well, such as one that diverged. Its failure is a result; it is not tried again."""


@dataclass
class Attempt:
    """The one that is under way. `images_seen` is kept up to date, `reason` says why it ends."""

    images_seen: int
    reason: str = "error"


def read(run_dir: str | Path) -> list[dict]:
    """All lines, oldest first. A last line that a kill cut short is left out."""
    path = Path(run_dir) / NAME
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def restarts(lines: list[dict]) -> int:
    return max(0, sum(line["event"] == "start" for line in lines) - 1)


def last_message(lines: list[dict]) -> str:
    """How the last attempt ended, for people; empty while it runs or where it ended as it should."""
    if not lines or lines[-1]["event"] == "start":
        return ""
    return lines[-1].get("message", "")


@contextmanager
def attempt(run_dir: Path, images_seen: int, *, enough: int = ENOUGH, **about: object) -> Iterator[Attempt]:
    """Writes down the start, and at the end its reason or its error.

    Raises:
        FailedRunError: an earlier attempt failed for good.
        ValueError: `enough` starts in a row were made at this very place.
    """
    lines = read(run_dir)
    _refuse_failed(run_dir, lines)
    _refuse_standstill(run_dir, lines, images_seen, enough)
    now = Attempt(images_seen)
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    _append(run_dir, {"event": "start", "images_seen": images_seen, **identity(), "gpus": gpus, **about})
    try:
        yield now
    except BaseException as error:
        now.reason = "failed" if isinstance(error, FailedRunError) else "error"
        message = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error)
        _append(run_dir, {"event": "end", "images_seen": now.images_seen, "reason": now.reason, "message": message})
        raise
    _append(run_dir, {"event": "end", "images_seen": now.images_seen, "reason": now.reason})


def _refuse_failed(run_dir: Path, lines: list[dict]) -> None:
    if said := failure(lines):
        print(
            f"{run_dir}: this run failed before and is not tried again; to do so, remove {run_dir / NAME}", flush=True
        )
        raise FailedRunError(said)


def failure(lines: list[dict]) -> str:
    """Why a training failed for good; empty where it did not."""
    return lines[-1]["message"] if lines and lines[-1].get("reason") == "failed" else ""


def _refuse_standstill(run_dir: Path, lines: list[dict], images_seen: int, enough: int) -> None:
    here = 0
    for line in reversed(lines):
        if line.get("reason") == "finished" or (line["images_seen"] != images_seen and line["event"] == "start"):
            break
        here += line["event"] == "start"
    if here < enough:
        return
    said = next((line["message"] for line in reversed(lines) if line.get("message")), "none, it was killed each time")
    raise ValueError(
        f"{run_dir}: {here} starts in a row at {images_seen} images, none reached the next checkpoint. Last error: "
        f"{said}. Look at the logs; give it more time (runtime) or memory, or checkpoint more often (checkpoint_min). "
        f"Then remove {run_dir / NAME} and start again."
    )


def _append(run_dir: Path, line: dict) -> None:
    # a cut line of a killed process is ended first, so that it spoils no other
    with open(run_dir / NAME, "ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write((json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **line}) + "\n").encode())
