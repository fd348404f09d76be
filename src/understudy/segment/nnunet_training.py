"""nnU-Net v2 as a segmenter of a study: a training set exported, planned, preprocessed, trained on, and predictions.

    run directory/nnunet/nnUNet_raw, nnUNet_preprocessed   while it trains (nnunet_folder.py)
    run directory/nnunet/nnUNet_results                    checkpoints, plans and log of nnU-Net
    run directory/nnunet/weights.safetensors, learned.json what a finished training predicts with, its history
    run directory/config.json, lock, attempts.jsonl, progress.jsonl   as of every training

nnunetv2 is imported only when it is used: it is not in the lock, because it brings some fifty packages.
"""

import importlib.util
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from understudy.config.segmenters.nnunet import PACKAGE
from understudy.files.atomic import read_json, write_json
from understudy.run.attempts import Attempt, attempt
from understudy.run.compiling import can_compile
from understudy.run.lock import Lock, only_writer
from understudy.run.machine import named_out_of_memory
from understudy.run.progress import Progress, last_line, seconds_so_far
from understudy.run.seeds import seed_of
from understudy.run.stop import Limits, Stop, default_signals, stopping
from understudy.run.training_loop import Outcome, check_config
from understudy.stack.tensors import read_tensors, write_tensors
from understudy.study.result_paths import nnunet_dataset

from .publish import Predict

DATASET_ID, FOLD, CONFIGURATION, PLANS = 1, 0, "2d", "nnUNetPlans"
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
WEIGHTS = "weights.safetensors"
SPACING = (999, 1, 1)  # that nnU-Net's reader gives PNGs: a volume of one slice


def require_nnunet() -> None:
    """Raises ValueError where nnunetv2 is not installed."""
    if importlib.util.find_spec("nnunetv2") is None:
        raise ValueError(
            f"nnunet: found no package nnunetv2 for {sys.executable}, expected {PACKAGE}. Install it there "
            f"(pip install {PACKAGE}), or let Snakemake make the environment (--sdm conda); or remove nnunet from "
            "segmenters."
        )


@dataclass(frozen=True)
class NnUNet:
    """One training."""

    run_dir: Path
    dataset: str
    augmentation: str  # augmented, plain
    options: Mapping  # of the config's block
    parts: Sequence[str]  # of its training set that are seen equally often
    seed: int
    device: torch.device
    processes: int  # that nnU-Net may start

    @property
    def home(self) -> Path:
        return self.run_dir / "nnunet"

    @property
    def learned_file(self) -> Path:
        """What a finished training writes last."""
        return self.home / "learned.json"

    def train(self, config: dict, export: Callable[[Path], None], limits: Limits) -> Outcome:
        """Trains to the end, or until the time budget, a signal or another process ends it.

        Args:
            config: what the result depends on.
            export: writes the training set into a folder.
        Raises:
            FailedRunError: it diverged, now or in an earlier attempt.
            ValueError: the run directory is in use or of another config; too many starts without progress.
        """
        self._tell_nnunet()
        patience = {"silent_seconds": limits.silent_seconds, "patience_seconds": limits.patience_seconds}
        with ExitStack() as stack:
            lock = stack.enter_context(only_writer(self.run_dir, **patience))
            stop = stack.enter_context(stopping(limits, lambda: lock.asked))
            check_config(self.run_dir, config)
            seen = (last_line(self.run_dir) or {}).get("images_seen", 0)
            if self.learned_file.is_file():
                return Outcome(True, seen, seconds_so_far(self.run_dir), "finished")
            now = stack.enter_context(attempt(self.run_dir, seen, enough=limits.attempts))
            with default_signals():
                self._prepare(export)
            trainer = self._trainer()
            per_epoch = trainer.batch_size * self.options["iterations_per_epoch"]
            goal, saved = per_epoch * self.options["epochs"], per_epoch * trainer.current_epoch
            progress = Progress(self.run_dir, goal, saved, seconds_so_far(self.run_dir))
            stack.callback(progress.close)
            keeper = _Keeper(lock, stop, now, progress, per_epoch)
            trainer.after_epoch = keeper.after_epoch
            try:
                with named_out_of_memory(trainer.batch_size):
                    trainer.run_training()
                keeper.tell(trainer)
                self._write_learned(trainer)
            except _StoppedError:
                trainer.stop_loading()
                print(f"stopped ({now.reason}) after {trainer.current_epoch} epochs; the same command goes on")
            else:
                now.reason = "finished"
            return Outcome(now.reason == "finished", now.images_seen, progress.seconds, now.reason)

    def _tell_nnunet(self) -> None:
        """nnU-Net reads its folders and numbers of processes from the environment, some of it when it is imported."""
        os.environ.update({name: str(self.home / name) for name in FOLDERS})
        os.environ.update(nnUNet_def_n_proc=str(self.processes), nnUNet_n_proc_DA=str(max(1, self.processes - 1)))
        if self.device.type == "cuda" and not can_compile():
            os.environ.update(nnUNet_compile="false")

    def _prepare(self, export: Callable[[Path], None]) -> None:
        """Exports, plans and preprocesses, unless an earlier attempt has done it to the end."""
        from nnunetv2.experiment_planning.plan_and_preprocess_api import (
            extract_fingerprints,
            plan_experiments,
            preprocess,
        )

        done = self.home / "preprocessed"
        if done.exists():
            return
        shutil.rmtree(self.home, ignore_errors=True)  # of a kill in the middle
        export(self.home)
        extract_fingerprints([DATASET_ID], num_processes=self.processes, show_progress_bar=False)
        plan_experiments([DATASET_ID])
        preprocess([DATASET_ID], PLANS, (CONFIGURATION,), (self.processes,), show_progress_bar=False)
        done.touch()

    def _trainer(self):
        """Ready to train, from its last checkpoint where there is one."""
        from .nnunet_trainer import TRAINERS

        folder = self.home / "nnUNet_preprocessed" / nnunet_dataset(self.dataset)
        plans, about = read_json(folder / f"{PLANS}.json"), read_json(folder / "dataset.json")
        made = {"configuration": CONFIGURATION, "fold": FOLD, "dataset_json": about, "device": self.device}
        trainer = TRAINERS[self.augmentation]({**plans, "continue_training": (self.home / FOLDERS[2]).is_dir()}, **made)
        trainer.set_up(self.options["epochs"], self.options["iterations_per_epoch"], self.parts, lambda _: None)
        _seed(self.seed)
        trainer.initialize()
        if trainer.go_on():
            print(f"resumed from {self.run_dir} after {trainer.current_epoch} epochs", flush=True)
            _seed(seed_of(self.seed, trainer.current_epoch))  # other images than at the start
        return trainer

    def _write_learned(self, trainer) -> None:
        """nnU-Net's own checkpoint is a pickle; what is read again after the training is none."""
        write_tensors(self.home / WEIGHTS, trainer.weights(), {})
        learned = {
            "mirrored_axes": trainer.inference_allowed_mirroring_axes,
            "plans": trainer.plans_manager.plans,
            "dataset": trainer.dataset_json,
            "history": trainer.history(),
        }
        write_json(self.learned_file, learned)

    def learned(self) -> tuple[Predict, list[dict]]:
        """(prediction of a finished training, its history as publish.write_history wants it)."""
        learned = read_json(self.learned_file)
        predictor = _predictor(learned, read_tensors(self.home / WEIGHTS, "weights of train_nnunet"), self.device)

        def predict(x_NCHW: np.ndarray) -> np.ndarray:
            volumes = (x_CHW[:, None].astype(np.float32) for x_CHW in x_NCHW)  # of one slice, as its reader gives them
            found_N1HW = [predictor.predict_single_npy_array(x_C1HW, {"spacing": SPACING}) for x_C1HW in volumes]
            return np.concatenate(found_N1HW).astype(np.uint8)

        return predict, learned["history"]

    def clean(self, keep: bool) -> None:
        """Removes what nnU-Net has made; with `keep`, all but what it has learned."""
        for folder in [self.home / name for name in FOLDERS[:2]] if keep else [self.home]:
            shutil.rmtree(folder, ignore_errors=True)


def collapse_of(history: Sequence[Mapping], options: Mapping, exempt: bool) -> str:
    """Why a training that came to its end has failed: no validation found a single pixel of a label. Empty where it
    has not, or where that is allowed."""
    if exempt or options["collapse"] == "keep" or any(epoch["dice"] > 0 for epoch in history):
        return ""
    return (
        f"collapsed to background: after {len(history)} epochs of nnU-Net the validation Dice was 0 in every epoch, "
        f"the loss {history[-1]['loss']:.4g} in the last one. Expected a label found somewhere: a longer training "
        "(epochs, iterations_per_epoch), or collapse: keep."
    )


class _StoppedError(Exception):
    """A training that stops before its last epoch and is continued later."""


@dataclass
class _Keeper:
    """After every epoch: progress, a checkpoint where one is due, and the end where it is time."""

    lock: Lock
    stop: Stop
    attempt: Attempt
    progress: Progress
    images_per_epoch: int

    def __post_init__(self):
        self.saved = self.told = time.monotonic()

    def tell(self, trainer) -> None:
        self.attempt.images_seen = self.images_per_epoch * trainer.current_epoch
        self.progress.add({"loss": torch.tensor(float(trainer.logger.get_value("train_losses", step=-1)))})
        self.progress.line(self.attempt.images_seen)

    def after_epoch(self, trainer) -> None:
        self.tell(trainer)
        epoch_seconds, self.told = time.monotonic() - self.told, time.monotonic()
        reason = self.stop.reason(epoch_seconds)  # the next epoch takes as long
        if reason or time.monotonic() - self.saved >= 60 * self.stop.limits.checkpoint_minutes:
            self.lock.check()
            trainer.save_latest()
            self.saved = time.monotonic()
        if reason:
            self.attempt.reason = reason
            raise _StoppedError


def _seed(seed: int) -> None:
    """Of weights, and of what this process draws. The processes that load images have seeds of nnU-Net's own."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _predictor(learned: Mapping, weights: Mapping[str, torch.Tensor], device: torch.device):
    """nnU-Net's predictor of a finished training."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans, about, axes = PlansManager(learned["plans"]), learned["dataset"], learned["mirrored_axes"]
    configuration = plans.get_configuration(CONFIGURATION)
    shape = (len(about["channel_names"]), plans.get_label_manager(about).num_segmentation_heads)
    network = nnUNetTrainer.build_network_architecture(plans, configuration, *shape, enable_deep_supervision=False)
    predictor = nnUNetPredictor(use_mirroring=axes is not None, device=device, allow_tqdm=False)
    predictor.manual_initialization(network, plans, configuration, [weights], about, nnUNetTrainer.__name__, axes)
    return predictor
