"""Features of the images of a stack, computed once: kept in a cache by what they depend on.

A file of the cache is named by the hash of the stack's content, the images, the channels, the space and its weights. It
may be removed at any time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from understudy.files.atomic import hash_of
from understudy.files.json_forms import Open
from understudy.stack import Stack, tensors

from .feature_spaces import Space

FORMAT = 1  # another number where features of the same name would differ
BATCH = 64  # images of one forward pass


@dataclass(frozen=True)
class Images:
    """Some images of a stack."""

    stack: Stack
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def people(self) -> list[str] | None:
        """Whose each image is; None of synthetic ones."""
        names = self.stack.people()
        return None if names is None else [names[place] for place in self.indices]

    @classmethod
    def included(cls, stack: Stack) -> "Images":
        """All of a stack that was trained on or generated; of a test stack, which has every slice, those that pass the
        slice rule, as all images of the others do."""
        return cls(stack, np.array(stack.included(), int))


def features_of(
    images: Images, channels: list[str], space: Space, device: torch.device, cache: Path, threads: int = 4
) -> np.ndarray:
    """float32 (N, D), from the cache where it has them."""
    key = {
        "format": FORMAT,
        "stack": images.stack.fingerprint,
        "images": hash_of(images.indices.tolist()),
        "channels": channels,
        "space": space.name,
        "weights": space.weights,
    }
    path = cache / f"{hash_of(key)}.safetensors"
    if (found := _cached(path, key)) is not None:
        return found
    f_ND = _computed(images, channels, space, device, threads)
    tensors.write_arrays(path, {"features": f_ND}, key)
    return f_ND


def _cached(path: Path, key: dict) -> np.ndarray | None:
    """None where there is no such file, or a damaged one, which is made again."""
    if not path.is_file():
        return None
    try:
        arrays, about = tensors.read_arrays(path, Open, "features")
    except ValueError as error:
        print(f"{error}; these features are computed again", flush=True)
        return None
    return arrays.get("features") if about == key else None


@torch.no_grad()
def _computed(images: Images, channels: list[str], space: Space, device: torch.device, threads: int) -> np.ndarray:
    places = [images.stack.channels.index(channel) for channel in channels]
    rows = []
    about = f"{space.name} {'+'.join(channels)} of {images.stack.path.name}"
    for start in tqdm(range(0, len(images), BATCH), about, unit=" batches", mininterval=10):
        x_NCHW = images.stack.read(images.indices[start : start + BATCH], threads)[:, places]
        rows.append(space.network(torch.from_numpy(x_NCHW).to(device)).float().cpu().numpy())
    return np.concatenate(rows)
