"""A generator as a trainee of the core loop: data order, average of the weights, state, and the published file."""

import copy
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from understudy.core import seeds
from understudy.core.data import DeviceImages, epoch_indices
from understudy.core.files import atomic_path, hash_of, sha256_of_file, write_json

from . import build

MACHINE_OPTIONS = ("microbatch",)  # what is only about the machine is no part of a run's identity
FORMAT = 1
_METADATA = "understudy"  # one key, since the order of several is not fixed in a safetensors file
_LICENCE = "Apache-2.0 (this implementation); weights derive from the training data's terms"


def seeded_build(name: str, channels: int, size: int, seed: int, **options):
    """`build` with initial weights that depend on `seed` alone; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.seed_of(seed, "weights"))
        return build(name, channels, size, **options)


class GeneratorTrainee:
    """Adapts a generator and its images to core.training: `step` is a function of (state, images seen)."""

    def __init__(self, generator, images: DeviceImages, seed: int):
        self.generator, self.images, self.seed = generator, images, seed
        self.images_per_step = generator.options.batch
        self.ema = copy.deepcopy(generator.networks["generator"]).requires_grad_(False).eval()

    def step(self, images_seen: int) -> dict[str, Tensor]:
        indices = epoch_indices(len(self.images), self.seed, images_seen, self.images_per_step)
        real_NCHW = self.images.batch(indices).float() / 127.5 - 1
        rng = seeds.generator(self.generator.device, self.seed, "step", images_seen)
        statistics = self.generator.step(real_NCHW, images_seen, rng)
        update_ema(self.ema, self.generator.networks["generator"], self.generator.ema_decay(images_seen))
        return statistics

    def state(self) -> dict:
        """References to the live tensors: save or copy them before the next step."""
        networks, optimizers = self.generator.networks, self.generator.optimizers
        return {
            "networks": {name: dict(network.state_dict()) for name, network in networks.items()},
            "ema": dict(self.ema.state_dict()),
            "optimizers": {name: _moments(optimizer) for name, optimizer in optimizers.items()},
            "extra": self.generator.state_extra(),
        }

    def load_state(self, state: dict) -> None:
        for name, network in self.generator.networks.items():
            network.load_state_dict(state["networks"][name])
        self.ema.load_state_dict(state["ema"])
        for name, optimizer in self.generator.optimizers.items():
            groups = optimizer.state_dict()["param_groups"]  # learning rates are the config's, not the checkpoint's
            moments = {int(index): dict(entry) for index, entry in state["optimizers"][name].items()}
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.generator.load_state_extra(state["extra"])


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    return {str(index): dict(entry) for index, entry in optimizer.state_dict()["state"].items()}


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * network; buffers are copied."""
    torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1 - decay)
    for average, buffer in zip(ema.buffers(), network.buffers(), strict=True):
        average.copy_(buffer)


# ------------------------------------------------------------------------------------------------ published weights
def identity(name: str, options: dict, seed: int, stack_sha256: str) -> dict:
    """What a training is a function of; its hash names the run directory."""
    options = {key: value for key, value in options.items() if key not in MACHINE_OPTIONS}
    return {"generator": name, "options": options, "seed": seed, "stack_sha256": stack_sha256}


def describe(name: str, generator, stack_meta: dict, *, dataset: str, seed: int, images_seen: int) -> dict:
    """The metadata of published weights: all that is needed to sample from them, and where they come from."""
    options = {key: value for key, value in asdict(generator.options).items() if key not in MACHINE_OPTIONS}
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
    }


def publish_weights(network: nn.Module, path: str | Path, metadata: dict) -> dict:
    """Writes the (averaged) generator network with its metadata as safetensors, and a small manifest, .json, beside it.

    Returns the manifest: metadata with the hash in place of the list of subjects, and the file's sha256.
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_METADATA: json.dumps(metadata, sort_keys=True)})
    manifest = {key: value for key, value in metadata.items() if key != "lineage"}
    manifest |= {"lineage_hash": hash_of(metadata["lineage"]), "sha256": sha256_of_file(path)}
    write_json(path.with_suffix(".json"), manifest)
    return manifest


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
    channels = len(metadata["channels"])
    generator = seeded_build(metadata["generator"], channels, metadata["size"], 0, **metadata["options"])
    generator.networks["generator"].load_state_dict(load_file(path))
    return generator.to(device), metadata
