"""TensorBoard's event files, in the run directory."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np


class TensorBoard(AbstractContextManager):
    """A trackers.Tracker. What an attempt that was killed wrote beyond `images_seen` is hidden."""

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

    def ended(self, finished: bool) -> None:
        """Event files have no place for it."""

    def numbers(self, images_seen: int, record: dict[str, float]) -> None:
        for name, value in record.items():
            self.writer.add_scalar(name, value, images_seen)

    def show(self, shown: Iterable[tuple[str, int, float | np.ndarray]]) -> None:
        for name, images_seen, value in shown:
            if isinstance(value, np.ndarray):
                self.writer.add_image(name, value, images_seen, dataformats="HW")
            else:
                self.writer.add_scalar(name, value, images_seen)
        self.writer.flush()
