"""A training set as a data set of nnU-Net v2: grey PNGs, dataset.json, splits_final.json, and lineage.json of ours.

    nnUNet_raw/Dataset001_NAME/imagesTr/CASE_0000.png ...   a file for each modality, in the order of the stack
    nnUNet_raw/Dataset001_NAME/labelsTr/CASE.png            class numbers, 0 for background
    nnUNet_raw/Dataset001_NAME/dataset.json, lineage.json
    nnUNet_preprocessed/Dataset001_NAME/splits_final.json   where nnU-Net looks for it

Format    nnU-Net 2.8.1, documentation/dataset_format.md and manual_data_splits.md
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from understudy.files.atomic import write_json, write_text_atomically
from understudy.run.seeds import seed_of
from understudy.stack import Stack
from understudy.stack.archive import encode_png
from understudy.stack.labels import classes_of_grey, label_names
from understudy.study.result_paths import nnunet_dataset
from understudy.study.sources import REAL, counts

from .subjects_by_lot import in_order
from .training_images import Part, choose_images, is_even, subjects_apart

ENDING = ".png"


@dataclass(frozen=True)
class Case:
    """An image of the folder: where it is from, and where its annotation is from."""

    stack: Stack
    place: int
    annotated: int  # place of the image whose annotation it has

    def name(self, part: str) -> str:
        return f"{part}_{self.stack.names[self.place].removesuffix('.png').replace('/', '_')}"


@dataclass(frozen=True)
class Limits:
    """How a training set is cut for nnU-Net."""

    images: int  # at most, in the whole folder
    fraction: float  # held out by the first fold, of the subjects (real) or images (synthetic)
    folds: int  # at most; the first holds out what the study's segmenters hold out, the others divide the rest


def export_training_set(
    name: str,
    stacks: Mapping[str, Path],
    output: Path,
    dataset: str,
    *,
    limits: Limits,
    split_seed: int,
    repeat: int = 1,
    apart: bool = False,
) -> dict:
    """Writes the folders of a training set and returns its lineage, which is written last.

    Args:
        name, stacks, split_seed, apart: as for training_images.load_training_set.
        output: folder for nnUNet_raw and nnUNet_preprocessed. What an export wrote there before is removed.
        repeat: whose few subjects, of a part such as real-10subjects.
    Raises:
        ValueError: as load_training_set; two images would get one name; a fold would be empty; the disk is full.
    """
    held_out = None
    if apart:
        real = Stack.open(stacks[REAL])
        held_out = subjects_apart(real, limits.fraction, limits.images, split_seed)
    how = {"fraction": limits.fraction, "limit": limits.images, "split_seed": split_seed, "held_out": held_out}
    parts = choose_images(name, stacks, **how)
    most = _shares(name, parts, limits.images)
    kept = [_kept(part, n, split_seed, repeat) for part, n in zip(parts, most, strict=True)]
    cases, folds = _cases_and_folds(parts, kept, limits.folds, split_seed, repeat)
    if held_out:
        validation = {f"{REAL}-apart_{i:06d}": Case(real, i, i) for images in held_out.values() for i in images}
        cases, folds = cases | validation, [list(validation)]
    if not all(0 < len(fold) < len(cases) for fold in folds):
        raise ValueError(
            f"{name}: found {len(cases)} images, too few to train and validate on in every fold; expected more. Raise "
            "exports.images."
        )
    raw = output / "nnUNet_raw" / nnunet_dataset(dataset)
    shutil.rmtree(raw, ignore_errors=True)
    digest = write_cases(cases, raw / "imagesTr", raw / "labelsTr")
    split = [{"train": sorted(cases.keys() - set(fold)), "val": sorted(fold)} for fold in folds]
    write_splits(output, dataset, split)
    write_json(raw / "dataset.json", _description(parts[0].stack, dataset, name, len(cases)))
    lineage = {
        "format": 1,
        "dataset": dataset,
        "training_set": name,
        "repeat": repeat,
        "images": len(cases),
        "images_sha256": digest,
        "parts": {
            part.name: {"images": len(own), "of": len(part.chosen), "stack_sha256": part.stack.sha256}
            for part, own in zip(parts, kept, strict=True)
        },
        "validation": "apart" if apart else "study",
        "folds": len(split),
        "held_out_by_first_fold": limits.fraction,
        "split_seed": split_seed,
        "lineage": sorted({identity for part in parts for identity in part.stack.meta["lineage"]}),
    }
    write_json(raw / "lineage.json", lineage)
    return lineage


def drawn_equally(cases: Sequence[str], parts: Sequence[str]) -> list[str]:
    """The cases of a folder, those of smaller parts several times, so that every part is drawn equally often by who
    draws any of them with equal probability. How often cases of a part stand there differs by one at most."""
    groups: dict[str, list[str]] = {part: [] for part in parts}
    for case in cases:
        groups[max((part for part in parts if case.startswith(f"{part}_")), key=len)].append(case)
    most = max(map(len, groups.values()))
    return [case for group in groups.values() for case in np.resize(group, most).tolist()]


def write_splits(output: Path, dataset: str, split: Sequence[Mapping]) -> None:
    """splits_final.json is a list, one entry for each fold, of the cases to train on and those to validate on."""
    path = output / "nnUNet_preprocessed" / nnunet_dataset(dataset) / "splits_final.json"
    write_text_atomically(path, json.dumps(split, indent=1) + "\n")


def write_cases(cases: Mapping[str, Case], images: Path, labels: Path | None) -> str:
    """Writes the PNGs of the cases, annotations if there is a folder for them. Returns the SHA-256 of all names and
    pixels, in the order of the cases."""
    for folder in (images, labels):
        if folder:
            folder.mkdir(parents=True)
    digest = hashlib.sha256()
    for name, case in tqdm(cases.items(), "export", unit="img", mininterval=2):
        x_CHW = case.stack[case.place]
        grey = x_CHW[-1] if case.annotated == case.place else case.stack[case.annotated][-1]
        classes = classes_of_grey(grey, case.stack.meta["labels"])
        for channel, x_HW in enumerate(x_CHW[:-1]):
            (images / f"{name}_{channel:04d}{ENDING}").write_bytes(encode_png(x_HW[None]))
        if labels:
            (labels / f"{name}{ENDING}").write_bytes(encode_png(classes[None]))
        digest.update(name.encode() + x_CHW[:-1].tobytes() + classes.tobytes())
    return digest.hexdigest()


def _description(stack: Stack, dataset: str, name: str, count: int) -> dict:
    names = label_names(stack.meta["labels"])
    return {
        "name": dataset,
        "description": f"Training set {name} of {dataset}, written by understudy; lineage.json says what is in it",
        "channel_names": {str(place): channel for place, channel in enumerate(stack.channels[:-1])},
        "labels": {"background": 0} | {label: place for place, label in enumerate(names, 1)},
        "numTraining": count,
        "file_ending": ENDING,
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }


def _shares(name: str, parts: Sequence[Part], limit: int) -> list[int]:
    """How many images each part may have: of parts that a network sees equally often an equal share of the limit, else
    in proportion."""
    if is_even(name):
        return [limit // len(parts)] * len(parts)
    wanted = [count or 0 for count in counts(name).values()]
    return [min(count, count * limit // sum(wanted)) for count in wanted]


def _kept(part: Part, most: int, split_seed: int, repeat: int) -> np.ndarray:
    """Places in `part.chosen` of the images that are written: all, or as many as allowed, drawn by lot."""
    places = np.arange(len(part.chosen))
    if part.few:
        train, validation = part.few.drawn(repeat)
        places = np.sort(np.concatenate([train, *validation.values()]))
    lot = np.random.default_rng(seed_of(split_seed, part.name, "export")).permutation(len(places))
    return places if len(places) <= most else np.sort(places[lot[:most]])


def _cases_and_folds(
    parts: Sequence[Part], kept: Sequence[np.ndarray], folds: int, split_seed: int, repeat: int
) -> tuple[dict[str, Case], list[list[str]]]:
    """({name: case}, the validation cases of each fold). Folds are of the part that validates: the first with subjects,
    else the first. All images of one person are in one fold."""
    cases: dict[str, Case] = {}
    units: dict[str, list[str]] = {}  # of the part that validates: person, or case -> cases
    validating = next((part for part in parts if _by_subject(part)), parts[0])
    for part, places in zip(parts, kept, strict=True):
        for place in places:
            annotated = place if part.annotated is None else part.annotated[place]
            case = Case(part.stack, int(part.chosen[place]), int(part.chosen[annotated]))
            name = case.name(part.name)
            if name in cases:
                raise ValueError(f"{part.stack.path}: found two images that would be called {name}, expected one")
            cases[name] = case
            if part is validating:
                units.setdefault(_unit(part, place), []).append(name)
    held_out = np.concatenate([np.arange(0), *_held_out(validating, repeat).values()])
    first = units.keys() & {_unit(validating, place) for place in held_out}
    rest = in_order(units.keys() - first, split_seed, "folds")
    others = min(folds - 1, len(rest))
    by_fold = [sorted(first), *(rest[fold::others] for fold in range(others))]
    return cases, [[name for unit in fold for name in units[unit]] for fold in by_fold]


def _held_out(part: Part, repeat: int) -> Mapping[str, np.ndarray]:
    """As the study's segmenters do: subject, or nobody -> places in `part.chosen`."""
    return part.few.drawn(repeat)[1] if part.few else part.validation


def _by_subject(part: Part) -> bool:
    """Whether its images are held out by subject, as real ones are; shuffled ones have others' annotations."""
    return part.few is not None or "" not in part.validation


def _unit(part: Part, place: int) -> str:
    """What stays together: all images of a person, or an image of nobody."""
    people = part.people if _by_subject(part) else None
    return people[part.chosen[place]] if people else part.stack.names[part.chosen[place]]
