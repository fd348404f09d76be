"""Which searches an audit consists of, and the file that holds what they found.

A generator's images are searched for among the training images, in every view, and among the test images, as no
generator has seen those. Slices of people whose tumor is hidden are searched for among the generator's images
(disclosure.py). What is usual among people comes from real images, once for a dataset: test images among the
training images; training images among those of other subjects, and among the test images; and planted copies among the
training images.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from understudy.files.atomic import hash_of
from understudy.files.json_forms import Form
from understudy.run.seeds import seed_of
from understudy.stack import Stack, tensors

from .planted import KINDS, LEAST_ANNOTATED, planted
from .resumable_search import Task
from .search import Found, Images
from .views import COARSE, View, views_of

KNOWN = 400  # slices of training subjects, and of test subjects, that an attacker knows
EXPECTED = "what find_nearest or calibrate_audit wrote"


def generator_tasks(samples: Stack, train: Stack, test: Stack, audit: Mapping, threads: int) -> dict[str, Task]:
    """By name, {view}/train, and {view}/test of the view that is listed; train/known and test/known where there are
    tumors. `audit`: the section of the config.

    Raises ValueError where the stacks do not show the same channels.
    """
    same_channels(samples, train)
    same_channels(train, test)
    images, references = Forms(Images.of(samples, None, threads)), Forms(Images.of(train, None, threads))
    nearest = min(audit["nearest"], len(train))
    tasks = {
        f"{view.name}/train": _task(images, references, view, audit, k=nearest)
        for view in views_of(audit["views"], train.channels)
    }
    listed, seen = View.of(audit["view"], train.channels), Forms(Images.of(test, included(test), threads))
    tasks[f"{listed.name}/test"] = _task(images, seen, listed, audit)
    small = View.of(COARSE, train.channels)
    for split, stack in (("train", train), ("test", test)):
        if known := known_slices(stack):
            slices = Images.of(stack, known, threads).form("hidden")
            tasks[f"{split}/known"] = Task(slices, images.form(COARSE), small, audit["variants"])
    return tasks


def known_slices(stack: Stack) -> list[int]:
    """Slices with a tumor of at most `KNOWN` images of a stack of subjects: what an attacker knows of a person."""
    places = stack.included()
    some = [places[i] for i in evenly(len(places), KNOWN)]
    return [place for place in some if (stack[place][-1] > 0).mean() >= LEAST_ANNOTATED]


def further_tasks(images: Images, train: Stack, audit: Mapping, names: Sequence[str], threads: int) -> dict[str, Task]:
    """By view: images among the training images, in the views that `names` of the config stand for."""
    queries, references = Forms(images), Forms(Images.of(train, None, threads))
    views = views_of(names, train.channels)
    return {view.name: _task(queries, references, view, audit) for view in views}


def calibration_tasks(train: Stack, test: Stack, audit: Mapping, seed: int, threads: int) -> dict[str, Task]:
    """By name: {view}/test (test images among the training images), {view}/train (training images among those of other
    subjects), {view}/planted (copies of every kind, one kind after the other); and, of the view that is listed, /seen
    (training images among the test images)."""
    same_channels(test, train)
    same_channels(train, test)
    if len(set(train.people())) < 2:
        raise ValueError(f"{train.path}: found one subject with images, expected at least two: nobody could stand out")
    references, unseen = Forms(Images.of(train, None, threads)), Forms(Images.of(test, included(test), threads))
    some = Forms(Images.of(train, null_places(train, audit), threads))
    copies = Forms(_planted(train, test, audit, seed, threads))
    tasks = {}
    for view in views_of(audit["views"], train.channels):
        tasks[f"{view.name}/test"] = _task(unseen, references, view, audit)
        tasks[f"{view.name}/train"] = _task(some, references, view, audit, apart=True)
        tasks[f"{view.name}/planted"] = _task(copies, references, view, audit)
    listed = View.of(audit["view"], train.channels)
    tasks[f"{listed.name}/seen"] = _task(some, unseen, listed, audit)
    return tasks


class Forms:
    """The same images in every form that is asked for, each made once."""

    def __init__(self, images: Images):
        self.images = images
        self.form = functools.cache(images.form)


def _task(queries: Forms, references: Forms, view: View, audit: Mapping, **how) -> Task:
    how |= {"variants": audit["variants"]}
    return Task(queries.form(view.form), references.form(view.form), view, **how)


def groups(stack: Stack) -> np.ndarray:
    """The place of each image's person among the people of a stack."""
    names = stack.people()
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names])


def null_places(train: Stack, audit: Mapping) -> np.ndarray:
    """Training images that are searched for among those of other subjects."""
    return evenly(len(train), audit["null_images"])


def _planted(train: Stack, test: Stack, audit: Mapping, seed: int, threads: int) -> Images:
    """Copies of every kind of some training images, one kind after the other."""
    originals = evenly(len(train), audit["planted"])
    places = included(test)
    others = [places[i] for i in evenly(len(places), len(originals))]
    x_NCHW, y_MCHW = train.read(originals, threads, checked=True), test.read(others, threads, checked=True)
    copies_KNCHW = planted(x_NCHW, y_MCHW, seed_of(seed, "planted")).values()
    key = hash_of([train.sha256, test.sha256, originals.tolist(), list(KINDS), seed])
    return Images.in_memory(np.concatenate(list(copies_KNCHW)), key)


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
