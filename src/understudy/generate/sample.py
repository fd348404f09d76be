"""Synthetic images of a trained generator, as a stack of the same format as the real one, and a grid to look at.

A stopped sampling continues where it was (run/parts.py): its run directory holds the finished images (shards.py). The
number of images is not part of its identity: asking for more later draws the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from understudy.files.atomic import atomic_path, hash_of, sha256_of_file, write_json
from understudy.run import distributed
from understudy.run.parts import Turn
from understudy.stack import Stack
from understudy.stack.labels import LABEL_CHANNEL, classes_of_grey
from understudy.stack.lineage import UNKNOWN
from understudy.stack.manifest import write_manifest

from .guard import Guard
from .shards import join_shards, missing_blocks, open_shards, places, write_shards
from .weights import coding_of, load_generator, read_metadata

GRID_IMAGES = 8
GRID_PIXELS = 128  # an image is shown at least this large
COLOURS_RGB = ((0, 0, 0), (0, 170, 0), (0, 90, 255), (230, 0, 0), (255, 200, 0), (200, 0, 255), (0, 210, 210))


@dataclass(frozen=True)
class Sampling:
    """Which images are wanted: image i is a function of (weights, seed, i)."""

    weights: Path
    metadata: dict  # of the weights
    sha256: str  # of the weights
    seed: int
    count: int
    folder: Path  # its run directory
    threads: int  # that encode
    train: Stack | None = None  # what a guard keeps apart from

    @classmethod
    def of(
        cls,
        weights: str | Path,
        count: int,
        seed: int,
        runs: str | Path,
        threads: int = 2,
        train: str | Path | None = None,
    ) -> "Sampling":
        """`train`: the stack of the training images, for a generator whose options ask for a guard.

        Raises ValueError where the weights cannot be read, no image is wanted, or a guard has no or other images.
        """
        if count < 1:
            raise ValueError(f"count {count}: expected at least 1")
        metadata, sha256 = read_metadata(weights), sha256_of_file(weights)
        folder = Path(runs) / hash_of({"weights": sha256, "seed": seed})
        guarded = _guarded_from(weights, metadata, train) if metadata["options"].get("guard") else None
        return cls(Path(weights), metadata, sha256, seed, count, folder, threads, guarded)

    @property
    def failed(self) -> bool:
        """Whether the training of the generator has failed: then images are black, and the stack says why."""
        return bool(self.metadata.get("failure"))

    @property
    def meta(self) -> dict:
        """stack.json of the samples."""
        source = {key: self.metadata[key] for key in ("dataset", "generator")}
        if "lineage_commitment" in self.metadata:  # weights of a release: their subjects are a secret, not nobody
            source["lineage"] = UNKNOWN
        if "training_sha256" in self.metadata:
            source["training_sha256"] = self.metadata["training_sha256"]
        if self.failed:
            source["failure"] = self.metadata["failure"]
        return {
            "channels": self.metadata["channels"],
            "labels": self.metadata["labels"],
            "height": self.metadata["size"],
            "width": self.metadata["size"],
            "source": {**source, "weights_sha256": self.sha256, "seed": self.seed},
            "lineage": self.metadata["lineage"],
        }

    # ---------------------------------------------------------------------------- run.parts.Work
    def begin(self) -> None:
        write_json(self.folder / "config.json", {"weights": self.sha256, "seed": self.seed})

    def missing(self) -> int:
        return sum(map(len, self._missing_blocks()))

    def _missing_blocks(self) -> list[range]:
        return missing_blocks(places(open_shards(self.folder)), self.count)

    def make_share(self, device: torch.device, turn: Turn) -> None:
        """Draws this process's share of what is missing into shards. Memory does not grow with the number of images."""
        blocks = self._missing_blocks()[distributed.rank() :: distributed.world_size()]
        draw = self._black if self.failed else self._drawing(device)
        how = {"threads": self.threads, "minutes": turn.stop.limits.checkpoint_minutes}
        write_shards(self.folder, self.meta, blocks, draw, **how, stop=turn.stops, made=turn.made)

    def _drawing(self, device: torch.device) -> Callable[[range], np.ndarray]:
        generator, metadata = load_generator(self.weights, device)
        coding = coding_of(metadata)
        if self.train:
            generator.guard = Guard.of(self.train, coding, generator.options, device)
        return lambda indices: coding.decode(generator.sample(len(indices), self.seed, indices.start))

    def _black(self, indices: range) -> np.ndarray:
        size = self.metadata["size"]
        return np.zeros((len(indices), len(self.metadata["channels"]), size, size), np.uint8)


def _guarded_from(weights: str | Path, metadata: dict, train: str | Path | None) -> Stack:
    if train is None:
        raise ValueError(f"{weights}: asks for a guard, found no stack of training images, expected one (--train)")
    stack = Stack.open(train)
    if stack.sha256 != metadata.get("training_sha256"):
        raise ValueError(f"{train}: is another stack than {weights} was trained on. Give that one.")
    return stack


def publish_samples(sampling: Sampling, output: str | Path, grid: str | Path | None = None) -> dict | None:
    """Writes the stack `output`, a manifest (.json) beside it, and a picture of the first images to `grid`.

    Returns the manifest; None where a shard turned out to be damaged, so that images have to be drawn again.
    Raises ValueError where the disk is full.
    """
    output = Path(output)
    if not join_shards(sampling.folder, output, sampling.meta, sampling.count):
        return None
    if grid is not None:
        x_NCHW = Stack.open(output).read(range(min(sampling.count, GRID_IMAGES)))
        write_picture(grid, grid_picture(x_NCHW, sampling.metadata["channels"], sampling.metadata["labels"]))
    return write_manifest(output, sampling.meta, count=sampling.count)


# ------------------------------------------------------------------------------------------------ the picture
def grid_picture(x_NCHW: np.ndarray, channels: list[str], labels: dict[str, int]) -> np.ndarray:
    """RGB uint8 (rows, columns, 3): an image a column, a channel a row, the annotation in colour (darkest label green,
    then blue, then red: necrosis, edema, enhancing tumor)."""
    zoom = max(1, GRID_PIXELS // x_NCHW.shape[3])
    rows = []
    for channel, x_NHW in zip(channels, x_NCHW.swapaxes(0, 1), strict=True):
        row_NHW3 = np.stack([x_NHW] * 3, -1)
        if channel == LABEL_CHANNEL and labels:
            colours = np.array([COLOURS_RGB[i % len(COLOURS_RGB)] for i in range(len(labels) + 1)], np.uint8)
            row_NHW3 = colours[classes_of_grey(x_NHW, labels)]
        rows.append(np.concatenate(list(row_NHW3), 1))
    return np.concatenate(rows).repeat(zoom, 0).repeat(zoom, 1)


def write_picture(path: str | Path, picture_HW3: np.ndarray) -> None:
    done, png = cv2.imencode(".png", np.ascontiguousarray(picture_HW3[..., ::-1]))
    assert done
    with atomic_path(path) as temporary:
        temporary.write_bytes(png.tobytes())
