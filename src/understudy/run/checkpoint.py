"""Checkpoints that survive a kill at any instant, and tell when their bytes have changed.

One folder per checkpoint, step-N/: tensors.safetensors, values.json (everything that is no tensor) and manifest.json
with the SHA-256 of both. It is written as step-N.tmp/, synced, renamed; the two newest are kept. A folder under its
final name is therefore whole, and what a disk later did to it shows in the manifest: then it is named, and the one
before it is used.
"""

import json
import os
import re
import shutil
from pathlib import Path

import torch

from understudy.files.atomic import FULL_DISK, full_disk_message, sha256_of_file, sync_folder, write_json
from understudy.stack.tensors import read_tensors, write_tensors

KEEP = 2
TENSORS, VALUES = "tensors.safetensors", "values.json"
_SEPARATOR = "/"


def flatten(state: object, prefix: str = "") -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """A nested dict or list of tensors and JSON values as two flat dicts, keyed by path."""
    if isinstance(state, torch.Tensor):
        return {prefix: state.detach()}, {}
    if not isinstance(state, dict | list | tuple) or not state:
        return {}, {prefix: state}
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, object] = {}
    # the kind of a key is kept: names as they are, an optimizer's int keys as #0, places in a list as @0
    if isinstance(state, dict):
        items = [(f"#{key}" if isinstance(key, int) else key, value) for key, value in state.items()]
    else:
        items = [(f"@{place}", value) for place, value in enumerate(state)]
    for name, value in items:
        more_tensors, more_values = flatten(value, f"{prefix}{_SEPARATOR}{name}" if prefix else name)
        tensors |= more_tensors
        values |= more_values
    return tensors, values


def unflatten(flat: dict[str, object]) -> object:
    """The nested state of a flat one (tuples come back as lists)."""
    if set(flat) == {""}:
        return flat[""]
    groups: dict[str, dict[str, object]] = {}
    for path, value in flat.items():
        first, _, rest = path.partition(_SEPARATOR)
        groups.setdefault(first, {})[rest] = value
    nested = {name: unflatten(group) for name, group in groups.items()}
    if all(name.startswith("@") for name in nested):
        return [nested[f"@{place}"] for place in range(len(nested))]
    return {int(name[1:]) if name.startswith("#") else name: value for name, value in nested.items()}


def save_checkpoint(folder: Path, step: int, state: dict, keep: int = KEEP) -> Path:
    """Writes folder/step-N/ and removes all but the newest `keep`. Raises ValueError where the disk is full."""
    final = folder / _name(step)
    temporary = folder / f"{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        tensors, values = flatten(state)
        write_tensors(temporary / TENSORS, tensors, {})
        write_json(temporary / VALUES, values)
        write_json(temporary / "manifest.json", {name: sha256_of_file(temporary / name) for name in (TENSORS, VALUES)})
        sync_folder(temporary)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        sync_folder(folder)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise ValueError(full_disk_message(final, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in checkpoints(folder)[keep:]:
        shutil.rmtree(old)
    return final


def checkpoints(folder: Path) -> list[Path]:
    """The folders of finished checkpoints, newest first; whether their bytes are sound is not looked at."""
    found = [p for p in folder.glob("step-*") if re.fullmatch(r"step-\d{9}", p.name)]
    return sorted(found, reverse=True)


def remove_checkpoints(folder: Path) -> None:
    for old in checkpoints(folder):
        shutil.rmtree(old)


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        manifest = json.loads((checkpoint / "manifest.json").read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        return f"manifest.json cannot be read ({error})"
    if not isinstance(manifest, dict) or set(manifest) != {TENSORS, VALUES}:
        return f"manifest.json does not list {TENSORS} and {VALUES}"
    for name, expected in manifest.items():
        try:
            if sha256_of_file(checkpoint / name) != expected:
                return f"{name} does not have the SHA-256 of manifest.json"
        except OSError as error:
            return f"{name} cannot be read ({error})"
    return None


def load_newest_checkpoint(folder: Path) -> tuple[int, dict] | None:
    """(step, state) of the newest sound checkpoint, or None where there is none at all.

    A damaged one is named and passed over. Raises ValueError where all are damaged: starting anew must be a decision.
    """
    found = checkpoints(folder)
    for checkpoint in found:
        reason = damage(checkpoint)
        if reason is None:
            step = int(checkpoint.name.removeprefix("step-"))
            return step, load_step(folder, step)
        print(f"damaged checkpoint {checkpoint}: {reason}; using the one before it", flush=True)
    if found:
        raise ValueError(
            f"{folder}: found {len(found)} checkpoints, all damaged, expected a sound one. "
            "Restore one from a backup, or remove the folder to start this training anew."
        )
    return None


def load_step(folder: Path, step: int) -> dict:
    """The state of the checkpoint of that step, which is known to be sound, on the CPU."""
    checkpoint = folder / _name(step)
    values = json.loads((checkpoint / VALUES).read_text())
    return unflatten({**read_tensors(checkpoint / TENSORS, "a checkpoint"), **values})


def _name(step: int) -> str:
    return f"step-{step:09d}"
