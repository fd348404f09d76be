"""Published weights: the averaged network of a generator as safetensors, with all that is needed to sample from it."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.config.fields import MACHINE
from understudy.files.allocation_limit import Budget
from understudy.files.json_forms import GeneratorWeights
from understudy.files.outside import checked
from understudy.run import seeds
from understudy.stack import tensors
from understudy.stack.manifest import write_manifest

from . import GENERATORS, build
from .annotation_channel import Coding
from .generator_protocol import Generator

FORMAT = 2
EXPECTED = "generator weights of train_generator"
BUILT = 8  # a generator is built with its discriminator and others, of which the file has none
_LICENCE = "Apache-2.0 (this implementation); weights derive from the training data's terms"


def seeded_build(name: str, channels: int, size: int, seed: int, **options) -> Generator:
    """`build` with initial weights that depend on `seed` alone; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.seed_of(seed, "weights"))
        return build(name, channels, size, **options)


def describe(
    name: str, generator: Generator, stack_meta: dict, *, dataset: str, seed: int, images_seen: int, **more
) -> dict:
    """The metadata of published weights: all that is needed to sample from them, and their origin; and `more`, such as
    `training_sha256`, the SHA-256 of the stack that the generator was trained on."""
    return {
        "format": FORMAT,
        "generator": name,
        "options": generator.options.model_dump(exclude=generator.options.of_use(MACHINE)),
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


def publish_weights(weights: Mapping[str, Tensor], path: str | Path, metadata: dict) -> dict:
    """Writes the state of the averaged network with its metadata as safetensors, and a manifest, .json, beside it.

    Returns the manifest: metadata with the hash in place of the list of subjects, and the file's sha256.
    """
    path = Path(path)
    metadata = json.loads(json.dumps(metadata))  # as it will be read: lists in place of tuples
    tensors.write_tensors(path, weights, checked(GeneratorWeights, metadata, str(path), EXPECTED))
    return write_manifest(path, metadata)


def read_metadata(path: str | Path) -> dict:
    """What published weights say of themselves.

    Raises:
        ValueError: no such file, or not one that publish_weights wrote.
    """
    if not Path(path).exists():
        raise ValueError(f"{path}: no such weights. Run the rule that makes them: snakemake {path}")
    metadata = tensors.read_metadata(path, GeneratorWeights, EXPECTED)
    if metadata["generator"] not in GENERATORS:
        known = ", ".join(GENERATORS)
        raise ValueError(f"{path}: found the generator {metadata['generator']!r}, expected one of {known}")
    return metadata


def load_generator(path: str | Path, device: torch.device | str = "cpu") -> tuple[Generator, dict]:
    """(generator ready to sample, metadata) of published weights.

    Raises ValueError where the file is missing, is another one, or describes another network than it has weights of.
    """
    metadata, header = read_metadata(path), tensors.read_header(path, EXPECTED)
    if metadata.get("failure"):
        raise ValueError(f"{path}: found no weights, as their training failed ({metadata['failure']})")
    try:
        channels = coding_of(metadata).count(len(metadata["channels"]))
        with Budget(BUILT * header.numbers, BUILT * len(header.entries)):
            generator = seeded_build(metadata["generator"], channels, metadata["size"], 0, **metadata["options"])
        network = generator.networks[generator.averaged]
        tensors.check_fits(header, network.state_dict())
    except tensors.UNBUILDABLE as error:
        raise ValueError(f"{path}: found {error}, expected {EXPECTED}") from error
    network.load_state_dict(tensors.read_finite(path, EXPECTED))
    return generator.to(device), metadata


def coding_of(metadata: dict) -> Coding:
    """How the annotation of published weights is coded."""
    return Coding.of(metadata["options"]["annotation"], metadata["channels"], metadata["labels"])
