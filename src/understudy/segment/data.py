"""Training sets: which images of which stacks, the part held out for validation, and the order they are seen in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from understudy.core.data import DeviceImages, epoch_indices
from understudy.core.grid import SHUFFLED, parts
from understudy.core.labels import classes_of_grey
from understudy.core.seeds import seed_of
from understudy.core.stack import Stack


@dataclass
class Source:
    """One part of a training set on the device: modalities and classes, split into train and validation images."""

    name: str
    images: DeviceImages  # uint8 (N, C + 1, H, W): modalities, then class numbers
    train: np.ndarray  # image indices
    validation: dict[str, np.ndarray]  # subject -> its validation images; synthetic images are one group

    @property
    def by_subject(self) -> bool:
        """Whether validation is by subject; images without a subject (or with another's labels) are pooled."""
        return "" not in self.validation


@dataclass
class TrainingSet:
    sources: list[Source]
    seed: int

    def batch(self, position: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(uint8 modalities (N, C, H, W), int64 classes (N, H, W)) at a place of the endless training sequence.

        Sources take turns, so each is seen equally often whatever its size.
        """
        places = np.arange(position, position + count)
        batches = []
        for turn, source in enumerate(self.sources):
            own = places[places % len(self.sources) == turn] // len(self.sources)
            if len(own):
                order = epoch_indices(len(source.train), seed_of(self.seed, source.name), int(own[0]), len(own))
                batches.append(source.images.batch(torch.from_numpy(source.train[order.numpy()])))
        return split_labels(torch.cat(batches))

    @property
    def judge(self) -> Source:
        """The source that validates: real subjects where there are any."""
        return next((s for s in self.sources if s.by_subject), self.sources[0])


def split_labels(x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x_NCHW[:, :-1], x_NCHW[:, -1].long()


def load_training_set(
    name: str, stacks: Mapping[str, Path], *, fraction: float, limit: int, split_seed: int, seed: int, device
) -> TrainingSet:
    """Reads the stacks of a training set.

    Args:
        name: such as real+stylegan2; stacks: path of each part (that of `real` serves `shuffled`).
        fraction: share held out for validation, of the subjects (real) or images (synthetic).
        limit: at most so many synthetic images validate. split_seed: of the held-out part, the same for all repeats.
    """
    sources = []
    for part in parts(name):
        stack = Stack.open(stacks[part])
        x_NCHW = stack.read()
        x_NCHW[:, -1] = classes_of_grey(x_NCHW[:, -1], stack.meta["labels"])
        if part == SHUFFLED:
            x_NCHW[:, -1] = x_NCHW[derangement(len(stack), split_seed), -1]
        subjects = None if part == SHUFFLED or "subjects" not in stack.meta else [n.split("/")[0] for n in stack.names]
        train, validation = hold_out(len(stack), subjects, fraction, limit, split_seed)
        sources.append(Source(part, DeviceImages(x_NCHW, device), train, validation))
    return TrainingSet(sources, seed)


def derangement(n: int, seed: int) -> np.ndarray:
    """A permutation that leaves nothing in its place: a random cycle through all."""
    order = np.random.default_rng(seed_of(seed, SHUFFLED)).permutation(n)
    moved = np.empty(n, np.int64)
    moved[order] = np.roll(order, 1)
    return moved


def hold_out(
    n: int, subjects: Sequence[str] | None, fraction: float, limit: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(train image indices, {subject: validation image indices}); without subjects images are drawn singly.

    Raises ValueError where a part would be empty.
    """
    host = np.random.default_rng(seed_of(seed, "validation"))
    units = sorted(set(subjects)) if subjects else list(range(n))
    kept = int(np.floor((1 - fraction) * len(units) + 0.5))  # rounds half up, as the released code
    if not 0 < kept < len(units):
        kind = "subjects" if subjects else "images"
        raise ValueError(f"training set of {len(units)} {kind}: cannot hold out {fraction:.0%}; expected more {kind}")
    order = host.permutation(len(units))
    if subjects is None:
        return np.sort(order[:kept]), {"": np.sort(order[kept:])[:limit]}
    number = {unit: place for place, unit in enumerate(units)}
    place = np.array([number[s] for s in subjects])
    train = np.flatnonzero(np.isin(place, order[:kept]))
    return train, {units[u]: np.flatnonzero(place == u) for u in np.sort(order[kept:])}
