"""What people watch while a training runs: a copy of its progress, with pictures, in the form of another program.

Nothing reads it back, and no result depends on it.
"""

import argparse
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

import numpy as np

from understudy.config.tracking import Tracking

from .event_files import TensorBoard
from .mlflow_store import MLflow

KINDS = get_args(Tracking)
Shown = tuple[str, int, float | np.ndarray]  # name, images seen, a number or a grey picture, uint8 (H, W)


@dataclass(frozen=True)
class Tracked:
    """How a training is tracked: one of KINDS, and of `mlflow` the store that all trainings share."""

    kind: str = KINDS[0]
    mlflow_store: Path = Path("runs/mlruns")


def add_tracking_arguments(parser: argparse.ArgumentParser) -> None:
    usual = Tracked()
    parser.add_argument("--tracking", default=usual.kind, choices=KINDS, help="what shows the training as it runs")
    parser.add_argument(
        "--mlflow-store", type=Path, default=usual.mlflow_store, help="folder that --tracking mlflow writes in"
    )


def tracked(args: argparse.Namespace) -> Tracked:
    return Tracked(args.tracking, args.mlflow_store)


class Tracker(AbstractContextManager, Protocol):
    def numbers(self, images_seen: int, record: dict[str, float]) -> None:
        """Of a line of the progress; losses that are no numbers are shown as such."""

    def show(self, shown: Iterable[Shown]) -> None: ...

    def ended(self, finished: bool) -> None:
        """The attempt ended well; the training goes on later where it is not finished."""


def tracker(how: Tracked, run_dir: Path, config: dict, images_seen: int) -> Tracker | None:
    """None where nothing is tracked.

    Args:
        images_seen: where this attempt starts; what an attempt that was killed wrote beyond goes.
    Raises:
        ValueError: the package that it needs, an extra, is not installed.
    """
    if how.kind == "tensorboard":
        return TensorBoard(run_dir, images_seen)
    return MLflow(how.mlflow_store, run_dir, config, images_seen) if how.kind == "mlflow" else None
