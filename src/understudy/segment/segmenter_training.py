"""Training a segmenter: what an iteration is, how the best weights are chosen.

Runs with real images keep the weights of the best mean 3D Dice over their validation subjects; runs on synthetic
images alone those of the best Dice pooled over their validation images. An epoch is a fixed number of images, so
runs on training sets of different size have the same schedule.
"""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from understudy.config.reading import completed, read_options
from understudy.config.segmenters import block
from understudy.run import distributed
from understudy.run.attempts import FailedRunError
from understudy.run.compiling import can_compile
from understudy.run.counter_random import uniform
from understudy.run.device_images import DeviceImages
from understudy.run.seeds import seed_of
from understudy.run.trackers import Shown
from understudy.run.transfer import to_device
from understudy.study.sources import is_control

from . import build
from .augment import Augmentation, prepare
from .loss import IGNORE, Dice, segmentation_loss
from .training_images import SourceImages, TrainingSet, split_labels

PREDICTION_BATCH = 64
MIRRORINGS = ((), (2,), (3,), (2, 3))  # axes of x_NCHW
UNDECAYED = ("norm", "absolute_pos_embed", "relative_position_bias_table")  # in names; where decay_norms is false
WARMUP_START = 1e-6  # of the learning rate


class SegmenterTrainee:
    """Adapts a segmenter and its training set to run.training_loop."""

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
        own = read_options(block(name), name, size, options)
        options = completed(options, own)
        self.data = replace(training_set, foreground=options.get("foreground_share", 0.0))
        self.options, self.seed, self.device = options, seed, torch.device(device)
        self.classes = classes
        torch.manual_seed(seed)
        self.network = build(name, channels, classes, size, **options).to(self.device, **_layout(self.device))
        compiles = own.compile and self.device.type == "cuda" and can_compile()
        # for training alone: validation and tests have batches of other sizes, and would compile each anew
        self.training_network = torch.compile(self.network, dynamic=False) if compiles else self.network
        self.optimizer = new_optimizer(self.network, options)
        self.dice = Dice(options["dice"], options["dice_background"], options["dice_squared"])
        how = options["intensities"], self.network.pad_to_input
        self.augmentation = Augmentation(options["augmentation"], *how) if augmented else None
        self.images_per_step = options["batch"]
        if (processes := distributed.world_size()) > options["batch"]:
            raise ValueError(
                f"{name}: found {processes} GPUs for a batch of {options['batch']}, expected at most so many"
            )
        self.epochs = max(1, round(options["samples"] / options["epoch_samples"]))
        self.history: list[dict] = []
        self.best: dict = {"dice": -1.0, "epoch": 0, "weights": {}}
        self._losses: list[torch.Tensor] = []
        self._shown = 0  # epochs of the history

    @property
    def done(self) -> bool:
        """Whether so many epochs were no better than the best one that none is expected to be."""
        patience = self.options["patience"]
        return patience is not None and len(self.history) - self.best["epoch"] >= patience

    def step(self, images_seen: int) -> dict[str, torch.Tensor]:
        epoch = images_seen // self.options["epoch_samples"]
        rate = self._learning_rate(images_seen)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        x_NCHW, classes_NHW = self._batch(images_seen, epoch)
        # dropout and skipped blocks take their numbers from the global state
        torch.manual_seed(seed_of(self.seed, "dropout", images_seen, distributed.rank()))
        with autocast(self.options["precision"], self.device):
            levels = self.training_network(x_NCHW)
        loss = segmentation_loss(levels, classes_NHW, self.network.level_weights, self.dice)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        distributed.sum_gradients(self.network.parameters())
        limit = self.options["gradient_clip"] or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self.optimizer.step()
        self._losses.append(loss.detach())
        seen = images_seen + self.images_per_step
        if seen // self.options["epoch_samples"] > epoch or seen >= self.options["samples"]:
            self._end_epoch(epoch, seen, rate)
            self._refuse_divergence(seen)
        return {"loss": loss.detach(), "gradient_norm": norm.detach()}

    def _learning_rate(self, images_seen: int) -> float:
        """Falls as a power of what is left, by epoch or by iteration; rises linearly before, if it is to warm up."""
        o, iteration = self.options, images_seen // self.images_per_step
        if o["rate_by"] == "epoch":
            done = images_seen // o["epoch_samples"] / self.epochs
        else:
            done = iteration / max(1, o["samples"] // self.images_per_step)
        rate = o["learning_rate"] * max(0.0, 1 - done) ** o["poly_power"]
        if iteration < o["warmup_iterations"]:
            rate *= 1 - (1 - iteration / o["warmup_iterations"]) * (1 - WARMUP_START)
        return rate

    def _batch(self, images_seen: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's share of a batch; what is random in it is drawn for the whole."""
        x_NCHW, classes_NHW = map(distributed.share, self.data.batch(images_seen, self.images_per_step))
        places = distributed.share(torch.arange(images_seen, images_seen + self.images_per_step)).numpy()
        if self.augmentation is None:
            x_NCHW = prepare(x_NCHW, self.options["intensities"], self.network.pad_to_input)
        else:
            x_NCHW, classes_NHW = self.augmentation(x_NCHW, classes_NHW, self.seed, places)
        warmup = self.options["background_warmup_epochs"]
        if epoch < warmup:
            left_out = self._some_pixels(classes_NHW, places, 1 - epoch / warmup) & (classes_NHW == 0)
            classes_NHW = torch.where(left_out, IGNORE, classes_NHW)
        return x_NCHW.to(**_layout(self.device)), classes_NHW

    def _some_pixels(self, classes_NHW: torch.Tensor, places: np.ndarray, share: float) -> torch.Tensor:
        """bool (N, H, W), each pixel with this probability; a function of the seed and the images' places."""
        pixels = classes_NHW[0].numel()
        return uniform(self.seed, "background", to_device(places, self.device), pixels).view_as(classes_NHW) < share

    def _end_epoch(self, epoch: int, images_seen: int, rate: float) -> None:
        dice = validation_dice(self.network, self.data.validator, self.classes, self.options)
        loss = float(torch.stack(self._losses).mean())
        self._losses = []
        self.history.append(
            {"epoch": epoch + 1, "images_seen": images_seen, "learning_rate": rate, "loss": loss, "dice": dice}
        )
        if dice > self.best["dice"]:
            weights = {n: x.detach().cpu().clone().contiguous() for n, x in self.network.state_dict().items()}
            self.best = {"dice": dice, "epoch": epoch + 1, "weights": weights}

    def _refuse_divergence(self, images_seen: int) -> None:
        """Raises FailedRunError where weights are no numbers any more: nothing brings them back."""
        loss = self.history[-1]["loss"]
        if not math.isfinite(loss) and not all(p.isfinite().all() for p in self.network.parameters()):
            raise FailedRunError(
                f"diverged: in epoch {len(self.history)}, at {images_seen} images, the loss is {loss} and weights are "
                "no numbers. Expected finite ones: a lower learning_rate, or a gradient_clip."
            )

    @property
    def failure(self) -> str:
        """Of a training that has come to its end: why it failed, as no epoch found a single pixel of a label; empty
        where it did not. It is scored like any other, by what it finds."""
        allowed = self.options["collapse"] == "keep" or any(is_control(source.name) for source in self.data.sources)
        if self.best["dice"] > 0 or allowed:
            return ""
        last = self.history[-1]
        return (
            f"collapsed to background: after {len(self.history)} epochs and {last['images_seen']} images the "
            f"validation Dice was 0 in every epoch, the loss {last['loss']:.4g} in the last one. Expected a label "
            "found somewhere: a lower learning_rate, a longer training (samples), or collapse: keep."
        )

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
        groups = self.optimizer.state_dict()["param_groups"]  # this device's and this config's, not the checkpoint's
        self.optimizer.load_state_dict({"state": state["optimizer"]["state"], "param_groups": groups})
        self.best, self.history = state["best"], list(state["history"])
        self._shown = len(self.history)
        self._losses = [loss.to(self.device) for loss in state["losses"]]

    def shown(self) -> list[Shown]:
        """The validations since the last call."""
        new, self._shown = self.history[self._shown :], len(self.history)
        values = ((f"validation/{name}", name) for name in ("dice", "learning_rate"))
        return [(title, epoch["images_seen"], epoch[name]) for title, name in values for epoch in new]


def new_optimizer(network: torch.nn.Module, options: Mapping) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW; weight decay of all parameters or not of norms and position tables.

    On a GPU a kernel steps many parameters at once (fused); a CPU computes as ever, bit for bit.
    """
    named = list(network.named_parameters())
    decayed = [p for n, p in named if options["decay_norms"] or not any(word in n for word in UNDECAYED)]
    kept = {id(p) for p in decayed}
    groups = [
        {"params": decayed, "weight_decay": options["weight_decay"]},
        {"params": [p for _, p in named if id(p) not in kept], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    how = {"lr": options["learning_rate"], "fused": named[0][1].device.type == "cuda"}
    if options["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, betas=tuple(options["adam_betas"]), **how)
    momentum = options["momentum"]
    return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, **how)


def autocast(precision: str, device: torch.device):
    """bf16 on a GPU; a CPU computes in fp32, which is the reference."""
    if device.type == "cpu" or precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _layout(device: torch.device) -> dict:
    return {"memory_format": torch.channels_last} if device.type == "cuda" else {}


@torch.inference_mode()
def predict(network: torch.nn.Module, x_NCHW: torch.Tensor, options: Mapping) -> torch.Tensor:
    """uint8 classes (N, H, W) of uint8 modalities (N, C, H, W) that lie on the network's device."""
    return predict_logits(network, x_NCHW, options).argmax(1).to(torch.uint8)


@torch.inference_mode()
def predict_with_confidence(
    network: torch.nn.Module, x_NCHW: torch.Tensor, options: Mapping
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, and float32 (N, H, W): the softmax of the class that is predicted."""
    sure_NHW, found_NHW = predict_logits(network, x_NCHW, options).float().softmax(1).max(1)
    return found_NHW.to(torch.uint8), sure_NHW


def predict_logits(network: torch.nn.Module, x_NCHW: torch.Tensor, options: Mapping) -> torch.Tensor:
    """(N, K, H, W) of uint8 modalities (N, C, H, W); with test_mirroring the logarithm of the mean softmax."""
    network.eval()
    with autocast(options["precision"], x_NCHW.device):
        x_NCHW = prepare(x_NCHW, options["intensities"], network.pad_to_input)
        if not options.get("test_mirroring"):
            return network(x_NCHW)[0]
        turned = (network(x_NCHW.flip(axes))[0].float().softmax(1).flip(axes) for axes in MIRRORINGS)
        return (sum(turned) / len(MIRRORINGS)).log()


def validation_dice(network: torch.nn.Module, source: SourceImages, classes: int, options: Mapping) -> float:
    """Mean over groups (subjects) and labels of the 3D Dice; a label in neither volume is left out.

    Images of all subjects go through the network one after the other; what they count is read once, at the end.
    """
    groups, images = list(source.validation.values()), source.images
    indices = torch.from_numpy(np.concatenate(groups))
    counts = []
    for chosen in indices.split(PREDICTION_BATCH):
        x_NCHW, reference_NHW = split_labels(images.batch(chosen))
        counts.append(label_counts(reference_NHW, predict(network, x_NCHW, options), classes))
    of_groups = torch.cat(counts).cpu().split([len(group) for group in groups])
    both_GK, sizes_GK = torch.stack([x_N2K.sum(0) for x_N2K in of_groups], 1).double()
    dice_GK = torch.where(sizes_GK > 0, 2 * both_GK / sizes_GK, torch.nan)
    return float(dice_GK.nanmean(0).nanmean().nan_to_num(0.0))


def label_counts(reference_NHW: torch.Tensor, found_NHW: torch.Tensor, classes: int) -> torch.Tensor:
    """int64 (N, 2, labels): of each image the pixels of each label in both, and in one and the other together."""
    counts = []
    for label in range(1, classes):
        a_NHW, b_NHW = reference_NHW == label, found_NHW == label
        counts.append(torch.stack([(a_NHW & b_NHW).sum((1, 2)), a_NHW.sum((1, 2)) + b_NHW.sum((1, 2))], 1))
    return torch.stack(counts, 2)


def predict_images(network: torch.nn.Module, images_NCHW: np.ndarray, device, options: Mapping) -> np.ndarray:
    """uint8 classes (N, H, W) of uint8 modalities (N, C, H, W) on the host, in batches."""
    images = DeviceImages(images_NCHW, device)
    found = [
        predict(network, images.batch(torch.arange(start, min(start + PREDICTION_BATCH, len(images)))), options).cpu()
        for start in range(0, len(images), PREDICTION_BATCH)
    ]
    return torch.cat(found).numpy()
