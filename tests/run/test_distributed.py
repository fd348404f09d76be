"""Two processes train as one does: the same order, the same numbers drawn, the same gradients but for rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import distributed_training
import pytest
import torch
from made import make_stack
from safetensors.torch import load_file
from tiny_generators import TINY

from understudy.run import distributed
from understudy.run.attempts import read
from understudy.run.checkpoint import checkpoints

SCRIPT = Path(__file__).with_name("distributed_training.py")
NAMES = {"unet": "trainee/network"} | dict.fromkeys(TINY, "trainee/networks")  # compared
NAMES.pop("stylegan1")  # biases before its instance norm have no gradient but rounding, and Adam moves them by its sign


def trained_by_two(folder, run, images, *kinds):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = [str(SCRIPT.parent), str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, *launch, str(SCRIPT), str(folder), run, str(images), *kinds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {f"process {i} of 2" for i in range(2)} <= set(done.stdout.splitlines())


def trained(kind, folder, run, images):
    """The tensors of the checkpoint at `images` images, trained by this process."""
    distributed_training.train_to(kind, folder, folder / f"{run}-{kind}", images)
    return tensors_at(folder / f"{run}-{kind}", images)


def tensors_at(run_dir, images):
    (newest, *_) = checkpoints(run_dir)
    assert int(newest.name.removeprefix("step-")) == images
    return load_file(newest / "tensors.safetensors")


def largest_difference(a, b, names):
    """Relative to the largest entry of each tensor."""
    found = [name for name in a if name.startswith(names)]
    assert len(found) > 5
    scale = {name: a[name].abs().max().clamp(min=1e-3) for name in found}
    return max(float(((a[name] - b[name]).abs() / scale[name]).max()) for name in found)


@pytest.fixture
def stack(tmp_path):
    make_stack(tmp_path / "train.zip", [f"s{i}" for i in range(5)], 6)
    return tmp_path


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """All kinds trained by two processes, to 8 images."""
    folder = tmp_path_factory.mktemp("two")
    make_stack(folder / "train.zip", [f"s{i}" for i in range(5)], 6)
    trained_by_two(folder, "two", 8, *NAMES)
    return folder


@pytest.mark.parametrize(("kind", "names"), NAMES.items())
def test_two_processes_are_one(by_two, kind, names):
    one = trained(kind, by_two, "one", 8)
    assert largest_difference(one, tensors_at(by_two / f"two-{kind}", 8), names) < 2e-4
    moved = largest_difference(one, trained(kind, by_two, "more", 24), names)
    assert moved > 2e-3, "it hardly trained: the comparison says nothing"


def test_a_training_goes_on_with_another_number_of_processes(stack):
    straight = trained("unet", stack, "straight", 80)
    trained_by_two(stack, "changed", 40, "unet")
    changed = trained("unet", stack, "changed", 80)
    assert largest_difference(straight, changed, "trainee/network") < 0.05
    starts = [line for line in read(stack / "changed-unet") if line["event"] == "start"]
    assert [(line["images_seen"], line["world_size"]) for line in starts] == [(0, 2), (40, 1)]


def test_alone_everything_is_the_identity():
    x = torch.arange(6.0, requires_grad=True)
    assert distributed.share(x) is not None and torch.equal(distributed.share(x), x)
    assert torch.equal(distributed.total(x), x) and distributed.mean(x) == 2.5 and distributed.agree(7) == 7


def test_scripts_spread_over_processes_and_keep_their_exit_codes(stack):
    """train_generator on two processes: out of time, then to the end; then its samples."""
    root = Path(__file__).resolve().parents[2]
    options = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "batch": 8, "kimg": 0.032}

    def script(name, *arguments):
        command = [sys.executable, root / f"scripts/{name}.py", *arguments, "--device", "cpu", "--gpus", "2"]
        return subprocess.run([*map(str, command), "--threads", "1"], capture_output=True, text=True)

    train = ["train_generator", "--dataset", "made", "--generator", "stylegan2", "--stack", stack / "train.zip"]
    train += ["--options", json.dumps({**options, "precision": "fp32"}), "--runs", stack / "runs"]
    train += ["--output", stack / "weights.safetensors"]
    late = script(*train, "--budget-min", "0.0001", "--margin-min", "0")
    assert late.returncode == 75, late.stderr[-2000:]
    done = script(*train)
    assert done.returncode == 0, done.stderr[-2000:]
    broken = script(*train, "--seed", "-x")
    assert broken.returncode not in (0, 75)
    sample = ["sample_generator", "--weights", stack / "weights.safetensors", "--count", "150", "--runs", stack / "s"]
    assert script(*sample, "--output", stack / "two.zip").returncode == 0
    shards = sorted(path.name for path in stack.glob("s/*/shard-*.zip"))
    assert shards == ["shard-000000000.zip", "shard-000000064.zip"]
    one = [*sample[:-1], stack / "s1", "--output", stack / "one.zip"]
    alone = subprocess.run(
        [sys.executable, *map(str, [root / "scripts/sample_generator.py", *one[1:], "--threads", "1"])],
        capture_output=True,
    )
    assert alone.returncode == 0 and (stack / "one.zip").read_bytes() == (stack / "two.zip").read_bytes()
