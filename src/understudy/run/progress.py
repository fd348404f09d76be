"""What a run tells while it goes: progress.jsonl in its directory, a bar on a terminal, plain lines in a log file."""

import json
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:  # what reads progress alone does not wait for torch
    from torch import Tensor

NAME = "progress.jsonl"
LOG_SECONDS = 15
DIVERGED_AFTER = 20  # lines in a row with a loss that is no number


def last_line(folder: Path) -> dict | None:
    """The newest whole line of a run directory's progress; the file's end is read alone."""
    path = folder / NAME
    if not path.exists():
        return None
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - 8192))
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            continue
    return None


def seconds_so_far(folder: Path) -> float:
    line = last_line(folder)
    return line["seconds"] if line else 0.0


class Progress:
    """Means of the statistics since the last line; one host synchronisation a line.

    `images` is the goal; `seconds` are those of all attempts together, `before` those of the earlier ones.
    """

    def __init__(self, folder: Path, images: int, images_seen: int, before: float = 0.0):
        self.folder, self.images, self.before = folder, images, before
        self.bar = tqdm(total=images, initial=images_seen, unit="img", unit_scale=True, disable=not sys.stderr.isatty())
        self.sums: dict[str, Tensor] = {}
        self.counts: Counter = Counter()  # per name: a penalty is not taken in every iteration
        self.begun = self.since = time.monotonic()
        self.since_images = images_seen
        self.diverged = 0
        self.failure = ""  # losses have been no numbers for DIVERGED_AFTER lines

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    def add(self, statistics: dict[str, "Tensor"]) -> None:
        self.counts.update(statistics.keys())
        for name, value in statistics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def due(self) -> bool:
        return time.monotonic() - self.since >= LOG_SECONDS

    def line(self, images_seen: int) -> dict[str, float]:
        """Writes a line; the numbers of it that change."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        rate, memory = (time.monotonic() - self.since) / max(images_seen - self.since_images, 1) * 1000, _memory_mb()
        record = {
            "images_seen": images_seen,
            "images": self.images,
            "seconds": round(self.seconds, 1),
            "seconds_per_kimg": round(rate, 3),
            "memory_mb": memory,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            **{name: round(value, 6) if math.isfinite(value) else str(value) for name, value in means.items()},
        }
        with open(self.folder / NAME, "a", encoding="utf-8") as file:
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
            self.failure = (
                f"diverged at {images_seen} images: {', '.join(broken)} is no number in {DIVERGED_AFTER} log lines in "
                "a row. Lower the learning rate."
            )
        return {**means, "seconds_per_kimg": rate, "memory_mb": memory}

    def close(self) -> None:
        self.bar.close()


def _memory_mb() -> int:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() >> 20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
