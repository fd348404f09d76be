"""Sampling: a stack whose bytes do not tell how often it was interrupted, and no image drawn twice."""

import json
import os
import signal
import time
from functools import partial

import numpy as np
import pytest
import torch
from made import finished_here, make_stack

from understudy.files.atomic import sha256_of_file
from understudy.generate import sample as sampling
from understudy.generate import shards
from understudy.generate import weights as stage
from understudy.generate.annotation_channel import Coding
from understudy.generate.ensemble import pool_samples
from understudy.generate.guard import Guard
from understudy.run.attempts import read
from understudy.run.parts import make_share
from understudy.run.stop import Limits
from understudy.stack import Stack

CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]
LABELS = {"ncr_net": 51, "ED": 102, "ET": 204}


@pytest.fixture
def weights(tmp_path):
    options = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "precision": "fp32"}
    generator = stage.seeded_build("stylegan2", 5, 16, 0, **options)
    meta = {"channels": CHANNELS, "labels": LABELS, "lineage": ["a1", "b2"]}
    metadata = stage.describe("stylegan2", generator, meta, dataset="phantom", seed=0, images_seen=0)
    stage.publish_weights(generator.networks["generator"].state_dict(), tmp_path / "weights.safetensors", metadata)
    return tmp_path / "weights.safetensors"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(shards, "BLOCK", 8)


def sample(weights, name, count=37, *, limits=Limits(), runs=None):  # noqa: B008
    """What scripts/sample_generator.py does on one device; the reason of its end."""
    folder = weights.parent
    wanted = sampling.Sampling.of(weights, count, 5, folder / (runs or f"runs-{name}"))
    return finished_here(
        wanted, lambda: sampling.publish_samples(wanted, folder / f"{name}.zip", folder / f"{name}.png"), limits
    )[0]


def held(weights, runs):
    (folder,) = (weights.parent / runs).iterdir()
    return shards.places(shards.open_shards(folder))


def bytes_of(weights, name):
    return (weights.parent / f"{name}.zip").read_bytes()


def test_a_generator_whose_training_failed_gives_black_images_that_say_so(weights, tmp_path):
    metadata = stage.read_metadata(weights) | {"failure": "diverged: at 12 images"}
    failed = tmp_path / "failed" / "weights.safetensors"
    failed.parent.mkdir()
    assert stage.publish_weights({}, failed, metadata)["failure"] == "diverged: at 12 images"
    sample(failed, "samples")
    stack = Stack.open(failed.parent / "samples.zip")
    assert len(stack) == 37 and not stack.read().any() and stack.meta["source"]["failure"] == "diverged: at 12 images"
    with pytest.raises(ValueError, match="found no weights, as their training failed .diverged"):
        stage.load_generator(failed)
    whole = Stack.open(weights.parent / "good.zip") if sample(weights, "good") else None
    pooled = pool_samples("stylegan2-ensemble2", [whole, stack], tmp_path / "pooled.zip", "phantom", 8)
    assert pooled["source"]["failure"] == "member 2: diverged: at 12 images"


def test_samples_are_a_stack(weights):
    assert sample(weights, "samples") == "finished"
    stack = Stack.open(weights.with_name("samples.zip"))
    manifest = json.loads(weights.with_name("samples.json").read_text())
    assert len(stack) == manifest["count"] == 37 and stack.names[36] == "000036.png"
    assert set(np.unique(stack.read()[:, 4])) <= {0, 51, 102, 204}
    generator, metadata = stage.load_generator(weights)
    expected = Coding("grey", metadata["labels"]).decode(generator.sample(1, 5, first=36))
    np.testing.assert_array_equal(stack[36], expected[0])
    assert stack.meta["lineage"] == ["a1", "b2"]
    assert stack.meta["source"]["weights_sha256"] == sha256_of_file(weights)
    assert manifest["sha256"] == sha256_of_file(weights.with_name("samples.zip"))
    assert weights.with_name("samples.png").stat().st_size > 1000
    progress = json.loads((next(weights.parent.glob("runs-samples/*/progress.jsonl"))).read_text().splitlines()[-1])
    assert progress["images_seen"] == progress["images"] == 37


def test_interruptions_and_shards_leave_no_trace_and_nothing_is_drawn_twice(weights, monkeypatch):
    sample(weights, "straight")
    drawn = []
    draw = stage.build("stylegan2", 5, 16).__class__.sample

    def counted(self, n, seed, first=0):
        drawn.extend(range(first, first + n))
        if len(drawn) in (8, 24):
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, n, seed, first)

    monkeypatch.setattr("understudy.generate.stylegan2.StyleGAN2.sample", counted)
    every_block = Limits(checkpoint_minutes=0)
    reasons = [sample(weights, "cut", runs="cut", limits=every_block) for _ in range(3)]
    assert reasons == ["signal", "signal", "finished"]
    assert drawn == list(range(37))
    assert bytes_of(weights, "cut") == bytes_of(weights, "straight")
    (folder,) = (weights.parent / "cut").iterdir()
    assert len(list(folder.glob("shard-*.zip"))) == 5
    assert [line["reason"] for line in read(folder) if line["event"] == "end"] == reasons


def test_more_images_later_draw_the_rest_alone(weights):
    sample(weights, "all", 37)
    sample(weights, "few", 13, runs="grown")
    before = sorted((weights.parent / "grown").glob("*/shard-*"))
    sample(weights, "more", 37, runs="grown")
    assert bytes_of(weights, "more") == bytes_of(weights, "all")
    after = sorted((weights.parent / "grown").glob("*/shard-*"))
    assert len(before) == 1 and after[0] == before[0] and len(after) == 2
    assert Stack.open(after[1]).names[0] == "000013.png"
    sample(weights, "fewer", 5, runs="grown")
    assert len(Stack.open(weights.with_name("fewer.zip"))) == 5


def test_the_budget_ends_it_between_blocks(weights):
    assert sample(weights, "late", limits=Limits(deadline=time.time() - 1)) == "budget"
    assert held(weights, "runs-late") == {}
    assert sample(weights, "late") == "finished"


def test_a_process_that_waits_is_heard(weights):
    wanted = sampling.Sampling.of(weights, 37, 5, weights.parent / "runs")
    wanted.folder.mkdir(parents=True)
    (wanted.folder / "leave").write_text("{}")
    assert make_share(wanted, torch.device("cpu"), Limits()) == "asked"


@pytest.mark.parametrize("where", ["image", "index"])
def test_a_damaged_shard_is_named_and_its_images_are_made_again(weights, where, capsys):
    sample(weights, "sound", runs="shared", limits=Limits(checkpoint_minutes=0))
    shard = sorted((weights.parent / "shared").glob("*/shard-*.zip"))[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 3 if where == "image" else -22] ^= 4
    shard.write_bytes(content)
    # as the script does: what turns out to be damaged while it is published is drawn again
    assert sample(weights, "again", runs="shared") == "finished"
    sample(weights, "again", runs="shared")
    assert f"damaged shard {shard}" in capsys.readouterr().out
    assert bytes_of(weights, "again") == bytes_of(weights, "sound")
    assert shard.with_suffix(".damaged").exists()


def test_half_a_shard_of_a_kill_is_removed(weights):
    wanted = sampling.Sampling.of(weights, 37, 5, weights.parent / "runs")
    wanted.folder.mkdir(parents=True)
    (wanted.folder / ".shard-000000000.zip.77.tmp").write_bytes(b"half")
    sample(weights, "x", runs="runs")
    assert not list(wanted.folder.glob(".*.tmp"))


def test_no_image_at_all_is_refused(weights):
    with pytest.raises(ValueError, match="count 0: expected at least 1"):
        sampling.Sampling.of(weights, 0, 5, weights.parent)


def test_a_guard_has_the_training_images_and_no_others(tmp_path, monkeypatch):
    train = make_stack(tmp_path / "train.zip", ["a", "b", "c"], 3)
    other = make_stack(tmp_path / "other.zip", ["a", "b", "c"], 3, seed=1)
    options = {"width": 32, "multipliers": [1], "blocks": 1, "attention": [], "evaluations": 3}
    monkeypatch.setattr(Guard, "change", lambda guard, image, noisy: torch.full_like(image, len(guard.references_MK)))
    for strength in (0, 1):
        flow = stage.seeded_build("rectified_flow", 5, 16, 0, **options, guard=strength)
        about = {"dataset": "made", "seed": 0, "images_seen": 0, "training_sha256": train.sha256}
        weights = tmp_path / f"{strength}.safetensors"
        metadata = stage.describe("rectified_flow", flow, train.meta, **about)
        stage.publish_weights(flow.networks["denoiser"].state_dict(), weights, metadata)
        wanted, output = sampling.Sampling.of(weights, 9, 5, tmp_path / "runs", train=train.path), tmp_path / "s.zip"
        finished_here(wanted, partial(sampling.publish_samples, wanted, output))
        assert (Stack.open(output).read()[:, :4] == 255).all() == bool(strength)
    with pytest.raises(ValueError, match="asks for a guard, found no stack of training images"):
        sampling.Sampling.of(weights, 9, 5, tmp_path / "runs")
    with pytest.raises(ValueError, match="other.zip: is another stack than .* was trained on"):
        sampling.Sampling.of(weights, 9, 5, tmp_path / "runs", train=other.path)


def test_published_again_a_finished_sampling_draws_nothing(weights, monkeypatch):
    sample(weights, "first", runs="kept")
    monkeypatch.setattr(torch.nn.Module, "__call__", lambda *a: pytest.fail("it draws"))
    for _ in range(7):  # more often than attempts are believed in
        sample(weights, "second", runs="kept")
    assert bytes_of(weights, "first") == bytes_of(weights, "second")


@pytest.mark.parametrize(
    ("held_images", "expected"),
    [
        ([], [range(0, 8), range(8, 16), range(16, 20)]),
        (range(20), []),
        ([3, 4, 8, 15, 16], [range(0, 3), range(5, 8), range(9, 15), range(17, 20)]),
    ],
)
def test_missing_blocks_are_what_no_shard_holds(held_images, expected):
    assert shards.missing_blocks(held_images, 20) == expected
