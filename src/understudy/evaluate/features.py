"""Features of the images of a stack, computed once: kept in a cache by what they depend on.

A file of the cache is named by the hash of the stack's content, the images, the channels, the space and its weights. It
may be removed at any time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from understudy.core.files import atomic_path, canonical_json, hash_of
from understudy.core.stack import Stack

from .feature_spaces import Space

FORMAT = 1  # another number where features of the same name would differ
BATCH = 64  # images of one forward pass
_METADATA = "understudy"


@dataclass(frozen=True)
class Images:
    """Some images of a stack."""

    stack: Stack
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def included(cls, stack: Stack) -> "Images":
        """All of a stack that was trained on or generated; of a test stack, which has every slice, those that pass the
        slice rule, as all images of the others do."""
        subjects = stack.meta.get("subjects")
        if not subjects:
            return cls(stack, np.arange(len(stack)))
        pairs = [name.removesuffix(".png").split("/") for name in stack.names]
        kept = [int(number) in subjects[subject]["included"] for subject, number in pairs]
        return cls(stack, np.flatnonzero(kept))


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
    with atomic_path(path) as temporary:
        save_file({"features": f_ND}, temporary, {_METADATA: canonical_json(key)})
    return f_ND


def _cached(path: Path, key: dict) -> np.ndarray | None:
    """None where there is no such file, or a damaged one, which is made again."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            return file.get_tensor("features") if json.loads(file.metadata()[_METADATA]) == key else None
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        print(f"{path}: found {error!r}; these features are computed again", flush=True)
        return None


@torch.no_grad()
def _computed(images: Images, channels: list[str], space: Space, device: torch.device, threads: int) -> np.ndarray:
    places = [images.stack.channels.index(channel) for channel in channels]
    rows = []
    about = f"{space.name} {'+'.join(channels)} of {images.stack.path.name}"
    for start in tqdm(range(0, len(images), BATCH), about, unit=" batches", mininterval=10):
        x_NCHW = images.stack.read(images.indices[start : start + BATCH], threads)[:, places]
        rows.append(space.network(torch.from_numpy(x_NCHW).to(device)).float().cpu().numpy())
    return np.concatenate(rows)
