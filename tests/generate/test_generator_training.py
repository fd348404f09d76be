"""The trainee: exact continuation, the average; published weights and synthetic stacks."""

import copy
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made import assert_same_state, finished_here, make_stack

from understudy.files.atomic import sha256_of_file
from understudy.generate import generator_training as stage
from understudy.generate import sample as sampling
from understudy.generate import weights as published
from understudy.generate.annotation_channel import Coding
from understudy.generate.snapshots import Snapshots
from understudy.run import distributed
from understudy.run.attempts import FailedRunError, read
from understudy.run.checkpoint import load_newest_checkpoint, save_checkpoint
from understudy.run.device_images import DeviceImages
from understudy.run.seeds import seed_of
from understudy.run.training_loop import train
from understudy.segment.subjects_by_lot import first_percent
from understudy.stack import Stack, StackWriter

OPTIONS = {
    **{"channel_base": 512, "channel_max": 16, "latent_size": 16, "mapping_layers": 2, "batch": 8, "precision": "fp32"},
    **{"r1_interval": 4, "kimg": 0.032, "path_length_interval": 2},
}
CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]
LABELS = {"ncr_net": 51, "ED": 102, "ET": 204}
SIZE = 32


def images_NCHW():
    return np.random.default_rng(0).integers(0, 256, (20, 5, SIZE, SIZE), np.uint8)


def trainee(seed=0, coding=Coding(), keep=(), **options):  # noqa: B008
    generator = published.seeded_build("stylegan2", 5, SIZE, seed, **(OPTIONS | options))
    return stage.GeneratorTrainee(generator, DeviceImages(images_NCHW(), "cpu"), seed, coding, keep=keep)


def run(trained, steps):
    return [trained.step(8 * step) for step in steps]


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
    metadata = published.describe("stylegan2", trained.generator, meta, dataset="phantom", seed=0, images_seen=0)
    published.publish_weights(trained.ema.state_dict(), tmp_path / "weights.safetensors", metadata)
    return tmp_path / "weights.safetensors"


def test_six_steps_are_three_and_a_reload_and_three():
    straight, first, second = trainee(), trainee(), trainee(seed=0)
    run(straight, range(6))
    run(first, range(3))
    state = copy.deepcopy(first.state())
    run(second, range(1))  # whatever it held before is overwritten
    second.load_state(state)
    statistics = run(second, range(3, 6))
    assert_same_state(second.state(), straight.state())
    assert statistics[0]["loss_generator"].ndim == 0 and not statistics[0]["loss_generator"].requires_grad


def test_weights_kept_on_the_way_survive_a_reload_and_change_nothing(tmp_path):
    """Those of the iteration in which a share of the training ended; also through a checkpoint on disk."""
    straight, first, second, plain = trainee(keep=[30, 50]), trainee(keep=[30, 50]), trainee(keep=[30, 50]), trainee()
    seen = []
    for step in range(4):  # of 8 images, 32 in all: 30 % are 9.6 images, 50 % are 16
        run(straight, [step])
        seen.append({name: tensor.clone() for name, tensor in straight.ema.state_dict().items()})
    run(first, [0, 1])
    save_checkpoint(tmp_path, 16, first.state())
    second.load_state(load_newest_checkpoint(tmp_path)[1])
    run(second, [2, 3])
    assert_same_state(second.state(), straight.state())
    for share, images_seen, step in ((30, 16, 1), (50, 16, 1), (100, 32, 3)):
        weights, found = second.published(32, share)
        assert found == images_seen and weights.keys() == seen[step].keys()
        assert all(torch.equal(tensor, seen[step][name]) for name, tensor in weights.items())
    run(plain, range(4))
    state = straight.state()
    assert state.pop("kept").keys() == {30, 50}
    assert_same_state(plain.state(), state)


def test_another_seed_is_another_training():
    a, b = trainee(seed=1), trainee(seed=2)
    assert not torch.equal(a.ema.blocks["b4"].constant_CHW, b.ema.blocks["b4"].constant_CHW)


def test_average_of_parameters_and_copy_of_buffers():
    ema, network = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    torch.nn.init.constant_(network.weight, 3.0)
    network.running_mean.fill_(5.0)
    stage.update_ema(ema, network, 0.75)
    assert ema.weight.tolist() == [1.5, 1.5] and ema.running_mean.tolist() == [5, 5]
    stage.update_ema(ema, network, 0)  # diffusion, ema_decay: 0
    assert all(torch.equal(a, b) for a, b in zip(ema.parameters(), network.parameters(), strict=True))


def test_first_average_is_the_network():
    trained = trainee()
    run(trained, range(1))
    for a, b in zip(trained.ema.parameters(), trained.generator.networks["generator"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_changes_no_weights_is_no_part_of_the_identity():
    def options(**changed):
        o = published.seeded_build("stylegan2", 5, SIZE, 0, **(OPTIONS | changed)).options
        return stage.identity("stylegan2", o, 1, "f00")["options"]

    assert options(microbatch=4, truncation_psi=0.5, snapshot_kimg=1) == options()
    assert options(batch=4) != options() and options(annotation="channels") != options()
    stopping = {"memorization_action": "stop", "memorization_limit": 0.1}
    assert options(**stopping) != options() and options(**stopping, snapshot_kimg=1) != options(**stopping)


def test_published_weights_sample_the_same(weights):
    generator, metadata = published.load_generator(weights)
    expected = trainee()
    expected.generator.networks["generator"] = expected.ema
    assert torch.equal(generator.sample(4, seed=1), expected.generator.sample(4, seed=1))
    assert metadata["lineage"] == ["a1", "b2"] and metadata["labels"] == LABELS
    assert metadata["options"]["r1_gamma"] == 8.2 and "microbatch" not in metadata["options"]
    manifest = json.loads(weights.with_suffix(".json").read_text())
    assert manifest["sha256"] == sha256_of_file(weights) and "lineage" not in manifest


def test_publishing_twice_gives_the_same_bytes(weights, tmp_path):
    generator, metadata = published.load_generator(weights)
    published.publish_weights(generator.networks["generator"].state_dict(), tmp_path / "again.safetensors", metadata)
    assert (tmp_path / "again.safetensors").read_bytes() == weights.read_bytes()


def test_broken_weights_are_explained(tmp_path):
    with pytest.raises(ValueError, match="no such weights"):
        published.load_generator(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="expected generator weights of train_generator"):
        published.load_generator(tmp_path / "broken.safetensors")


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
    assert "found unknown key `r1_gama` (did you mean `r1_gamma`?)" in capsys.readouterr().err


def test_a_finished_training_publishes_what_it_has_kept(stack_path, tmp_path, monkeypatch, capsys):
    """The end is as if it had kept nothing; a snapshot trains no further, says when it was, and samples."""
    train = ["train_generator", "--dataset", "phantom", "--generator", "stylegan2", "--stack", stack_path]
    train += ["--device", "cpu", "--options", json.dumps(OPTIONS | {"snapshot_kimg": 0.008}), "--runs", tmp_path / "r"]
    asked = {"plain": [], "end": ["--keep", 50], "half": ["--keep", 50, "--publish", 50]}
    for name, more in asked.items():
        assert script(monkeypatch, *train, "--output", tmp_path / f"{name}.safetensors", *more) == 0
    plain, end, half = (tmp_path / f"{name}.safetensors" for name in asked)
    assert plain.read_bytes() == end.read_bytes() != half.read_bytes()
    about = {name: published.read_metadata(tmp_path / f"{name}.safetensors") for name in asked}
    assert [one["images_seen"] for one in about["half"]["snapshots"]] == [8, 16] and about["half"]["images_seen"] == 16
    assert about["end"]["images_seen"] == 32 and len(about["end"]["snapshots"]) == 4
    assert len(list((tmp_path / "r").iterdir())) == 2  # who asks for snapshots later trains again
    drawn = [published.load_generator(path)[0].sample(2, seed=1) for path in (end, half)]
    assert not torch.equal(*drawn)
    assert script(monkeypatch, *train, "--output", tmp_path / "none", "--keep", 50, "--publish", 25) == 2
    assert "--publish: found 25, expected one of --keep, or 100" in capsys.readouterr().err


def test_a_generator_that_collapses_or_ends_without_numbers_is_a_result(stack_path, tmp_path, monkeypatch, capsys):
    """A file without weights that says why, the same one whenever it is asked for again; an error stays an error."""
    train = ["train_generator", "--dataset", "phantom", "--generator", "stylegan2", "--stack", stack_path]
    train += ["--device", "cpu", "--options", json.dumps(OPTIONS)]

    def collapse(self):
        raise FailedRunError("the generator has collapsed: its samples are all alike")

    with monkeypatch.context() as planted:
        planted.setattr(Snapshots, "_refuse_collapse", collapse)
        for name in ("first", "again"):
            assert script(monkeypatch, *train, "--runs", tmp_path / "runs", "--output", tmp_path / name) == 0
    assert "failed, which counts: the generator has collapsed" in capsys.readouterr().out
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    assert published.read_metadata(tmp_path / "first")["failure"].startswith("the generator has collapsed")
    with pytest.raises(ValueError, match="found no weights, as their training failed"):
        published.load_generator(tmp_path / "first")
    trained = trainee()
    next(trained.ema.parameters()).data.fill_(float("nan"))
    with pytest.raises(FailedRunError, match="diverged: at 8 images weights are no numbers"):
        trained.published(8)
    nowhere = [*train[:-4], "--stack", tmp_path / "nowhere.zip", *train[-4:]]
    assert script(monkeypatch, *nowhere, "--runs", tmp_path / "none", "--output", tmp_path / "none") == 1
    assert "no such stack" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_another_training_has_another_seed_and_sees_its_part_of_the_subjects(tmp_path, monkeypatch):
    """And the left-out subjects are in no part; lineage names those alone who were seen."""
    stack = make_stack(tmp_path / "train.zip", [f"s{i}" for i in range(10)], 2, size=32)
    train = ["train_generator", "--dataset", "made", "--generator", "stylegan2", "--stack", stack.path]
    train += ["--device", "cpu", "--options", json.dumps(OPTIONS | {"kimg": 0.004}), "--runs", tmp_path / "runs"]
    found = {}
    for name, more in {
        "all": [],
        "first": ["--percent", 50],
        "again": ["--percent", 50, "--training", 2],
        "apart": ["--percent", 50, "--leave-out", 0.2],
    }.items():
        assert script(monkeypatch, *train, "--output", tmp_path / f"{name}.safetensors", *more) == 0
        found[name] = published.read_metadata(tmp_path / f"{name}.safetensors")
    part = first_percent(stack.subjects(), 50, seed_of(0, "made"))
    assert found["first"]["lineage"] == sorted(stack.meta["subjects"][s]["identity"] for s in part)
    assert {name: len(about["lineage"]) for name, about in found.items()} == {
        "all": 10, "first": 5, "again": 5, "apart": 4,
    }  # fmt: skip
    assert found["first"]["lineage"] != found["again"]["lineage"]
    assert found["first"]["seed"] == found["all"]["seed"] == 0 != found["again"]["seed"]


# ------------------------------------------------------------------------------------------------ snapshots
def samples_are(trained, x_NCHW, images_from=0):
    """In place of the generator's samples: noise at first, `x_NCHW` from a snapshot on."""

    def samples(count):
        if 8 * (len(trained.snapshots.history) + 1) >= images_from:
            return x_NCHW
        return torch.from_numpy(np.random.default_rng(len(trained.snapshots.history)).integers(0, 256, x_NCHW.shape))

    trained.samples = samples


COPIES = torch.from_numpy(images_NCHW()[[3, 7, 11]])
SNAPSHOTS = {"snapshot_samples": 3, "snapshot_kimg": 0.008, "memorization_limit": 0.5}


@pytest.mark.parametrize(("action", "seen", "published_at"), [("log", 32, 32), ("choose", 32, 16), ("stop", 24, 16)])
def test_the_snapshot_before_samples_are_copies_is_published(tmp_path, action, seen, published_at):
    trained = trainee(**SNAPSHOTS, memorization_action=action)
    samples_are(trained, COPIES, 24)
    outcome = train(trained, tmp_path, 32, config={})
    assert outcome.finished and outcome.images_seen == seen
    weights, images_seen = trained.published(outcome.images_seen)
    assert images_seen == published_at
    shares = {entry["images_seen"]: entry["memorized_share"] for entry in trained.snapshots.history}
    assert shares == {n: float(n >= 24) for n in range(8, seen + 1, 8)}
    again = trainee(**SNAPSHOTS, memorization_action=action)
    assert train(again, tmp_path, 32, config={}).images_seen == seen, "it is finished, and nothing is trained again"
    for name, tensor in again.published(seen)[0].items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize("action", ["choose", "stop"])
def test_a_training_without_any_snapshot_within_the_limit_failed(tmp_path, action):
    trained = trainee(**SNAPSHOTS, memorization_action=action)
    samples_are(trained, COPIES)
    with pytest.raises(FailedRunError, match=r"found 1.000 at \d+ images and no snapshot within the"):
        train(trained, tmp_path, 32, config={})


def test_looking_changes_no_weights():
    looking, not_looking = trainee(snapshot_kimg=0.008), trainee(snapshot_samples=0)
    statistics = run(looking, range(2))[1]
    run(not_looking, range(2))
    assert 0 <= statistics["nearest_mean"] <= statistics["nearest_max"] <= 1 and len(looking.snapshots.history) == 2
    for a, b in zip(looking.ema.parameters(), not_looking.ema.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_channel_for_each_label_trains_and_samples(tmp_path):
    coding = Coding("channels", LABELS)
    generator = published.seeded_build("stylegan2", coding.count(5), SIZE, 0, **OPTIONS, annotation="channels")
    trained = stage.GeneratorTrainee(generator, DeviceImages(images_NCHW(), "cpu"), 0, coding)
    run(trained, range(1))
    meta = {"channels": CHANNELS, "labels": LABELS, "lineage": ["a1", "b2"]}
    metadata = published.describe("stylegan2", generator, meta, dataset="phantom", seed=0, images_seen=8)
    path = tmp_path / "weights.safetensors"
    published.publish_weights(trained.ema.state_dict(), path, metadata)
    loaded, metadata = published.load_generator(path)
    assert loaded.channels == 7 and loaded.sample(2, seed=1).shape == (2, 7, SIZE, SIZE)
    wanted = sampling.Sampling.of(path, 9, 1, tmp_path / "runs")
    finished_here(wanted, lambda: sampling.publish_samples(wanted, tmp_path / "samples.zip"))
    stack = Stack.open(tmp_path / "samples.zip")
    assert stack.shape_CHW == (5, SIZE, SIZE) and set(np.unique(stack.read()[:, 4])) <= {0, 51, 102, 204}


@pytest.mark.parametrize(
    ("samples", "sign"),
    [
        (COPIES[:1].expand(3, -1, -1, -1), "its samples are all alike"),
        (torch.cat([COPIES[:, :4], torch.zeros_like(COPIES[:, 4:])], 1), "the annotation of all its samples is empty"),
    ],
)
def test_a_collapsed_generator_fails_at_the_third_snapshot(tmp_path, samples, sign):
    trained = trainee(snapshot_samples=3, snapshot_kimg=0.008, coding=Coding("grey", LABELS))
    samples_are(trained, samples, 16)
    with pytest.raises(FailedRunError, match=f"the generator has collapsed: {sign} .* at 16 to 32 images|{sign} at 16"):
        train(trained, tmp_path, 32, config={})
    (end,) = [line for line in read(tmp_path) if line["event"] == "end"]
    assert end["reason"] == "failed" and "collapsed" in end["message"]
    with pytest.raises(FailedRunError, match="collapsed"):
        train(trainee(snapshot_samples=3, snapshot_kimg=0.008), tmp_path, 32, config={})


def test_variety_is_relative_to_the_training_images():
    trained = trainee(coding=Coding("grey", LABELS))
    same = trained.snapshots.variety(torch.from_numpy(images_NCHW()))
    assert same == {"diversity": pytest.approx(1), "annotated": 1}
    half = torch.from_numpy(images_NCHW() // 2)
    half[:10, 4] = 0
    assert trained.snapshots.variety(half) == {"diversity": pytest.approx(0.5, abs=0.01), "annotated": 0.5}


def test_processes_share_the_samples_of_a_snapshot(monkeypatch):
    alone = trainee().samples(5)
    parts = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce_sum", lambda x: parts.append(x) or x)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        trainee().samples(5)
    assert torch.equal(sum(parts).to(torch.uint8), alone) and (parts[0][3:] == 0).all() and (parts[1][:3] == 0).all()


def test_samples_of_the_newest_snapshot_are_shown_once():
    trained = trainee(snapshot_samples=3, snapshot_kimg=0.016)
    run(trained, [0])
    assert trained.shown() == []
    run(trained, [1])
    ((name, images_seen, grid_HW),) = trained.shown()
    assert (name, images_seen, grid_HW.shape) == ("samples", 16, (5 * SIZE, 3 * SIZE))
    x_NCHW = trained.samples(3).numpy()
    assert np.array_equal(grid_HW.reshape(5, SIZE, 3, SIZE).transpose(2, 0, 1, 3), x_NCHW)
    assert trained.shown() == []
