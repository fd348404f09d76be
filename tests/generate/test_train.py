"""The trainee: exact continuation, the average; published weights and synthetic stacks."""

import copy
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.data import DeviceImages
from understudy.core.files import sha256_of_file
from understudy.core.stack import Stack, StackWriter
from understudy.generate import sample as sampling
from understudy.generate import train as stage

OPTIONS = {
    **{"channel_base": 512, "channel_max": 16, "latent_size": 16, "mapping_layers": 2, "batch": 8, "precision": "fp32"},
    **{"r1_interval": 4, "kimg": 0.032, "path_length_interval": 2},
}
CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]
LABELS = {"NCR/NET": 51, "ED": 102, "ET": 204}
SIZE = 32


def images_NCHW():
    return np.random.default_rng(0).integers(0, 256, (20, 5, SIZE, SIZE), np.uint8)


def trainee(seed=0, **options):
    generator = stage.seeded_build("stylegan2", 5, SIZE, seed, **(OPTIONS | options))
    return stage.GeneratorTrainee(generator, DeviceImages(images_NCHW(), "cpu"), seed)


def run(trained, steps):
    return [trained.step(8 * step) for step in steps]


def flat(state, prefix=""):
    if not isinstance(state, dict):
        return {prefix: state}
    return {k: v for name, part in state.items() for k, v in flat(part, f"{prefix}/{name}").items()}


@pytest.fixture
def stack_path(tmp_path):
    meta = {
        "channels": CHANNELS,
        "labels": LABELS,
        "height": SIZE,
        "width": SIZE,
        "source": {},
        "lineage": ["a1", "b2"],
    }
    with StackWriter(tmp_path / "train.zip", meta) as writer:
        for i, x_CHW in enumerate(images_NCHW()):
            writer.add(f"p/{i:03d}.png", x_CHW)
    return tmp_path / "train.zip"


@pytest.fixture
def weights(tmp_path):
    trained = trainee()
    meta = {"channels": CHANNELS, "labels": LABELS, "lineage": ["a1", "b2"]}
    metadata = stage.describe("stylegan2", trained.generator, meta, dataset="phantom", seed=0, images_seen=0)
    stage.publish_weights(trained.ema, tmp_path / "weights.safetensors", metadata)
    return tmp_path / "weights.safetensors"


def test_six_steps_are_three_and_a_reload_and_three():
    straight, first, second = trainee(), trainee(), trainee(seed=0)
    run(straight, range(6))
    run(first, range(3))
    state = copy.deepcopy(first.state())
    run(second, range(1))  # whatever it held before is overwritten
    second.load_state(state)
    statistics = run(second, range(3, 6))
    expected, actual = flat(straight.state()), flat(second.state())
    assert expected.keys() == actual.keys() and len(expected) > 100
    for key, tensor in expected.items():
        assert torch.equal(tensor, actual[key]), key
    assert statistics[0]["loss_generator"].ndim == 0 and not statistics[0]["loss_generator"].requires_grad


def test_another_seed_is_another_training():
    a, b = trainee(seed=1), trainee(seed=2)
    assert not torch.equal(a.ema.blocks["b4"].constant_CHW, b.ema.blocks["b4"].constant_CHW)


def test_average_of_parameters_and_copy_of_buffers():
    ema, network = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    torch.nn.init.constant_(network.weight, 3.0)
    network.running_mean.fill_(5.0)
    stage.update_ema(ema, network, 0.75)
    assert ema.weight.tolist() == [1.5, 1.5] and ema.running_mean.tolist() == [5, 5]


def test_first_average_is_the_network():
    trained = trainee()
    run(trained, range(1))
    for a, b in zip(trained.ema.parameters(), trained.generator.networks["generator"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_machine_knobs_are_no_part_of_the_identity():
    options = {"batch": 8, "microbatch": 4}
    assert stage.identity("stylegan2", options, 1, "f00")["options"] == {"batch": 8}


def test_published_weights_sample_the_same(weights):
    generator, metadata = stage.load_generator(weights)
    expected = trainee()
    expected.generator.networks["generator"] = expected.ema
    assert torch.equal(generator.sample(4, seed=1), expected.generator.sample(4, seed=1))
    assert metadata["lineage"] == ["a1", "b2"] and metadata["labels"] == LABELS
    assert metadata["options"]["r1_gamma"] == 8.2 and "microbatch" not in metadata["options"]
    manifest = json.loads(weights.with_suffix(".json").read_text())
    assert manifest["sha256"] == sha256_of_file(weights) and "lineage" not in manifest


def test_publishing_twice_gives_the_same_bytes(weights, tmp_path):
    generator, metadata = stage.load_generator(weights)
    stage.publish_weights(generator.networks["generator"], tmp_path / "again.safetensors", metadata)
    assert (tmp_path / "again.safetensors").read_bytes() == weights.read_bytes()


def test_broken_weights_are_explained(tmp_path):
    with pytest.raises(ValueError, match="no such weights"):
        stage.load_generator(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="expected generator weights of train_generator"):
        stage.load_generator(tmp_path / "broken.safetensors")


def test_rounding_and_labels():
    x = torch.tensor([-1.0, -0.999, 0.0, 0.9999, 1.0]).view(1, 1, 1, 5)
    assert sampling.to_uint8(x).ravel().tolist() == [0, 0, 128, 255, 255]
    greys = np.array([0, 25, 26, 76, 77, 153, 154, 255], np.uint8)
    x_NCHW = np.broadcast_to(greys, (1, 2, 1, 8)).copy()
    shuffled = {"ET": 204, "NCR/NET": 51, "ED": 102}
    snapped = sampling.snap_labels(x_NCHW, ["t1", "seg"], shuffled)
    assert snapped[0, 1, 0].tolist() == [0, 0, 51, 51, 102, 102, 204, 204]
    assert snapped[0, 0, 0].tolist() == greys.tolist()


def test_picture_shows_annotations_in_colour():
    x_NCHW = np.zeros((2, 5, 64, 64), np.uint8)
    x_NCHW[1, 4, :32], x_NCHW[0, 0] = 204, 77
    picture = sampling.grid_picture(x_NCHW, CHANNELS, LABELS)
    assert picture.shape == (5 * 128, 2 * 128, 3)
    assert picture[0, 0].tolist() == [77, 77, 77]
    assert picture[4 * 128, 128].tolist() == [230, 0, 0] and picture[-1, -1].tolist() == [0, 0, 0]


def script(monkeypatch, name, *arguments):
    """Exit code of scripts/<name>.py, run in this process."""
    path = Path(__file__).parents[2] / "scripts" / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        return end.code
    return 0


def test_scripts_train_resume_and_sample(stack_path, tmp_path, monkeypatch, capsys):
    train = ["train_generator", "--dataset", "phantom", "--generator", "stylegan2", "--stack", stack_path]
    train += ["--device", "cpu", "--options", json.dumps(OPTIONS)]
    for run in ("run1", "run2"):
        where = ["--output", tmp_path / f"{run}.safetensors", "--runs", tmp_path / run]
        if run == "run2":  # no time at all: it leaves with 75, and the same command goes on
            assert script(monkeypatch, *train, *where, "--budget-min", 0.001, "--margin-min", 0) == 75
        assert script(monkeypatch, *train, *where) == 0
    assert (tmp_path / "run1.safetensors").read_bytes() == (tmp_path / "run2.safetensors").read_bytes()
    sample = ["sample_generator", "--weights", tmp_path / "run1.safetensors", "--count", 3, "--runs", tmp_path / "s"]
    assert script(monkeypatch, *sample, "--output", tmp_path / "s.zip", "--grid", tmp_path / "s.png") == 0
    assert len(Stack.open(tmp_path / "s.zip")) == 3 and (tmp_path / "s.png").is_file()
    capsys.readouterr()
    train[-1] = '{"r1_gama": 1}'
    assert script(monkeypatch, *train, "--output", tmp_path / "w", "--runs", tmp_path / "r") == 1
    assert "the nearest known one is 'r1_gamma'" in capsys.readouterr().err
