"""nnU-Net's own trainer, as a study runs it. Only this module imports nnU-Net's training; it needs nnunetv2.

Differences from `nnUNetv2_train`: the length of the training, how often the parts of a mixture are drawn, atomic
checkpoints, and a report to the study after every epoch. Network, loss, optimizer, learning rate,
augmentation and plans are nnU-Net's.

Source   nnU-Net 2.8.1 (Apache-2.0), nnunetv2/training/nnUNetTrainer: its hooks are overridden, none of it is copied
Paper    Isensee et al., Nature Methods 18, 203-211, 2021
"""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA import nnUNetTrainerNoDA

from understudy.files.atomic import atomic_path
from understudy.run.attempts import FailedRunError
from understudy.run.stop import default_signals

from .nnunet_folder import drawn_equally

LATEST = "checkpoint_latest.pth"
CHECKPOINTS = ("checkpoint_final.pth", LATEST, "checkpoint_best.pth")  # in the order in which nnU-Net goes on from them
VALIDATION_SHARE = 5  # nnU-Net validates on 50 batches after 250 of training


class _InStudy:
    """Mixed into a trainer of nnU-Net, whose constructor has to keep its arguments: `set_up` comes after it."""

    def set_up(
        self, epochs: int, iterations: int, parts: Sequence[str], after_epoch: Callable[["_InStudy"], None]
    ) -> None:
        """Before `initialize`.

        Args:
            epochs, iterations: length of the training; iterations are those of one epoch.
            parts: of the training set that are drawn equally often; empty: every image is.
            after_epoch: is called after every epoch but the last; may save, and may raise to end the training.
        """
        self.num_epochs, self.num_iterations_per_epoch = epochs, iterations
        self.num_val_iterations_per_epoch = max(1, iterations // VALIDATION_SHARE)
        self.save_every = epochs + 1  # `after_epoch` says when
        self.parts, self.after_epoch = parts, after_epoch

    def get_tr_and_val_datasets(self):
        train, validation = super().get_tr_and_val_datasets()
        if self.parts:
            train.identifiers = drawn_equally(train.identifiers, self.parts)
        return train, validation

    def on_train_start(self):
        with default_signals():  # for the processes that it starts to load images
            super().on_train_start()

    def on_epoch_end(self):
        super().on_epoch_end()
        self._refuse_divergence()
        if self.current_epoch < self.num_epochs:
            self.after_epoch(self)

    def _refuse_divergence(self) -> None:
        loss = float(self.logger.get_value("train_losses", step=-1))
        if not math.isfinite(loss) and not all(p.isfinite().all() for p in self.network.parameters()):
            raise FailedRunError(
                f"diverged: after {self.current_epoch} epochs of nnU-Net the loss is {loss} and weights are no numbers"
            )

    def save_latest(self) -> None:
        """What a restart goes on from. nnU-Net notes the epoch after the current one, which it has counted already."""
        self.current_epoch -= 1
        self.save_checkpoint(os.path.join(self.output_folder, LATEST))
        self.current_epoch += 1

    def save_checkpoint(self, filename: str) -> None:
        with atomic_path(filename) as temporary:
            super().save_checkpoint(str(temporary))

    def go_on(self) -> bool:
        """Loads what nnU-Net itself would continue from. Returns whether there was a checkpoint."""
        found = [path for name in CHECKPOINTS if (path := Path(self.output_folder, name)).is_file()]
        if found:
            self.load_checkpoint(str(found[0]))
        return bool(found)

    def history(self) -> list[dict]:
        """A row per epoch, as publish.write_history wants them; Dice is the one that nnU-Net calls pseudo."""
        images = self.num_iterations_per_epoch * self.batch_size
        logged = [self.logger.get_value(name, step=None) for name in ("lrs", "train_losses", "mean_fg_dice")]
        return [
            {
                "epoch": epoch,
                "images_seen": images * epoch,
                "learning_rate": float(rate),
                "loss": float(loss),
                "dice": float(np.nan_to_num(dice)),
            }
            for epoch, (rate, loss, dice) in enumerate(zip(*logged, strict=True), 1)
        ]

    def weights(self) -> dict[str, torch.Tensor]:
        return getattr(self.network, "_orig_mod", self.network).state_dict()  # of a compiled one, those of the original

    def stop_loading(self) -> None:
        """Ends the processes that load images, of a training that ends early."""
        for loader in (self.dataloader_train, self.dataloader_val):
            if hasattr(loader, "_finish"):
                loader._finish()


class AugmentedTrainer(_InStudy, nnUNetTrainer):
    """nnU-Net as it is: its own augmentation, and mirroring in tests."""


class PlainTrainer(_InStudy, nnUNetTrainerNoDA):
    """nnU-Net's variant without augmentation and without mirroring."""


TRAINERS = {"augmented": AugmentedTrainer, "plain": PlainTrainer}
