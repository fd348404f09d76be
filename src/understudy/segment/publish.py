"""What a finished segmenter publishes: weights, the history of its validation, predictions of the test volumes."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from understudy.files.allocation_limit import Budget
from understudy.files.atomic import atomic_path, write_text_atomically
from understudy.files.json_forms import SegmenterWeights
from understudy.files.outside import checked
from understudy.stack import Stack, tensors
from understudy.stack.labels import classes_of_grey, grey_of_classes

from . import build, building_options
from .segmenter_training import SegmenterTrainee, predict_images

EXPECTED = "weights of train_segmenter"
HISTORY = ("epoch", "images_seen", "learning_rate", "loss", "dice")

Predict = Callable[[np.ndarray], np.ndarray]
"""uint8 modalities (N, C, H, W) -> uint8 classes (N, H, W): all that scores and pictures ask of a segmenter."""


class FindsNothing(torch.nn.Module):
    """Scores a training that left no network: it predicts background everywhere."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def pad_to_input(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return x_NCHW

    def forward(self, x_NCHW: torch.Tensor) -> list[torch.Tensor]:
        logits_NKHW = x_NCHW.new_zeros(len(x_NCHW), self.classes, *x_NCHW.shape[2:])
        logits_NKHW[:, 0] = 1
        return [logits_NKHW]


def publish_weights(trainee: SegmenterTrainee, path: Path, metadata: Mapping) -> None:
    """Writes the best weights (safetensors, `metadata` as JSON in its header)."""
    metadata = {**metadata, "best_epoch": trainee.best["epoch"], "validation_dice": trainee.best["dice"]}
    metadata = json.loads(json.dumps(metadata))  # as it will be read: lists in place of tuples
    tensors.write_tensors(path, trainee.best["weights"], checked(SegmenterWeights, metadata, str(path), EXPECTED))


def publish_failure(path: Path, metadata: Mapping, failure: str) -> None:
    """The same of a training that has left no weights: no tensors, and why."""
    metadata = json.loads(json.dumps({**metadata, "failure": failure}))
    tensors.write_tensors(path, {}, checked(SegmenterWeights, metadata, str(path), EXPECTED))


def failure_of(path: str | Path) -> str:
    """Why the training behind published weights failed and left none; empty where it did not. Raises ValueError where
    the file is missing, or is another."""
    return tensors.read_metadata(path, SegmenterWeights, EXPECTED).get("failure") or ""


def write_history(history: Sequence[Mapping], path: Path) -> None:
    """A row per epoch (CSV)."""
    text = io.StringIO()
    table = csv.DictWriter(text, HISTORY, lineterminator="\n")
    table.writeheader()
    table.writerows(history)
    write_text_atomically(path, text.getvalue())


def load_segmenter(path: str | Path, device: torch.device | str = "cpu") -> tuple[torch.nn.Module, dict]:
    """(network in eval mode, metadata) of published weights.

    The file may be a stranger's: only networks of known names are built, no larger than its tensors are. Raises
    ValueError where it is missing, is another file, or describes another network than it has weights of.
    """
    metadata = tensors.read_metadata(path, SegmenterWeights, EXPECTED)
    if metadata.get("failure"):
        raise ValueError(f"{path}: found no weights, as their training failed ({metadata['failure']})")
    header = tensors.read_header(path, EXPECTED)
    shape = (metadata["channels"], metadata["classes"], metadata["size"])
    try:
        options = building_options(metadata["segmenter"], metadata["options"])
        with Budget(header.numbers, len(header.entries)):
            network = build(metadata["segmenter"], *shape, **options)
        tensors.check_fits(header, network.state_dict())
    except tensors.UNBUILDABLE as error:
        raise ValueError(f"{path}: found {error}, expected {EXPECTED}") from error
    network.load_state_dict(tensors.read_finite(path, EXPECTED))
    return network.to(device).eval(), metadata


def load_to_score(path: str | Path, device: torch.device | str = "cpu") -> tuple[torch.nn.Module, dict]:
    """The same of weights that are scored once more: a training that failed and left none finds nothing."""
    metadata = tensors.read_metadata(path, SegmenterWeights, EXPECTED)
    return (FindsNothing(metadata["classes"]), metadata) if metadata.get("failure") else load_segmenter(path, device)


def predicting(network: torch.nn.Module, device: torch.device | str, options: Mapping) -> Predict:
    """A network of ours with the options of its training."""
    return partial(predict_images, network, device=device, options=options)


def finds_nothing(x_NCHW: np.ndarray) -> np.ndarray:
    """What a training is scored by that has left nothing to predict with: everything is background."""
    return np.zeros((len(x_NCHW), *x_NCHW.shape[2:]), np.uint8)


def predicted_volumes(
    predict: Predict, test: Stack, slices: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray, tuple[float, ...]]]:
    """(subject, predicted classes (Z, Y, X), reference classes (Z, Y, X), spacing_mm (z, y, x)) per test subject.

    `slices` is "all", or "included": the slices that pass the slice rule, put together with the gaps closed, as the
    study's released code does.
    """
    places: dict[str, list[int]] = {}
    for place in range(len(test)) if slices == "all" else test.included():
        places.setdefault(test.names[place].split("/")[0], []).append(place)
    for subject, indices in places.items():
        x_NCHW = test.read(indices)
        prediction = predict(x_NCHW[:, :-1])
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


def write_example(predict: Predict, test: Stack, path: Path) -> None:
    """One test slice as grey PNG (3 * H, W): last modality, reference, prediction (both in label grey levels)."""
    x_CHW = test[example_place(test)]
    levels = test.meta["labels"]
    prediction = grey_of_classes(predict(x_CHW[None, :-1])[0], levels)
    done, png = cv2.imencode(".png", np.concatenate([x_CHW[-2], x_CHW[-1], prediction]))
    assert done
    with atomic_path(path) as temporary:
        temporary.write_bytes(png.tobytes())
