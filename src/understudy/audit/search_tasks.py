"""Which searches an audit consists of, and the file that holds what they found.

A generator's images are searched for among the training images, in every view, and among the test images, as no
generator has seen those. What is usual among people comes from real images, once for a dataset: test images among the
training images; training images among those of other subjects, and among the test images; and planted copies among the
training images.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from understudy.files.atomic import hash_of
from understudy.files.json_forms import Form
from understudy.run.seeds import seed_of
from understudy.stack import Stack, tensors

from .planted import planted
from .resumable_search import Task
from .search import Found, Images
from .views import View

EXPECTED = "what find_nearest or calibrate_audit wrote"


def generator_tasks(samples: Stack, train: Stack, test: Stack, audit: Mapping, threads: int) -> dict[str, Task]:
    """By name, {view}/train and {view}/test. `audit`: the section of the config.

    Raises ValueError where the stacks do not show the same channels.
    """
    same_channels(samples, train)
    same_channels(train, test)
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
    same_channels(train, test)
    if len(set(train.subjects())) < 2:
        raise ValueError(f"{train.path}: found one subject with images, expected at least two: nobody could stand out")
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
            images = _in_memory(x_NCHW, hash_of([train.sha256, originals.tolist(), kind, seed]))
            tasks[f"{name}/planted/{kind}"] = Task(images, references, view, **how)
    decisive = View.of(audit["view"], train.channels)
    tasks[f"{decisive.name}/seen"] = Task(some, unseen, decisive, **how)
    return tasks


def same_channels(stack: Stack, train: Stack) -> None:
    """Raises ValueError where they differ, or have no modality, or the training images are nobody's."""
    if "subjects" not in train.meta or not len(train) or len(train.channels) < 2:
        raise ValueError(
            f"{train.path}: found {len(train)} images of {len(train.meta.get('subjects', []))} subjects and "
            f"{len(train.channels)} channels, expected the stack of the training subjects"
        )
    for key in ("channels", "height", "width"):
        if stack.meta[key] != train.meta[key]:
            raise ValueError(
                f"{stack.path}: found {key} {stack.meta[key]}, expected {train.meta[key]} as in {train.path}; an audit "
                "compares images of the same form"
            )


def included(test: Stack) -> list[int]:
    """Raises ValueError where no slice of the test subjects passes the slice rule."""
    if "subjects" not in test.meta or not test.included():
        raise ValueError(
            f"{test.path}: found no slice of a subject to compare with, expected the stack of test subjects"
        )
    return test.included()


def evenly(n: int, count: int) -> np.ndarray:
    """Places of at most `count` of n things."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int))


def _in_memory(x_NCHW: np.ndarray, key: str) -> Images:
    return Images(len(x_NCHW), lambda places: x_NCHW[list(places)], x_NCHW.shape[1:], key)


# ------------------------------------------------------------------------------------------------ the file
def write_found(path: str | Path, found: Mapping[str, Found], about: Mapping) -> None:
    arrays = {f"{task}/{name}": value for task, one in found.items() for name, value in asdict(one).items()}
    tensors.write_arrays(path, arrays, about)


def read_found(path: str | Path, form: type[Form]) -> tuple[dict[str, Found], dict]:
    """(what each task found, about). Raises ValueError where the file is missing or is another's."""
    arrays, about = tensors.read_arrays(path, form, EXPECTED)
    by_task: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        task, _, field = name.rpartition("/")
        by_task.setdefault(task, {})[field] = array
    return {task: Found.of_arrays(own, f"{path}, {task}") for task, own in by_task.items()}, about
