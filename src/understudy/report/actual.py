"""What trainings have taken so far, from their run directories."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Actual:
    """Of one training (or sampling), all its attempts together."""

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
    found = [path for path in Path(folder).glob("*/progress.jsonl") if _is_of(path.with_name("config.json"), options)]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        if line := _last_line(path):
            return Actual(line["seconds"], line["images_seen"], line["images"], line.get("gpus", 1))
    return None


def _is_of(path: Path, options: Mapping) -> bool:
    stored = json.loads(path.read_text(encoding="utf-8")).get("options", {}) if path.is_file() else {}
    return all(stored[key] == options[key] for key in stored.keys() & options.keys())


def _last_line(path: Path) -> dict | None:
    """The last whole line; a kill may have cut the one after it short."""
    for line in reversed(path.read_text(encoding="utf-8").splitlines()):
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            continue
    return None
