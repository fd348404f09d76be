"""The attack on weights: it tells training from test subjects where a network remembers, and says nothing where not."""

import numpy as np
import pytest
import torch
from made import make_stack, rng
from scripts_here import run_here
from tiny_generators import TINY

from understudy.audit.weights_attack import PEOPLE, attack, problem
from understudy.files.json_forms import WeightsAttack
from understudy.files.outside import read_json_as
from understudy.generate import gan
from understudy.generate.weights import describe, publish_weights, seeded_build

META = {"generator": "rectified_flow", "channels": ["t1", "t1ce", "t2", "flair", "seg"], "size": 16, "labels": {}}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    train = make_stack(folder / "train.zip", [f"a{i}" for i in range(12)], 4, seed=1)
    return train, make_stack(folder / "test.zip", [f"b{i}" for i in range(12)], 4, seed=2)


def test_who_remembers_is_found_out(people):
    train, test = people
    known = {x.tobytes() for x in train}
    host = np.random.default_rng(0)

    def remembers(x_NCHW):
        return np.array([(0.5 if x.tobytes() in known else 1.0) + host.normal(0, 0.1) for x in x_NCHW])

    told = attack(remembers, META, train, test)
    assert told["membership"]["auc"] == 1 and told["subjects"] == {"train": 12, "test": 12}
    assert "explain training patients better than others (AUC 1.00" in problem(told, 0.6)
    clean = attack(lambda x_NCHW: host.normal(0, 1, len(x_NCHW)), META, train, test)
    assert problem(clean, 0.6) is None and PEOPLE >= 12


def test_an_image_that_a_network_can_make_is_explained(people):
    """A linear network of eight latents: what lies in its range is found, other slices are not."""
    host = rng(0)
    basis = torch.randn(8, 5 * 16 * 16, generator=host) / 4
    latents = torch.randn(6, 8, generator=host)

    def forward(z_NK):
        return (z_NK @ basis).view(-1, 5, 16, 16)

    real_NCHW = torch.from_numpy(people[0].read(range(6))).float() / 127.5 - 1
    error_N = gan.misfit(forward, torch.cat([forward(latents), real_NCHW]), 8, seed=0)
    assert error_N[:6].max() < 0.05 < 0.3 < error_N[6:].min(), error_N


def test_stacks_of_other_images_are_refused(people):
    train, test = people
    with pytest.raises(ValueError, match="found height 16, expected 32 as the generator draws"):
        attack(None, META | {"size": 32}, train, test)


def test_a_failed_training_has_nothing_to_attack_and_nothing_to_share(people, tmp_path):
    train, test = people
    weights, output = tmp_path / "weights.safetensors", tmp_path / "a.json"
    generator = seeded_build("rectified_flow", 5, 16, 0, **TINY["rectified_flow"])
    about = describe("rectified_flow", generator, train.meta, dataset="made", seed=0, images_seen=0, failure="nan")
    publish_weights({}, weights, about)
    stacks = ["--train", train.path, "--test", test.path]
    done = run_here("attack_weights", "--weights", weights, *stacks, "--seed", 0, "--output", output)
    assert done.returncode == 0, done.stderr
    told = read_json_as(WeightsAttack, output, "an attack on weights")
    assert told["membership"] is None and "no weights to share, as their training failed (nan)" in problem(told, 0.6)


def test_the_script_says_what_it_was_made_from(people, tmp_path):
    train, test = people
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(b"nothing")
    stacks = ["--train", train.path, "--test", test.path]
    done = run_here("attack_weights", "--weights", broken, *stacks, "--seed", 0, "--output", tmp_path / "a.json")
    assert done.returncode == 1 and str(broken) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "a.json").exists()
