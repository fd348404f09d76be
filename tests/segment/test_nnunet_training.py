"""nnU-Net as a segmenter: how parts are drawn, what counts as failed, what a training leaves, and one real training."""

import importlib.util
import json
import subprocess
from pathlib import Path

import cv2
import pandas as pd
import pytest
from made import LEVELS, make_stack
from nnunet_python import NNUNET, needs_nnunet
from project import ROOT
from scripts_here import run_here

from understudy.config.segmenters.nnunet import PACKAGE
from understudy.evaluate.scores import read_scores
from understudy.run.attempts import read
from understudy.segment import build
from understudy.segment.nnunet_folder import drawn_equally
from understudy.segment.nnunet_training import collapse_of

OPTIONS = {"epochs": 2, "iterations_per_epoch": 2, "validation_fraction": 0.2, "collapse": "keep"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nnunet")
    make_stack(folder / "train.zip", [f"s{i}" for i in range(6)], 4, size=32)
    make_stack(folder / "test.zip", ["t0", "t1"], 3, size=32, seed=1)
    failed = {"dataset": "made", "generator": "gan", "failure": "it diverged"}
    make_stack(folder / "failed.zip", ["x"], 4, size=32, seed=2, source=failed)
    return folder


def words(folder: Path, output: Path, stack: str = "train", training_set: str = "real", **changes) -> list:
    given = ["--dataset", "made", "--segmenter", "nnunet", "--training-set", training_set]
    given += ["--augmentation", "augmented", "--repeat", 1, "--seed", 7, "--options", json.dumps(OPTIONS | changes)]
    given += ["--stacks", folder / f"{stack}.zip", "--test", folder / "test.zip", "--runs", output / "runs"]
    for name, kind in {"history": "csv", "scores": "csv", "example": "png"}.items():
        given += [f"--{name}", output / f"{name}.{kind}"]
    return [*given, "--device", "cpu", "--threads", 1]


def test_parts_of_a_mixture_are_drawn_equally_often():
    cases = ["real_a_0", "real_a_1", "real_b_0", "gan_0", "gan_1", "gan_2", "gan_3", "gan_4", "gan_2_0"]
    drawn = pd.Series(drawn_equally(cases, ["real", "gan", "gan_2"])).value_counts()
    assert set(drawn.index) == set(cases)
    assert drawn[["real_a_0", "real_a_1", "real_b_0"]].sum() == drawn["gan_2_0"] == 5
    assert all(drawn[f"gan_{i}"] == 1 for i in range(5))  # the largest part, once each
    assert drawn[["real_a_0", "real_a_1", "real_b_0"]].between(1, 2).all()


def test_a_training_that_never_finds_a_label_has_failed():
    fails, nothing = {"collapse": "fail"}, [{"dice": 0.0, "loss": 0.5}, {"dice": 0.0, "loss": 0.25}]
    assert "after 2 epochs of nnU-Net the validation Dice was 0" in collapse_of(nothing, fails, exempt=False)
    assert not collapse_of([*nothing, {"dice": 0.1, "loss": 0.2}], fails, exempt=False)
    assert not collapse_of(nothing, {"collapse": "keep"}, exempt=False) and not collapse_of(nothing, fails, exempt=True)


def test_without_the_package_a_line_says_what_to_install(folder, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    without = {"nnunetv2": lambda *_: None}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: without.get(name, find)(name, *more))
    done = run_here("train_nnunet", *words(folder, tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "found no package nnunetv2" in done.stderr and f"pip install {PACKAGE}" in done.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_what_it_leaves_is_what_train_segmenter_leaves(folder, tmp_path):
    """Of a part whose generator failed, from which nothing is learned: the same files, scores of the same form."""
    done = run_here("train_nnunet", *words(folder, tmp_path, "failed", "gan"))
    assert done.returncode == 0, done.stderr
    scores = read_scores(tmp_path / "scores.csv")
    assert set(scores["segmenter"]) == {"nnunet"} and set(scores["subject"]) == {"t0", "t1"}
    assert (scores["predicted_voxels"] == 0).all() and scores["failure"].str.contains("gan failed .it diverged.").all()
    assert (tmp_path / "history.csv").read_text() == "epoch,images_seen,learning_rate,loss,dice\n"
    assert cv2.imread(str(tmp_path / "example.png"), cv2.IMREAD_UNCHANGED).shape == (96, 32)


def test_several_gpus_and_a_network_by_hand_are_refused(folder, tmp_path):
    done = run_here("train_nnunet", *words(folder, tmp_path), "--gpus", 2)
    assert done.returncode == 1 and "--gpus: found 2, expected at most 1" in done.stderr
    with pytest.raises(ValueError, match="that nnU-Net plans and builds itself"):
        build("nnunet", 4, 4, 32)


@needs_nnunet
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_training_that_was_stopped_goes_on_and_is_scored(folder, tmp_path):
    command = [NNUNET, ROOT / "scripts/train_nnunet.py", *words(folder, tmp_path)]

    def trained(*more):
        return subprocess.run([*map(str, [*command, *more])], capture_output=True, text=True)

    first = trained("--budget-min", 1, "--margin-min", 0.999)  # over when the first epoch is
    assert first.returncode == 75, first.stdout[-3000:] + first.stderr[-3000:]
    assert "stopped (budget) after 1 epochs" in first.stdout and not (tmp_path / "scores.csv").exists()
    second = trained()
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    (run,) = (tmp_path / "runs/repeat1").iterdir()
    assert [line["reason"] for line in read(run) if line["event"] == "end"] == ["budget", "finished"]
    assert "after 1 epochs" in second.stdout and not (run / "nnunet").exists()
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history["epoch"]) == [1, 2] and history["learning_rate"].is_monotonic_decreasing
    scores = read_scores(tmp_path / "scores.csv")
    assert set(scores["label"]) == set(LEVELS) and set(scores["subject"]) == {"t0", "t1"}
    assert scores["dice"].between(0, 1).all() and (scores["failure"] == "").all()
