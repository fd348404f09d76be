"""What a kill or a full disk in the middle of a checkpoint leaves: the one before it, whole."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from understudy.run.checkpoint import checkpoints, load_newest_checkpoint, save_checkpoint

KILLS = 300


def write_for_ever(folder, first, told):
    """Checkpoints whose tensors all hold their step; tells the step before each."""
    step = first
    while True:
        state = {"tensors": {str(i): torch.full((20_000,), float(step)) for i in range(4)}, "value": step}
        os.write(told, f"{step}\n".encode())
        save_checkpoint(folder, step, state)
        step += 1


def killed_while_writing(folder, first, seconds):
    """Forks a writer, kills it after `seconds` of writing; returns the last step that it began to write."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_for_ever(folder, first, writes)
        finally:
            os._exit(1)
    os.close(writes)
    begun = os.read(reads, 64)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the writer failed by itself"
    while more := os.read(reads, 65536):
        begun += more
    os.close(reads)
    return int(begun.split()[-1])


@pytest.mark.long
def test_300_kills_while_writing_300_resumes(tmp_path):
    host, step, halves = random.Random(1), 0, 0
    for _ in range(KILLS):
        begun = killed_while_writing(tmp_path, step + 1, host.uniform(0, 0.03))
        halves += any(p.name.endswith(".tmp") for p in tmp_path.iterdir())
        found = load_newest_checkpoint(tmp_path)
        if found is None:  # killed in the first checkpoint of all
            assert begun == 1
            continue
        step, state = found
        assert begun - 1 <= step <= begun and state["value"] == step
        assert all((tensor == step).all() for tensor in state["tensors"].values())
    assert halves > KILLS // 10, "kills fell beside the writing: the test proves nothing"


FULL = """
import resource, sys
from pathlib import Path
import torch
from understudy.run.checkpoint import save_checkpoint
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    save_checkpoint(folder, 20, {"x": torch.zeros(1_000_000)})
except ValueError as error:
    print(error)
    sys.exit(1)
"""


def save_a_large_one(folder, limit=0):
    done = subprocess.run([sys.executable, "-c", FULL, folder, str(limit)], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    return done.stdout


def still_whole(folder, said):
    assert "make room and run the same command again" in said and "step-000000020" in said
    assert [p.name for p in checkpoints(folder)] == ["step-000000010"]
    assert load_newest_checkpoint(folder) == (10, {"a": 1})
    assert not list(folder.glob("*.tmp"))


def test_a_file_size_limit_leaves_the_previous_one(tmp_path):
    save_checkpoint(tmp_path, 10, {"a": 1})
    still_whole(tmp_path, save_a_large_one(tmp_path, 1_000_000))


def test_a_full_disk_leaves_the_previous_one(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        save_checkpoint(disk, 10, {"a": 1})
        said = save_a_large_one(disk)
        still_whole(disk, said)
        assert "No space left on device" in said
    finally:
        subprocess.run(["umount", disk], check=True)
