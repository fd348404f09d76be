"""Controls have the format of samples: copies are the training images, noise is nothing, held-out subjects are out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made import LEVELS, make_stack

from understudy.files.atomic import sha256_of_file
from understudy.generate.control import write_control
from understudy.run.device_images import hold_out
from understudy.run.seeds import seed_of
from understudy.segment.training_images import load_training_set
from understudy.stack import Stack
from understudy.stack.lineage import check_training_stacks

ROOT = Path(__file__).parents[2]


@pytest.fixture
def training(tmp_path):
    return make_stack(tmp_path / "stacks/train.zip", ["a", "b", "c", "d"], 3, seed=1)


def made(training, control, path, **more):
    manifest = write_control(control, training, path, "made", 1, **more)
    return Stack.open(path), manifest


def test_copies_are_the_training_images_each_once_and_nameless(training, tmp_path):
    stack, manifest = made(training, "copies", tmp_path / "copies/samples.zip")
    assert sorted(stack.png(i) for i in range(len(stack))) == sorted(training.png(i) for i in range(len(training)))
    assert [stack.png(i) for i in range(12)] != [training.png(i) for i in range(12)]
    assert stack.names[0] == "000000.png" and stack.subjects() is None
    assert stack.meta["lineage"] == training.meta["lineage"]
    assert manifest["sha256"] == sha256_of_file(stack.path) and manifest["count"] == 12
    assert json.loads((tmp_path / "copies/samples.json").read_text()) == manifest


def test_noise_holds_nothing_of_the_images(training, tmp_path):
    stack, _ = made(training, "noise", tmp_path / "noise/samples.zip")
    x_NCHW = stack.read()
    assert len(stack) == 12 and set(np.unique(x_NCHW[:, -1])) == {0, *LEVELS.values()}
    flat = x_NCHW.reshape(12, -1).astype(float)
    others = np.corrcoef(np.concatenate([flat, training.read().reshape(12, -1)]))[:12]
    assert np.abs(others[~np.eye(12, 24, dtype=bool)]).max() < 0.15
    assert x_NCHW[:, :-1].mean() == pytest.approx(127.5, abs=1)


def test_bytes_are_a_function_of_the_seed(training, tmp_path):
    for control in ("copies", "noise"):
        paths = [tmp_path / f"{control}{number}/samples.zip" for number in range(3)]
        for path, seed in zip(paths, (1, 1, 2), strict=True):
            write_control(control, training, path, "made", seed)
        first, again, other = (path.read_bytes() for path in paths)
        assert first == again != other


def test_held_out_subjects_are_left_out(training, tmp_path):
    stack, _ = made(training, "copies", tmp_path / "samples.zip", leave_out=0.25)
    seen, held_out = hold_out(len(training), training.subjects(), training.people(), 0.25, 12, seed_of(1, "made"))
    assert len(held_out) == 1 and len(stack) == 9
    assert sorted(stack.png(i) for i in range(9)) == sorted(training.png(i) for i in seen)


def test_a_segmenter_takes_them_for_samples(training, tmp_path):
    stack, _ = made(training, "copies", tmp_path / "samples.zip")
    test = make_stack(tmp_path / "stacks/test.zip", ["e"], 2, seed=2)
    check_training_stacks([stack], test)
    how = {"fraction": 0.2, "limit": 10, "split_seed": 0, "seed": 0, "device": "cpu"}
    data = load_training_set("copies", {"copies": stack.path}, **how)
    assert len(data.sources[0].train) == 10 and not data.sources[0].by_subject
    leaked = make_stack(tmp_path / "stacks/leaked.zip", ["a"], 2)
    with pytest.raises(ValueError, match="has seen 1 test subjects"):
        check_training_stacks([stack], leaked)


def test_script_and_wrong_names(training, tmp_path):
    script = [sys.executable, ROOT / "scripts/make_control.py", "--dataset", "made", "--stack", training.path]
    subprocess.run([*script, "--control", "noise", "--output", tmp_path / "x/samples.zip", "--seed", "3"], check=True)
    assert (tmp_path / "x/samples.json").is_file()
    with pytest.raises(ValueError, match="expected one of copies, noise"):
        write_control("none", training, tmp_path / "y.zip", "made", 1)
    nameless = Stack.open(tmp_path / "x/samples.zip")
    with pytest.raises(ValueError, match="does not say which subjects"):
        write_control("noise", nameless, tmp_path / "y.zip", "made", 1, 0.2)
