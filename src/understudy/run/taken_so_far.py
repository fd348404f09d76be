"""What trainings have taken so far, from their run directories."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.files.atomic import read_json

from . import attempts, progress


@dataclass(frozen=True)
class Actual:
    """Of one training or sampling, all its attempts together."""

    seconds: float
    images_seen: int
    images: int
    gpus: int = 1

    @property
    def device_seconds(self) -> float:
        return self.seconds * self.gpus

    @property
    def finished(self) -> bool:
        return self.images_seen >= self.images

    @property
    def share(self) -> float:
        """Of its images."""
        return min(self.images_seen / self.images, 1.0)


def read_actual(folder: str | Path, options: Mapping) -> Actual | None:
    """Of the newest run directory in `folder` whose config has these options (those of another config are old)."""
    found = [path.parent for path in Path(folder).glob(f"*/{progress.NAME}")]
    found = [run for run in found if _is_of(run, options)]
    for run in sorted(found, key=lambda run: (run / progress.NAME).stat().st_mtime, reverse=True):
        if line := progress.last_line(run):
            return Actual(line["seconds"], line["images_seen"], line["images"], _gpus(run))
    return None


def _is_of(run: Path, options: Mapping) -> bool:
    path = run / "config.json"
    stored = read_json(path).get("options", {}) if path.is_file() else {}
    return all(stored[key] == options[key] for key in stored.keys() & options.keys())


def _gpus(run: Path) -> int:
    """Of the last attempt; an earlier one with more or fewer is counted as if it had as many."""
    return next((one.get("world_size", 1) for one in reversed(attempts.read(run)) if one["event"] == "start"), 1)
