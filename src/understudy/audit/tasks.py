"""Which searches an audit consists of, and the file that holds what they found.

A generator's images are searched for among the training images, in every view, and among the test images, as no
generator has seen those. What is usual among people comes from real images, once for a dataset: test images among the
training images; training images among those of other subjects, and among the test images; and planted copies among the
training images.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from understudy.core.files import atomic_path, hash_of
from understudy.core.seeds import seed_of
from understudy.core.stack import Stack

from .planted import planted
from .run import Task
from .search import Found, Images
from .views import View

_METADATA = "understudy"


def generator_tasks(samples: Stack, train: Stack, test: Stack, audit: Mapping, threads: int) -> dict[str, Task]:
    """By name, {view}/train and {view}/test. `audit`: the section of the config.

    Raises ValueError where the stacks do not show the same channels.
    """
    same_channels(samples, train)
    images, references = Images.of(samples, None, threads), Images.of(train, None, threads)
    views = {name: View.of(name, train.channels) for name in audit["views"]}
    how, nearest = {"variants": audit["variants"], "shifts": audit["shifts"]}, min(audit["nearest"], len(train))
    tasks = {f"{name}/train": Task(images, references, view, k=nearest, **how) for name, view in views.items()}
    seen = Images.of(test, included(test), threads)
    tasks[f"{audit['view']}/test"] = Task(images, seen, views[audit["view"]], **how)
    return tasks


def calibration_tasks(train: Stack, test: Stack, audit: Mapping, seed: int, threads: int) -> dict[str, Task]:
    """By name: {view}/test (test images among the training images), {view}/train (training images among those of other
    subjects), {view}/planted/{kind}; and {decisive view}/seen (training images among the test images)."""
    same_channels(test, train)
    references, unseen = Images.of(train, None, threads), Images.of(test, included(test), threads)
    some = Images.of(train, evenly(len(train), audit["null_images"]), threads)
    originals = evenly(len(train), audit["planted"])
    copies = planted(train.read(originals, threads, checked=True), seed_of(seed, "planted"))
    tasks, how = {}, {"variants": audit["variants"], "shifts": audit["shifts"]}
    for name in audit["views"]:
        view = View.of(name, train.channels)
        tasks[f"{name}/test"] = Task(unseen, references, view, **how)
        tasks[f"{name}/train"] = Task(some, references, view, apart=True, **how)
        for kind, x_NCHW in copies.items():
            images = _in_memory(x_NCHW, hash_of([train.fingerprint, originals.tolist(), kind, seed]))
            tasks[f"{name}/planted/{kind}"] = Task(images, references, view, **how)
    decisive = View.of(audit["view"], train.channels)
    tasks[f"{decisive.name}/seen"] = Task(some, unseen, decisive, **how)
    return tasks


def same_channels(stack: Stack, train: Stack) -> None:
    """Raises ValueError where they differ."""
    for key in ("channels", "height", "width"):
        if stack.meta[key] != train.meta[key]:
            raise ValueError(
                f"{stack.path}: found {key} {stack.meta[key]}, expected {train.meta[key]} as in {train.path}; an audit "
                "compares images of the same form"
            )


def included(stack: Stack) -> np.ndarray:
    """Places of the slices that would be trained on, were their subjects not in the test set."""
    slices = {name: set(subject["included"]) for name, subject in stack.meta["subjects"].items()}
    pairs = [(name.split("/")[0], int(Path(name).stem)) for name in stack.names]
    return np.array([i for i, (subject, number) in enumerate(pairs) if number in slices[subject]])


def evenly(n: int, count: int) -> np.ndarray:
    """Places of at most `count` of n things."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int))


def _in_memory(x_NCHW: np.ndarray, key: str) -> Images:
    return Images(len(x_NCHW), lambda places: x_NCHW[list(places)], x_NCHW.shape[1:], key)


# ------------------------------------------------------------------------------------------------ the file
def write_found(path: str | Path, found: Mapping[str, Found], about: Mapping) -> None:
    arrays = {f"{task}/{name}": value for task, one in found.items() for name, value in asdict(one).items()}
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {_METADATA: json.dumps(about, sort_keys=True)})


def read_found(path: str | Path) -> tuple[dict[str, Found], dict]:
    """(what each task found, about). Raises ValueError where the file is missing or is another's."""
    try:
        with safe_open(path, "numpy") as file:
            about = json.loads((file.metadata() or {})[_METADATA])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
    except (FileNotFoundError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: found {error!r}, expected what find_nearest or calibrate_audit wrote") from error
    tasks = dict.fromkeys(name.rpartition("/")[0] for name in arrays)
    return {task: Found(**{f.name: arrays[f"{task}/{f.name}"] for f in fields(Found)}) for task in tasks}, about
