"""Training a segmenter: what an iteration is, how the best weights are chosen.

Runs with real images keep the weights of the best mean 3D Dice over their validation subjects; runs on synthetic
images alone those of the best Dice pooled over their validation images. An epoch is a fixed number of images, so
runs on training sets of different size have the same schedule.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
import torch

from understudy.core import distributed
from understudy.core.data import DeviceImages

from . import build
from .augment import Augmentation, prepare
from .data import Source, TrainingSet, split_labels
from .loss import IGNORE, segmentation_loss

NETWORK_OPTIONS = ("depth", "base_filters", "padding", "deep_supervision")
PREDICTION_BATCH = 64


class SegmenterTrainee:
    """Adapts a segmenter and its training set to core.training."""

    done = False  # it is trained to the end; the best weights are chosen then

    def __init__(
        self,
        name: str,
        options: Mapping,
        training_set: TrainingSet,
        *,
        channels: int,
        classes: int,
        size: int,
        augmented: bool,
        seed: int,
        device: torch.device | str,
    ):
        self.options, self.data, self.seed, self.device = options, training_set, seed, torch.device(device)
        self.classes = classes
        torch.manual_seed(seed)
        self.network = new_network(name, options, channels, classes, size).to(self.device, **_layout(self.device))
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=options["learning_rate"],
            momentum=options["momentum"],
            nesterov=options["momentum"] > 0,
            weight_decay=options["weight_decay"],
        )
        self.augmentation = Augmentation(options["augmentation"]) if augmented else None
        self.images_per_step = options["batch"]
        if (processes := distributed.world_size()) > options["batch"]:
            raise ValueError(
                f"{name}: found {processes} GPUs for a batch of {options['batch']}, expected at most so many"
            )
        self.epochs = max(1, round(options["samples"] / options["epoch_samples"]))
        self.history: list[dict] = []
        self.best: dict = {"dice": -1.0, "epoch": 0, "weights": {}}
        self._losses: list[torch.Tensor] = []

    def step(self, images_seen: int) -> dict[str, torch.Tensor]:
        epoch = images_seen // self.options["epoch_samples"]
        rate = self._learning_rate(epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        x_NCHW, classes_NHW = self._batch(images_seen, epoch)
        with autocast(self.options["precision"], self.device):
            levels = self.network(self.network.pad_to_input(x_NCHW))
        loss = segmentation_loss(levels, classes_NHW)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        distributed.sum_gradients(self.network.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options["gradient_clip"])
        self.optimizer.step()
        self._losses.append(loss.detach())
        seen = images_seen + self.images_per_step
        if seen // self.options["epoch_samples"] > epoch or seen >= self.options["samples"]:
            self._end_epoch(epoch, seen, rate)
        return {"loss": loss.detach(), "gradient_norm": norm.detach()}

    def _learning_rate(self, epoch: int) -> float:
        left = max(0.0, 1 - epoch / self.epochs)
        return self.options["learning_rate"] * left ** self.options["poly_power"]

    def _batch(self, images_seen: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's share of a batch; what is random in it is drawn for the whole."""
        x_NCHW, classes_NHW = self.data.batch(images_seen, self.images_per_step)
        if self.augmentation is None:
            x_NCHW = prepare(x_NCHW)
        else:
            x_NCHW, classes_NHW = self.augmentation(x_NCHW, classes_NHW, self.seed, images_seen)
        warmup = self.options["background_warmup_epochs"]
        if epoch < warmup:
            host = np.random.default_rng((self.seed, images_seen))
            left_out = torch.from_numpy(host.random(classes_NHW.shape, np.float32) < 1 - epoch / warmup)
            left_out = left_out.to(self.device, non_blocking=True) & (classes_NHW == 0)
            classes_NHW = torch.where(left_out, IGNORE, classes_NHW)
        return distributed.share(x_NCHW).to(**_layout(self.device)), distributed.share(classes_NHW)

    def _end_epoch(self, epoch: int, images_seen: int, rate: float) -> None:
        dice = validation_dice(self.network, self.data.judge, self.classes, self.options["precision"])
        loss = float(torch.stack(self._losses).mean())
        self._losses = []
        self.history.append(
            {"epoch": epoch + 1, "images_seen": images_seen, "learning_rate": rate, "loss": loss, "dice": dice}
        )
        if dice > self.best["dice"]:
            weights = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
            self.best = {"dice": dice, "epoch": epoch + 1, "weights": weights}

    def state(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "history": self.history,
            "losses": self._losses,
        }

    def load_state(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.history = state["best"], list(state["history"])
        self._losses = [loss.to(self.device) for loss in state["losses"]]


def new_network(name: str, options: Mapping, channels: int, classes: int, size: int) -> torch.nn.Module:
    return build(name, channels, classes, size, **{key: options[key] for key in NETWORK_OPTIONS})


def autocast(precision: str, device: torch.device):
    """bf16 on a GPU; a CPU computes in fp32, which is the reference."""
    if device.type == "cpu" or precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _layout(device: torch.device) -> dict:
    return {"memory_format": torch.channels_last} if device.type == "cuda" else {}


@torch.inference_mode()
def predict(network: torch.nn.Module, x_NCHW: torch.Tensor, precision: str = "fp32") -> torch.Tensor:
    """uint8 classes (N, H, W) of uint8 modalities (N, C, H, W) that lie on the network's device."""
    network.eval()
    with autocast(precision, x_NCHW.device):
        logits_NKHW = network(network.pad_to_input(prepare(x_NCHW)))[0]
    return logits_NKHW.argmax(1).to(torch.uint8)


def validation_dice(network: torch.nn.Module, source: Source, classes: int, precision: str) -> float:
    """Mean over groups (subjects) and labels of the 3D Dice; a label in neither volume is left out."""
    scores = []
    for indices in source.validation.values():
        counts_KK = torch.zeros(classes, classes, dtype=torch.float64, device=source.images.device)
        for start in range(0, len(indices), PREDICTION_BATCH):
            chosen = torch.from_numpy(indices[start : start + PREDICTION_BATCH])
            x_NCHW, reference_NHW = split_labels(source.images.batch(chosen))
            pair = reference_NHW * classes + predict(network, x_NCHW, precision)
            counts_KK += torch.bincount(pair.flatten(), minlength=classes**2).reshape(classes, classes)
        both, total = counts_KK.diag()[1:], (counts_KK.sum(0) + counts_KK.sum(1))[1:]
        scores.append(torch.where(total > 0, 2 * both / total, torch.nan))
    dice_GK = torch.stack(scores)
    return float(dice_GK.nanmean(0).nanmean().nan_to_num(0.0))


def predict_images(network: torch.nn.Module, images_NCHW: np.ndarray, device, precision: str) -> np.ndarray:
    """uint8 classes (N, H, W) of uint8 modalities (N, C, H, W) on the host, in batches."""
    images = DeviceImages(images_NCHW, device)
    found = [
        predict(network, images.batch(torch.arange(start, min(start + PREDICTION_BATCH, len(images)))), precision).cpu()
        for start in range(0, len(images), PREDICTION_BATCH)
    ]
    return torch.cat(found).numpy()
