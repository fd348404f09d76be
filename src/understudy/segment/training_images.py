"""Training sets: which images of which stacks, the part held out for validation, and the order they are seen in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from understudy.run.device_images import DeviceImages, epoch_indices, hold_out
from understudy.run.seeds import seed_of
from understudy.run.transfer import to_device
from understudy.stack import Stack
from understudy.stack.labels import classes_of_grey
from understudy.study.sources import REAL, SHUFFLED, Source, counts, parts

from .subjects_by_lot import first_percent, in_order

LOOKED_AT = 1000  # images at a time
ROUNDING = 1e-9  # 10 times 0.1 is 1


@dataclass
class SourceImages:
    """One part of a training set on the device: modalities and classes, split into train and validation images."""

    name: str
    images: DeviceImages  # uint8 (N, C + 1, H, W): modalities, then class numbers
    train: np.ndarray  # image indices
    validation: dict[str, np.ndarray]  # subject -> its validation images; synthetic images are one group
    few: "Few | None" = None  # `train` and `validation` are then those of a repeat

    @property
    def by_subject(self) -> bool:
        """Whether validation is by subject; images without a subject (or with another's labels) are pooled."""
        return "" not in self.validation

    @cached_property
    def labelled(self) -> np.ndarray:
        """Places in `train` of the images that show a label."""
        blocks = np.split(self.train, range(LOOKED_AT, len(self.train), LOOKED_AT))
        shown = [self.images.batch(torch.from_numpy(block))[:, -1].amax((1, 2)).cpu().numpy() > 0 for block in blocks]
        return np.flatnonzero(np.concatenate(shown))


@dataclass(frozen=True)
class Few:
    """A few random people of a source, drawn anew in each repeat, the same for every training set."""

    count: int
    subjects: list[str]  # of each image
    people: list[str]  # of each image
    fraction: float  # share of them held out for validation; 0: others validate
    limit: int
    split_seed: int

    def drawn(self, repeat: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(train image indices, {subject: validation image indices}), as hold_out gives them of all."""
        drawn = set(in_order(self.people, self.split_seed, "few", repeat)[: self.count])
        chosen = np.flatnonzero([person in drawn for person in self.people])
        if not self.fraction:
            return chosen, {}
        own = [[names[i] for i in chosen] for names in (self.subjects, self.people)]
        train, validation = hold_out(len(chosen), *own, self.fraction, self.limit, self.split_seed)
        return chosen[train], {subject: chosen[images] for subject, images in validation.items()}


@dataclass
class TrainingSet:
    """The sources that a network learns from.

    validator: the source whose held-out images validate.
    even: sources take turns, whatever their size; otherwise every image is seen equally often.
    foreground: share of the images drawn from those of their source that show a label (nnU-Net).
    """

    sources: list[SourceImages]
    seed: int
    validator: SourceImages
    even: bool = True
    foreground: float = 0.0

    def of_repeat(self, repeat: int, seed: int) -> "TrainingSet":
        """The training set of one repeat: its own order of images, and its own few subjects."""
        own = {}
        for source in self.sources:
            own[id(source)] = source
            if source.few:
                train, validation = source.few.drawn(repeat)
                own[id(source)] = replace(source, train=train, validation=validation)
        validator = own.get(id(self.validator), self.validator)
        return replace(self, sources=list(own.values()), validator=validator, seed=seed)

    def share(self) -> None:
        """Lets child processes use the same images without a copy."""
        for images in {id(source.images): source.images for source in [*self.sources, self.validator]}.values():
            images.share()

    def batch(self, position: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(uint8 modalities (N, C, H, W), int64 classes (N, H, W)) from a position of the endless training sequence."""
        places = np.arange(position, position + count)
        batches, rows = [], []
        if not self.even:
            bounds = np.cumsum([0, *(len(source.train) for source in self.sources)])
            order = epoch_indices(bounds[-1], seed_of(self.seed, "mixture"), position, count).numpy()
        for turn, source in enumerate(self.sources):
            inside = places % len(self.sources) == turn
            if not self.even:
                inside = (order >= bounds[turn]) & (order < bounds[turn + 1])
            if not inside.any():
                continue
            if self.even:
                first = int(places[inside][0]) // len(self.sources)
                seed = seed_of(self.seed, source.name)
                chosen = epoch_indices(len(source.train), seed, first, int(inside.sum())).numpy()
                own = first + np.arange(len(chosen))
            else:
                chosen, own = order[inside] - bounds[turn], places[inside]
            if self.foreground:
                chosen = self._with_foreground(source, chosen, own)
            batches.append(source.images.batch(torch.from_numpy(source.train[chosen])))
            rows.append(np.flatnonzero(inside))
        if len(batches) == 1:
            return split_labels(batches[0])
        in_turn = to_device(np.argsort(np.concatenate(rows)), batches[0].device)
        return split_labels(torch.cat(batches)[in_turn])

    def _with_foreground(self, source: SourceImages, chosen: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Replaces the given share of the images by images that show a label, which have epochs of their own."""
        whole = np.floor(places * self.foreground + ROUNDING).astype(int)
        forced = np.floor((places + 1) * self.foreground + ROUNDING).astype(int) > whole
        if not (forced.any() and len(source.labelled)):
            return chosen
        turns = whole[forced]
        seed = seed_of(self.seed, source.name, "foreground")
        drawn = epoch_indices(len(source.labelled), seed, int(turns[0]), int(turns[-1] - turns[0]) + 1).numpy()
        chosen = chosen.copy()
        chosen[forced] = source.labelled[drawn[turns - turns[0]]]
        return chosen


def split_labels(x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x_NCHW[:, :-1], x_NCHW[:, -1].long()


@dataclass
class Part:
    """One part of a training set: which images of its stack, before any is read."""

    name: str
    stack: Stack
    chosen: np.ndarray  # places in the stack
    train: np.ndarray  # places in `chosen`, as all below
    validation: dict[str, np.ndarray]  # subject -> its validation images; synthetic images are one group
    few: Few | None = None  # `train` and `validation` are then those of a repeat
    annotated: np.ndarray | None = None  # whose annotation each image has; None: its own

    @cached_property
    def people(self) -> list[str] | None:
        """The person of each image of the stack; None where they are of nobody."""
        return self.stack.people()


def open_parts(training_set: str, paths: Sequence[Path]) -> dict[str, Stack]:
    """The stack of each part of a training set, of the files in its order."""
    return {part: Stack.open(path) for part, path in zip(parts(training_set), paths, strict=True)}


def failed_generator(stacks: Mapping[str, Stack]) -> str:
    """Why nothing can be learned from a part of the training set; empty where all of it can."""
    failed = {part: stack.meta["source"].get("failure") for part, stack in stacks.items()}
    return "; ".join(f"the training of its generator {part} failed ({why})" for part, why in failed.items() if why)


def choose_images(
    name: str,
    stacks: Mapping[str, Path],
    *,
    fraction: float,
    limit: int,
    split_seed: int,
    held_out: Mapping[str, np.ndarray] | None = None,
) -> list[Part]:
    """The parts of a training set; arguments and errors as below. `held_out`: subject -> real images that validate
    every training set, and belong to none."""
    found, wanted = [], counts(name)
    for part, count in wanted.items():
        stack = Stack.open(stacks[part])
        source, chosen = Source.of(part), np.arange(len(stack))
        if held_out and source.is_real:
            chosen = np.setdiff1d(chosen, np.concatenate(list(held_out.values())))
        if source.is_real and (source.percent < 100 or source.beyond):
            chosen = _of_some(stack, chosen, source, split_seed)
        if count is not None:
            if count > len(chosen):
                raise ValueError(f"{stack.path}: found {len(chosen)} images to train on, {name} wants {count}")
            chosen = np.sort(np.random.default_rng(seed_of(split_seed, part, "count")).permutation(chosen)[:count])
        own = (None, None) if part == SHUFFLED else _whose(stack, chosen)
        train, validation, few = np.arange(len(chosen)), {}, None
        if source.subjects:
            few = _few(stack, source.subjects, *own, 0 if held_out else fraction, limit, split_seed)
        elif not held_out:
            train, validation = hold_out(len(chosen), *own, fraction, limit, split_seed)
        annotated = derangement(len(chosen), split_seed) if part == SHUFFLED else None
        found.append(Part(part, stack, chosen, train, validation, few, annotated))
    return found


def subjects_apart(real: Stack, fraction: float, limit: int, split_seed: int) -> dict[str, np.ndarray]:
    """subject -> its images, of the real subjects who validate every training set."""
    return hold_out(len(real), real.subjects(), real.people(), fraction, limit, split_seed)[1]


def load_training_set(
    name: str,
    stacks: Mapping[str, Path],
    *,
    fraction: float,
    limit: int,
    split_seed: int,
    seed: int,
    device,
    apart: bool = False,
) -> TrainingSet:
    """Reads the stacks of a training set.

    Args:
        name: such as real+stylegan2 or real=5000+stylegan2=95000.
        stacks: path of each part. The stack of `real` also serves `shuffled`, and is needed if `apart`. For a part such
            as real-10subjects, TrainingSet.of_repeat draws the subjects.
        fraction: share held out for validation, of the subjects (real) or images (synthetic).
        limit: largest number of synthetic images for validation.
        split_seed: random seed of the held-out part, the same for all repeats.
        apart: whether the held-out real subjects validate every training set; nothing else is held out then.
    Raises:
        ValueError: a stack has fewer images than requested, or too few to hold some out.
    """
    validator = held_out = None
    if apart:
        real = Stack.open(stacks[REAL])
        held_out = subjects_apart(real, fraction, limit, split_seed)
        validator = _validator(real, held_out, device)
    how = {"fraction": fraction, "limit": limit, "split_seed": split_seed, "held_out": held_out}
    sources = []
    for part in choose_images(name, stacks, **how):
        x_NCHW = _with_classes(part.stack, part.chosen)
        if part.annotated is not None:
            x_NCHW[:, -1] = x_NCHW[part.annotated, -1]
        images = DeviceImages(x_NCHW, device)
        sources.append(SourceImages(part.name, images, part.train, part.validation, part.few))
    validator = validator or next((s for s in sources if s.by_subject), sources[0])
    return TrainingSet(sources, seed, validator, even=is_even(name))


def is_even(name: str) -> bool:
    """Whether the parts of a training set are seen equally often, whatever their size."""
    return all(count is None for count in counts(name).values())


def _of_some(stack: Stack, chosen: np.ndarray, source: Source, split_seed: int) -> np.ndarray:
    """The chosen images whose people are among the first percent, or, for a source with `beyond`, are not."""
    people = stack.people()
    first = first_percent((people[i] for i in chosen), source.beyond or source.percent, split_seed)
    return chosen[[(people[i] in first) != bool(source.beyond) for i in chosen]]


def _whose(stack: Stack, chosen: np.ndarray) -> tuple[list[str] | None, list[str] | None]:
    """(subject, person) of each chosen image; None where they are of nobody."""
    subjects, people = stack.subjects(), stack.people()
    return (subjects and [subjects[i] for i in chosen], people and [people[i] for i in chosen])


def _few(
    stack: Stack, count: int, subjects: list[str], people: list[str], fraction: float, limit: int, split_seed: int
) -> Few:
    if count > (known := len(set(people))):
        raise ValueError(f"{stack.path}: found {known} patients to train on, expected the {count} that are asked for")
    return Few(count, subjects, people, fraction, limit, split_seed)


def _validator(stack: Stack, held_out: Mapping[str, np.ndarray], device) -> SourceImages:
    """A source of real images that validates alone, of these groups."""
    ends = np.cumsum([len(images) for images in held_out.values()])
    groups = dict(zip(held_out, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
    x_NCHW = _with_classes(stack, np.concatenate(list(held_out.values())))
    return SourceImages(REAL, DeviceImages(x_NCHW, device), np.arange(0), groups)


def _with_classes(stack: Stack, chosen: np.ndarray) -> np.ndarray:
    """The chosen images of a stack, class numbers in the last channel."""
    x_NCHW = stack.read(chosen)
    x_NCHW[:, -1] = classes_of_grey(x_NCHW[:, -1], stack.meta["labels"])
    return x_NCHW


def derangement(n: int, seed: int) -> np.ndarray:
    """A permutation that leaves nothing in its place: a random cycle through all."""
    order = np.random.default_rng(seed_of(seed, SHUFFLED)).permutation(n)
    moved = np.empty(n, np.int64)
    moved[order] = np.roll(order, 1)
    return moved
