"""Killed with SIGKILL at 20 random moments and resumed, a training ends in the weights of an uninterrupted one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made import make_stack

from understudy.files.atomic import sha256_of_file
from understudy.run.checkpoint import checkpoints, damage

KILLS = 20


@pytest.mark.parametrize("kind", ["unet", "stylegan2"])
def test_kill_9_at_random_moments_changes_no_bit(kind, tmp_path):
    make_stack(tmp_path / "train.zip", [f"s{i}" for i in range(5)], 6)
    script = Path(__file__).with_name("killed_training.py")
    paths = [str(script.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, script, kind, tmp_path, str(KILLS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == KILLS
    (straight, *_), (killed, *_) = (checkpoints(tmp_path / name) for name in ("straight", "killed"))
    assert straight.name == killed.name and damage(straight) is None
    # tensors are all of networks, averages, optimizers, best weights; the JSON beside them holds elapsed seconds
    assert sha256_of_file(straight / "tensors.safetensors") == sha256_of_file(killed / "tensors.safetensors")
