"""Published weights: the averaged network of a generator as safetensors, with all that is needed to sample from it."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from understudy.core import seeds
from understudy.core.files import atomic_path
from understudy.core.manifest import write_manifest

from . import build
from .annotation import Coding

FORMAT = 2
_METADATA = "understudy"  # one key, since the order of several is not fixed in a safetensors file
_LICENCE = "Apache-2.0 (this implementation); weights derive from the training data's terms"


def seeded_build(name: str, channels: int, size: int, seed: int, **options):
    """`build` with initial weights that depend on `seed` alone; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.seed_of(seed, "weights"))
        return build(name, channels, size, **options)


def describe(name: str, generator, stack_meta: dict, *, dataset: str, seed: int, images_seen: int, **more) -> dict:
    """The metadata of published weights: all that is needed to sample from them, and their origin; and `more`."""
    options = {key: value for key, value in asdict(generator.options).items() if key not in generator.options.MACHINE}
    return {
        "format": FORMAT,
        "generator": name,
        "options": options,
        "channels": stack_meta["channels"],
        "labels": stack_meta["labels"],
        "size": generator.size,
        "dataset": dataset,
        "seed": seed,
        "images_seen": images_seen,
        "lineage": stack_meta["lineage"],
        "versions": {
            "understudy": version("understudy"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "licence": _LICENCE,
        **more,
    }


def publish_weights(tensors: Mapping[str, Tensor], path: str | Path, metadata: dict) -> dict:
    """Writes the state of the averaged network with its metadata as safetensors, and a manifest, .json, beside it.

    Returns the manifest: metadata with the hash in place of the list of subjects, and the file's sha256.
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_METADATA: json.dumps(metadata, sort_keys=True)})
    return write_manifest(path, metadata)


def read_metadata(path: str | Path) -> dict:
    """What published weights say of themselves.

    Raises:
        ValueError: no such file, or not one that publish_weights wrote.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = json.loads((file.metadata() or {})[_METADATA])
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such weights. Run the rule that makes them: snakemake {path}") from error
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: found {error!r}, expected generator weights of train_generator") from error
    if metadata["format"] != FORMAT:
        raise ValueError(f"{path}: found weights format {metadata['format']}, expected {FORMAT}. Train again.")
    return metadata


def load_generator(path: str | Path, device: torch.device | str = "cpu"):
    """(generator ready to sample, metadata) of published weights. Raises ValueError as read_metadata does."""
    metadata = read_metadata(path)
    coding = coding_of(metadata)
    channels = coding.count(len(metadata["channels"]))
    generator = seeded_build(metadata["generator"], channels, metadata["size"], 0, **metadata["options"])
    generator.networks[generator.averaged].load_state_dict(load_file(path))
    return generator.to(device), metadata


def coding_of(metadata: dict) -> Coding:
    """How the annotation of published weights is coded."""
    return Coding.of(metadata["options"]["annotation"], metadata["channels"], metadata["labels"])
