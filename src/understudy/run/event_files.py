"""What people watch while a training runs: TensorBoard's event files in its run directory.

They are a copy of progress.jsonl, with pictures; nothing reads them back, and no result depends on them.
"""

import argparse
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import get_args

import numpy as np

from understudy.config.tracking import Tracking

KINDS = get_args(Tracking)
Shown = tuple[str, int, float | np.ndarray]  # name, images seen, a number or a grey picture, uint8 (H, W)


def add_tracking_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tracking", default=KINDS[0], choices=KINDS, help="event files in the run directory")


class TensorBoard(AbstractContextManager):
    """Writes event files in a run directory.

    Args:
        images_seen: where this attempt starts; what an attempt that was killed wrote beyond is hidden.
    Raises:
        ValueError: the package tensorboard, an extra, is not installed.
    """

    def __init__(self, folder: Path, images_seen: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise ValueError(
                f"tracking: found no package {error.name}, expected tensorboard. Install it beside torch, or set "
                "`tracking: none`; docs/tracking.md says how."
            ) from error
        self.writer = SummaryWriter(str(folder), purge_step=images_seen + 1)

    def __exit__(self, *error: object) -> None:
        self.writer.close()

    def numbers(self, images_seen: int, record: dict[str, float]) -> None:
        """Of a line of the progress; losses that are no numbers are shown as such."""
        for name, value in record.items():
            self.writer.add_scalar(name, value, images_seen)

    def show(self, shown: Iterable[Shown]) -> None:
        for name, images_seen, value in shown:
            if isinstance(value, np.ndarray):
                self.writer.add_image(name, value, images_seen, dataformats="HW")
            else:
                self.writer.add_scalar(name, value, images_seen)
        self.writer.flush()


def tracker(kind: str, folder: Path, images_seen: int) -> TensorBoard | None:
    return TensorBoard(folder, images_seen) if kind == "tensorboard" else None
