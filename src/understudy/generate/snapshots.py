"""What is looked at while a generator trains, snapshot by snapshot: are its samples copies, are they all alike?

Of three trainings that go wrong, one shows it in its losses. The other two look well there: a generator that paints its
training patients, and one that has collapsed and paints one patient, or none with a tumor.
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

REAL = 256  # training images that say what is usual
ALIKE = 0.1  # of the training images' deviation
IN_A_ROW = 3  # snapshots that show a collapse before it is believed


class Snapshots:
    """Of one training. `history` has what was seen; `chosen` the images seen and the weights of the last snapshot that
    was within the memorization limit; `done` says that the training ends by it."""

    def __init__(self, images: DeviceImages, coding: Coding, subjects: Sequence[str] | None, options: Generator):
        self.options, self.coding = options, coding
        self.modalities = coding.modalities(images.channels)
        self.memorization = Memorization(images, self.modalities, subjects)
        self.real_NCHW = images.batch(torch.linspace(0, len(images) - 1, min(REAL, len(images))).round().long())
        self.history: list[dict] = []
        self.chosen: dict = {}
        self.done = False

    def due(self, before: int, after: int) -> bool:
        """Whether one falls into the iteration between these numbers of images: at multiples, and at the end."""
        every = round(self.options.snapshot_kimg * 1000)
        return after // every > before // every or after >= self.options.kimg * 1000

    def look(self, images_seen: int, x_NCHW: Tensor, network: nn.Module) -> dict[str, float]:
        """What samples x_NCHW (uint8, as in a stack) of the averaged network show.

        Raises:
            FailedRunError: they are alike or without any annotation for the third time in a row; or the training is
                over and no snapshot was within the memorization limit.
        """
        found = self.memorization.look(x_NCHW) | self.variety(x_NCHW)
        self.history.append({"images_seen": images_seen, **found})
        self._refuse_collapse()
        if self.options.memorization_action != "log":
            self._judge(images_seen, found["memorized_share"], network)
        return found

    def told(self) -> list[dict]:
        """The history as JSON can say it: none in place of what is no number."""
        return [{k: v if math.isfinite(v) else None for k, v in entry.items()} for entry in self.history]

    def variety(self, x_NCHW: Tensor) -> dict[str, float]:
        """diversity: deviation between samples, mean over pixels, relative to that between training images. annotated:
        share of samples with any label, relative to training images."""
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
