"""A full disk at every writer of tensors, stacks and tables: one sentence, nothing half-written, and the same call goes
on once there is room."""

import resource
from contextlib import contextmanager

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from made import make_stack

from understudy.audit.search import Found
from understudy.audit.search_tasks import write_found
from understudy.files.atomic import write_json
from understudy.generate.sample import write_picture
from understudy.report.figures import plt, save
from understudy.report.formats import write_table
from understudy.run.checkpoint import save_checkpoint
from understudy.stack import Stack
from understudy.stack.channel_folders import export_folders
from understudy.stack.tensors import copy_tensors, write_arrays, write_tensors

LIMIT = 4096  # bytes that a file may have


@contextmanager
def full_disk():
    """Every file is cut off at LIMIT, as a quota or a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def figure(folder):
    drawn, axes = plt.subplots()
    axes.plot(np.random.default_rng(0).normal(size=500))
    save(drawn, folder / "dice")


def found(n=2000):
    numbers, places = np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int64)
    ones = {"index": places, "variant": places.astype(np.int8), "r": numbers, "other": places[:, 0]}
    ones |= {
        "other_r": numbers[:, 0],
        "crowd_r": numbers[:, 0],
        "group_r": numbers[:3, 0],
        "group_query": places[:3, 0],
    }
    return Found(**ones)


def exported(folder):
    stack = Stack.open(folder.parent / "s.zip")
    export_folders(stack, folder / "out", {channel: channel for channel in stack.channels})


NOISE = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
TENSORS = {"a": torch.zeros(5000), "b": torch.ones(5)}
WRITERS = {
    "weights": lambda folder: write_tensors(folder / "weights.safetensors", TENSORS, {"format": 2}),
    "arrays": lambda folder: write_arrays(folder / "features.safetensors", {"a": np.zeros(5000)}, {}),
    "searches": lambda folder: write_found(folder / "nearest.safetensors", {"all/train": found()}, {}),
    "copy of weights": lambda folder: copy_tensors(folder.parent / "w.safetensors", folder / "w", {"a": 1}, "weights"),
    "checkpoint": lambda folder: save_checkpoint(folder, 1, {"network": TENSORS}),
    "stack": lambda folder: make_stack(folder / "train.zip", ["a", "b"], 8, size=64),
    "folders": lambda folder: exported(folder),
    "manifest": lambda folder: write_json(folder / "stacks.json", list(range(5000))),
    "table": lambda folder: write_table(folder, "dice", pd.DataFrame({"ed_mean": np.linspace(0, 1, 2000)})),
    "figure": figure,
    "picture": lambda folder: write_picture(folder / "samples.png", NOISE),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_one_sentence_and_the_same_call_goes_on(writer, tmp_path):
    write_tensors(tmp_path / "w.safetensors", TENSORS, {})
    make_stack(tmp_path / "s.zip", ["a"], 2, size=256)
    folder = tmp_path / "made"
    folder.mkdir()
    with full_disk(), pytest.raises(ValueError, match="could not be written") as refused:
        WRITERS[writer](folder)
    assert "make room and run the same command again" in str(refused.value)
    assert [path for path in folder.rglob("*") if path.is_file() and ".tmp" in path.name] == []
    WRITERS[writer](folder)
    whole = [path for path in folder.rglob("*") if path.is_file()]
    assert whole and (not writer.startswith("picture") or (cv2.imread(str(whole[0])) == NOISE[..., ::-1]).all())
