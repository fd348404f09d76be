"""Checks a generator's samples at regular snapshots of its training: does it copy patients, has it collapsed?

Losses reveal divergence, but neither a generator that memorizes its training patients nor one that has collapsed to one
image or to images without tumor.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.config.generator import Generator
from understudy.run.attempts import FailedRunError
from understudy.run.device_images import DeviceImages

from .annotation_channel import Coding
from .memorization import Memorization

REAL = 256  # training images that samples are compared with
ALIKE = 0.1  # of the training images' standard deviation
IN_A_ROW = 3  # consecutive snapshots that make a collapse


class Snapshots:
    """The snapshots of one training.

    history: the numbers of every snapshot so far.
    chosen: images seen and weights of the last snapshot within the memorization limit.
    done: whether memorization ends the training.
    """

    def __init__(self, images: DeviceImages, coding: Coding, people: Sequence[str] | None, options: Generator):
        self.options, self.coding = options, coding
        self.modalities = coding.modalities(images.channels)
        self.memorization = Memorization(images, self.modalities, people)
        self.real_NCHW = images.batch(torch.linspace(0, len(images) - 1, min(REAL, len(images))).round().long())
        self.history: list[dict] = []
        self.chosen: dict = {}
        self.done = False

    def due(self, before: int, after: int) -> bool:
        """Whether a snapshot is due in this iteration: every snapshot_kimg thousand images, and at the end."""
        every = round(self.options.snapshot_kimg * 1000)
        return after // every > before // every or after >= self.options.kimg * 1000

    def look(self, images_seen: int, x_NCHW: Tensor, network: nn.Module) -> dict[str, float]:
        """The numbers of one snapshot, from samples of the averaged network.

        Args:
            x_NCHW: uint8, as in a stack.
        Raises:
            FailedRunError: for the third time in a row all samples are alike, or none has an annotation; or the
                training is over and no snapshot was within the memorization limit.
        """
        found = self.memorization.look(x_NCHW) | self.variety(x_NCHW)
        self.history.append({"images_seen": images_seen, **found})
        self._refuse_collapse()
        if self.options.memorization_action != "log":
            self._judge(images_seen, found["memorized_share"], network)
        return found

    def told(self) -> list[dict]:
        """The history for JSON: None in place of NaN and infinity."""
        return [{k: v if math.isfinite(v) else None for k, v in entry.items()} for entry in self.history]

    def variety(self, x_NCHW: Tensor) -> dict[str, float]:
        """How varied the samples are, relative to training images.

        diversity: standard deviation between samples, mean over pixels. annotated: share of samples with any label.
        """
        deviation, real = (x[:, : self.modalities].float().std(0).mean() for x in (x_NCHW, self.real_NCHW))
        found = {"diversity": float(deviation / real.clamp(min=1e-6))}
        if self.coding.labels:
            has, real = (x[:, -1].flatten(1).any(1).float().mean() for x in (x_NCHW, self.real_NCHW))
            found["annotated"] = float(has / real.clamp(min=1e-6))
        return found

    def _refuse_collapse(self) -> None:
        last = self.history[-IN_A_ROW:]
        if len(last) < IN_A_ROW:
            return
        signs = {
            f"its samples are all alike (diversity under {ALIKE} of the training images')": all(
                entry["diversity"] < ALIKE for entry in last
            ),
            "the annotation of all its samples is empty": all(entry.get("annotated", 1) == 0 for entry in last),
        }
        for sign, seen in signs.items():
            if seen:
                raise FailedRunError(
                    f"the generator has collapsed: {sign} at {last[0]['images_seen']} to {last[-1]['images_seen']} "
                    "images. Nothing is published; lower learning rates may help."
                )

    def _judge(self, images_seen: int, share: float, network: nn.Module) -> None:
        o = self.options
        if share <= o.memorization_limit:
            weights = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
            self.chosen = {"images_seen": images_seen, "weights": weights}
        elif o.memorization_action == "stop":
            print(f"stopped by memorization_action: {share:.3f} of the samples are memorized at {images_seen} images")
            self.done = True
        if (self.done or images_seen >= o.kimg * 1000) and not self.chosen:
            raise FailedRunError(
                f"memorized share of samples: found {share:.3f} at {images_seen} images and no snapshot within the "
                f"memorization_limit of {o.memorization_limit}. Nothing is published; train on more subjects, look "
                "more often (snapshot_kimg), or raise the limit."
            )

    def state(self) -> dict:
        return {"history": self.history, "chosen": self.chosen, "done": self.done}

    def load_state(self, state: dict) -> None:
        self.history, self.chosen, self.done = list(state["history"]), state["chosen"], state["done"]
