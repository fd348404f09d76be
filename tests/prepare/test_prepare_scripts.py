"""The two command lines: from raw files to stacks, and one line on stderr for what is the user's to correct."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.stack import Stack

SCRIPTS = Path(__file__).parents[2] / "scripts"


def call(script, *arguments):
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def arguments(raw, images, tmp_path):
    options = {"root": str(raw.root), "layout": "brats2020", "test_subjects": 1, "draw": "seed", "split": None}
    common = ["--dataset", "data", "--options", json.dumps(options), "--images", json.dumps(images)]
    index = [*common, "--seed", 1, "--output", tmp_path / "out/subjects.csv", "--work", tmp_path / "index"]
    stacks = ["--train", tmp_path / "out/train.zip", "--test", tmp_path / "out/test.zip"]
    outputs = [*stacks, "--manifest", tmp_path / "out/stacks.json", "--work", tmp_path / "work"]
    return index, [*common, "--index", tmp_path / "out/subjects.csv", *outputs]


@pytest.mark.parametrize("script", ["index_subjects.py", "slice_volumes.py"])
def test_help(script):
    done = call(script, "--help")
    assert done.returncode == 0 and "--workers" in done.stdout


def test_from_raw_files_to_stacks(raw, arguments, tmp_path):
    raw.subjects(3)
    for script, given in zip(("index_subjects.py", "slice_volumes.py"), arguments, strict=True):
        done = call(script, *given, "--workers", 2)
        assert (done.returncode, done.stderr) == (0, "")
        assert "3 of 3 subjects" in done.stdout
    assert Stack.open(tmp_path / "out/train.zip").shape_CHW == (5, 32, 32)


def test_errors_are_one_message_without_traceback(raw, arguments, tmp_path):
    index, stacks = arguments
    done = call("slice_volumes.py", *stacks)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/out/subjects.csv: found No such file")
    done = call("index_subjects.py", *index)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {raw.root}: found an empty folder")
    raw.subjects(2)
    (tmp_path / "out").write_text("in the way of a folder")
    done = call("index_subjects.py", *index)
    assert done.returncode == 1 and done.stderr == f"error: {tmp_path}/out: File exists\n"
    done = call("index_subjects.py", *index, "--root", tmp_path / "none")
    assert done.stderr.startswith(f"error: {tmp_path}/none: found nothing, expected the folder")
    done = call("index_subjects.py", *[a if a != index[3] else "{}" for a in index])
    assert done.stderr.startswith("error: --root: found none")
