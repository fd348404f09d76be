"""The repeats of a setting in one job: several at once end as they do in turn, and each ends alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from made import make_stack
from scripts_here import run_here

from understudy.config.study import complete
from understudy.evaluate.scores import apply_policy, read_scores
from understudy.files.atomic import sha256_of_file
from understudy.run.attempts import read
from understudy.segment.publish import failure_of, load_segmenter
from understudy.segment.segmenter_training import SegmenterTrainee

ROOT = Path(__file__).resolve().parents[2]
REPEATS = (1, 2, 3)


def options(**changes) -> dict:
    small = {"depth": 2, "base_filters": 4, "samples": 96, "epoch_samples": 48, "batch": 6, "momentum": 0.9, **changes}
    config = {"datasets": {"x": {"phantom": {}, "test_subjects": 2}}, "segmenters": {"unet": small}}
    config |= {"images": {"size": 16}, "experiments": {"training_sets": ["real"]}}
    return complete(config)["segmenters"]["unet"]


def words(folder: Path, run: str, *more, **changes) -> list:
    """train_segmenter of three repeats; a thread each, as more would wait for each other on a busy machine."""
    given = ["--dataset", "x", "--segmenter", "unet", "--training-set", "real", "--augmentation", "augmented"]
    given += ["--repeats", *REPEATS, "--seed", 7, "--options", json.dumps(options(**changes))]
    given += ["--stacks", folder / "train.zip", "--test", folder / "test.zip", "--runs", folder / run / "runs"]
    for name, kind in {"weights": "safetensors", "history": "csv", "scores": "csv", "example": "png"}.items():
        given += [f"--{name}", *(folder / run / f"{repeat}/{name}.{kind}" for repeat in REPEATS)]
    return [*given, "--device", "cpu", "--threads", "1", *more]


def command(*args, **changes) -> list[str]:
    return [sys.executable, *map(str, [ROOT / "scripts/train_segmenter.py", *words(*args, **changes)])]


def trained(*args, **changes) -> subprocess.CompletedProcess:
    return subprocess.run(command(*args, **changes), capture_output=True, text=True)


def published(folder: Path, run: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder / run)): path.read_bytes()
        for repeat in REPEATS
        for path in (folder / run / str(repeat)).glob("*")
    }


def attempts(folder: Path, run: str, repeat: int) -> list[dict]:
    runs = list((folder / run / f"runs/repeat{repeat}").glob("*"))
    return read(runs[0]) if runs else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeats")
    make_stack(folder / "train.zip", [f"s{i}" for i in range(5)], 6)
    make_stack(folder / "test.zip", ["t0", "t1"], 4, seed=1)
    return folder


def without_times(content: bytes, name: str) -> bytes:
    """Weights tell how long their training took."""
    if not name.endswith("safetensors"):
        return content
    length = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + length])
    about = json.loads(head["__metadata__"].pop("understudy"))
    del about["training_seconds"]
    return json.dumps([head, about], sort_keys=True).encode() + content[8 + length :]


@pytest.fixture(scope="module")
def in_turn(folder) -> str:
    """A run whose repeats were trained one after the other."""
    done = trained(folder, "turn", "--at-once", 1)
    assert done.returncode == 0, done.stderr[-2000:]
    return "turn"


def test_several_at_once_end_bit_for_bit_as_in_turn(folder, in_turn):
    done = trained(folder, "once", "--at-once", 2)
    assert done.returncode == 0, done.stderr[-2000:]
    turn, once = published(folder, in_turn), published(folder, "once")
    assert len(turn) == 4 * len(REPEATS) and turn.keys() == once.keys()
    assert all(without_times(turn[name], name) == without_times(once[name], name) for name in turn)
    assert turn["1/history.csv"] != turn["2/history.csv"]
    assert "repeat 2: 96 of 96 images" in done.stdout  # a line says whose it is


def test_those_that_diverge_are_results_with_a_dice_of_0_and_a_reason(folder):
    diverging = {"learning_rate": 1e30, "gradient_clip": None}
    done = trained(folder, "failed", "--at-once", 3, **diverging)
    assert done.returncode == 0, done.stderr[-2000:]
    before = published(folder, "failed")
    for repeat in REPEATS:
        scores = read_scores(folder / f"failed/{repeat}/scores.csv")
        assert scores["failure"].str.startswith("diverged: in epoch 1").all()
        assert (scores["predicted_voxels"] == 0).all() and (scores["reference_voxels"] > 0).all()
        assert (apply_policy(scores, "study")["dice"] == 0).all()
        assert attempts(folder, "failed", repeat)[-1]["reason"] == "failed"
        assert failure_of(folder / f"failed/{repeat}/weights.safetensors").startswith("diverged")
        with pytest.raises(ValueError, match="found no weights, as their training failed"):
            load_segmenter(folder / f"failed/{repeat}/weights.safetensors")
    again = trained(folder, "failed", "--at-once", 1, **diverging)  # lost results are published again, the same ones
    assert again.returncode == 0 and published(folder, "failed") == before
    starts = [folder / f"failed/{repeat}/weights.safetensors" for repeat in REPEATS]
    after = trained(folder, "behind", "--start", *starts)
    assert after.returncode == 0, after.stderr[-2000:]
    said = read_scores(folder / "behind/1/scores.csv")["failure"].iloc[0]
    assert said.startswith("the training that it starts from failed (diverged")


def test_one_that_collapses_is_scored_by_what_it_finds(folder, in_turn, monkeypatch):
    monkeypatch.setattr(SegmenterTrainee, "failure", "collapsed to background")
    done = run_here("train_segmenter", *words(folder, "collapsed"))
    assert done.returncode == 0 and "repeat 3 failed, which counts: collapsed to background" in done.stdout
    for repeat in REPEATS:
        scores, usual = (read_scores(folder / f"{run}/{repeat}/scores.csv") for run in ("collapsed", in_turn))
        assert (scores["failure"] == "collapsed to background").all() and (usual["failure"] == "").all()
        pd.testing.assert_frame_equal(scores.drop(columns="failure"), usual.drop(columns="failure"))


def test_what_a_failed_generator_made_teaches_nothing(folder):
    source = {"dataset": "x", "generator": "g", "failure": "the generator has collapsed: its samples are all alike"}
    make_stack(folder / "alike.zip", [f"s{i}" for i in range(5)], 6, source=source)
    given = words(folder, "untaught")
    given[given.index("real")] = "g"
    given[given.index("--stacks") + 1] = folder / "alike.zip"
    done = run_here("train_segmenter", *given)
    assert done.returncode == 0, done.stderr
    said = read_scores(folder / "untaught/2/scores.csv")["failure"].unique()
    assert list(said) == [f"the training of its generator g failed ({source['failure']})"]
    assert not attempts(folder, "untaught", 1)


def test_an_error_of_the_user_is_no_result(folder):
    given = words(folder, "wrong")
    given[given.index("--test") + 1] = folder / "nowhere.zip"
    done = run_here("train_segmenter", *given)
    assert done.returncode == 1 and "no such stack" in done.stderr and not published(folder, "wrong")


def test_out_of_time_all_save_and_the_same_command_goes_on(folder):
    late = trained(folder, "late", "--at-once", 2, "--budget-min", "0.0001", "--margin-min", "0")
    assert late.returncode == 75, late.stderr[-2000:]
    assert not attempts(folder, "late", 3)  # there was no time to begin it
    assert "stopped (budget)" in late.stdout and not published(folder, "late")


def test_one_that_is_killed_takes_no_other_with_it(folder):
    slow = {"samples": 960, "epoch_samples": 480}
    process = subprocess.Popen(
        command(folder, "killed", "--at-once", 3, **slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not attempts(folder, "killed", 2):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.kill(attempts(folder, "killed", 2)[0]["pid"], signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == 1 and "error: repeat 2: killed by signal 9" in told
    assert {name[0] for name in published(folder, "killed")} == {"1", "3"}
    again = trained(folder, "killed", "--at-once", 1, **slow)
    assert again.returncode == 0 and {name[0] for name in published(folder, "killed")} == {"1", "2", "3"}
    assert [line["event"] for line in attempts(folder, "killed", 1)] == ["start", "end"]  # not trained twice


def test_several_at_once_on_several_gpus_are_refused(folder):
    refused = run_here("train_segmenter", *words(folder, "gpus", "--at-once", 2, "--gpus", 2))
    assert refused.returncode == 1
    assert "found --at-once 2 and --gpus 2, expected one of them to be 1" in refused.stderr
    none = run_here("train_segmenter", *words(folder, "gpus", "--at-once", 0))
    assert none.returncode == 1 and "--at-once: found 0" in none.stderr


def test_a_repeat_starts_from_the_weights_that_it_is_given(folder, in_turn):
    """A training so slow that it changes nothing: what comes out is what went in, and its people are behind it."""
    small = {"samples": 48, "learning_rate": 1e-12}
    starts = [folder / f"{in_turn}/{repeat}/weights.safetensors" for repeat in REPEATS]
    done = trained(folder, "further", "--start", *starts, **small)
    assert done.returncode == 0, done.stderr[-2000:]
    for repeat, start in zip(REPEATS, starts, strict=True):
        (before, known), (after, about) = map(load_segmenter, (start, folder / f"further/{repeat}/weights.safetensors"))
        for name, tensor in before.state_dict().items():
            assert torch.allclose(tensor, after.state_dict()[name], atol=1e-7), name
        assert about["start"] == sha256_of_file(start) and set(known["lineage"]) <= set(about["lineage"])
