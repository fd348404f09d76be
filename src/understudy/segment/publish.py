"""What a finished segmenter leaves: weights, the history of its validation, predictions of the test volumes."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from understudy.core.files import atomic_path, canonical_json, write_text_atomically
from understudy.core.labels import classes_of_grey, grey_of_classes
from understudy.core.stack import Stack

from . import build
from .train import SegmenterTrainee, predict_images

METADATA = "understudy"  # the safetensors metadata key of our JSON


def publish_weights(trainee: SegmenterTrainee, path: Path, metadata: Mapping) -> None:
    """Writes the best weights (safetensors, `metadata` as JSON in its header)."""
    metadata = {**metadata, "best_epoch": trainee.best["epoch"], "validation_dice": trainee.best["dice"]}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(trainee.best["weights"], {METADATA: canonical_json(metadata)}))


def write_history(trainee: SegmenterTrainee, path: Path) -> None:
    """A row per epoch (CSV)."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(trainee.history[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(trainee.history)
    write_text_atomically(path, text.getvalue())


def load_segmenter(path: str | Path, device: torch.device | str = "cpu") -> tuple[torch.nn.Module, dict]:
    """(network in eval mode, metadata) of published weights."""
    import json

    with safe_open(path, "pt", device=str(device)) as file:
        metadata = json.loads(file.metadata()[METADATA])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no dict
    options = {key: value for key, value in metadata["options"].items() if key != "pretrained"}
    network = build(metadata["segmenter"], metadata["channels"], metadata["classes"], metadata["size"], options)
    network.load_state_dict(weights)
    return network.to(device).eval(), metadata


def predicted_volumes(
    network: torch.nn.Module, test: Stack, slices: str, device: torch.device | str, options: Mapping
) -> Iterator[tuple[str, np.ndarray, np.ndarray, tuple[float, ...]]]:
    """(subject, predicted classes (Z, Y, X), reference classes (Z, Y, X), spacing_mm (z, y, x)) per test subject.

    `slices` is "all", or "included": the slices that pass the slice rule, put together with the gaps closed, as the
    study's released code does.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(test.names):
        subject, number = name.removesuffix(".png").split("/")
        if slices == "all" or int(number) in test.meta["subjects"][subject]["included"]:
            places.setdefault(subject, []).append(place)
    for subject, indices in places.items():
        x_NCHW = test.read(indices)
        prediction = predict_images(network, x_NCHW[:, :-1], device, options)
        reference = classes_of_grey(x_NCHW[:, -1], test.meta["labels"])
        yield subject, prediction, reference, tuple(test.meta["subjects"][subject]["spacing_mm"])


def example_place(test: Stack) -> int:
    """The test slice that every training shows: of those with the most labels, the one with the largest tumor."""
    best, chosen = (-1, -1), 0
    for place in range(len(test)):
        grey = test[place][-1]
        key = (len(np.unique(grey)), int((grey > 0).sum()))
        if key > best:
            best, chosen = key, place
    return chosen


def write_example(network: torch.nn.Module, test: Stack, path: Path, device, options: Mapping) -> None:
    """One test slice as grey PNG (3 * H, W): last modality, reference, prediction (both in label grey levels)."""
    x_CHW = test[example_place(test)]
    levels = test.meta["labels"]
    prediction = grey_of_classes(predict_images(network, x_CHW[None, :-1], device, options)[0], levels)
    done, png = cv2.imencode(".png", np.concatenate([x_CHW[-2], x_CHW[-1], prediction]))
    assert done
    with atomic_path(path) as temporary:
        temporary.write_bytes(png.tobytes())
