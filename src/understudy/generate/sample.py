"""Synthetic images of a trained generator, as a stack of the same format as the real one, and a grid to look at."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from understudy.core.files import atomic_path, hash_of, sha256_of_file, write_json
from understudy.core.labels import LABEL_CHANNEL, classes_of_grey, grey_of_classes
from understudy.core.stack import Stack, StackWriter, encode_png

from .train import load_generator

BLOCK = 64  # images between two hand-overs from the device to the encoders
GRID_IMAGES = 8
GRID_PIXELS = 128  # an image is shown at least this large
COLOURS_RGB = ((0, 0, 0), (0, 170, 0), (0, 90, 255), (230, 0, 0), (255, 200, 0), (200, 0, 255), (0, 210, 210))


def to_uint8(x_NCHW: torch.Tensor) -> np.ndarray:
    """[-1, 1] -> 0 ... 255: floor(127.5 x + 128), saturated, as the study's scripts do."""
    return (x_NCHW * 127.5 + 128).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()


def snap_labels(x_NCHW: np.ndarray, channels: list[str], labels: dict[str, int]) -> np.ndarray:
    """Every pixel of the annotation becomes the nearest grey level that has a meaning (in place)."""
    if LABEL_CHANNEL in channels and labels:
        place = channels.index(LABEL_CHANNEL)
        table_256 = grey_of_classes(classes_of_grey(np.arange(256), labels), labels)
        x_NCHW[:, place] = table_256[x_NCHW[:, place]]
    return x_NCHW


def sample_blocks(generator, metadata: dict, count: int, seed: int) -> Iterator[np.ndarray]:
    """uint8 (N, C, H, W), blocks of BLOCK images up to `count`."""
    for first in range(0, count, BLOCK):
        x_NCHW = to_uint8(generator.sample(min(BLOCK, count - first), seed, first))
        yield snap_labels(x_NCHW, metadata["channels"], metadata["labels"])


def encoded(blocks: Iterable[np.ndarray], threads: int) -> Iterator[bytes]:
    """PNGs in order; the device computes a block while the two before it are encoded."""
    waiting: deque[Iterator[bytes]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for x_NCHW in blocks:
            waiting.append(pool.map(encode_png, x_NCHW))
            if len(waiting) > 2:
                yield from waiting.popleft()
        for pngs in waiting:
            yield from pngs


def sample_to_stack(
    weights: str | Path,
    output: str | Path,
    count: int,
    seed: int,
    *,
    grid: str | Path | None = None,
    device: torch.device | str = "cpu",
    threads: int = 2,
) -> dict:
    """Writes `count` images to the stack `output`, a manifest (.json) beside it, and a picture of the first to `grid`.

    Returns the manifest. Memory does not grow with `count`.
    Raises:
        ValueError: count below 1, weights that cannot be read, or a full disk.
    """
    if count < 1:
        raise ValueError(f"count {count}: expected at least 1")
    weights, output = Path(weights), Path(output)
    generator, metadata = load_generator(weights, device)
    source = {key: metadata[key] for key in ("dataset", "generator")}
    source |= {"weights_sha256": sha256_of_file(weights), "seed": seed}
    meta = {
        "channels": metadata["channels"],
        "labels": metadata["labels"],
        "height": metadata["size"],
        "width": metadata["size"],
        "source": source,
        "lineage": metadata["lineage"],
    }
    with StackWriter(output, meta) as writer:
        pngs = encoded(sample_blocks(generator, metadata, count, seed), threads)
        for i, png in enumerate(tqdm(pngs, "sample", count, unit="img", mininterval=2)):
            writer.add_png(f"{i:06d}.png", png)
    if grid is not None:
        x_NCHW = Stack.open(output).read(range(min(count, GRID_IMAGES)))
        write_picture(grid, grid_picture(x_NCHW, metadata["channels"], metadata["labels"]))
    manifest = {
        **{key: value for key, value in meta.items() if key != "lineage"},
        "lineage_hash": hash_of(metadata["lineage"]),
        "count": count,
        "sha256": sha256_of_file(output),
    }
    write_json(output.with_suffix(".json"), manifest)
    return manifest


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
