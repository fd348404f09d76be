"""What training, sampling and forecast expect of every generator (docs/adding-a-generator.md), on tiny ones.

A new generator adds a line to tests/tiny_generators.py. The template of the documents is one of them.
"""

import copy
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made import assert_same_state, real_images, rng
from tiny_generators import BATCH, SIZE, TINY, generator_of

from understudy import generate
from understudy.config.fields import MACHINE
from understudy.generate import GENERATORS, gan
from understudy.generate.generator_flops import demand
from understudy.generate.generator_protocol import Generator
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.weights import describe, load_generator, publish_weights, seeded_build
from understudy.run.device_images import DeviceImages

TEMPLATE = Path(__file__).resolve().parents[2] / "docs/template_generator.py"
CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]
FORMS = TINY | {"template": {"features": 4, "latent_size": 8, "batch": BATCH}}


@pytest.fixture(autouse=True)
def with_the_template(monkeypatch):
    """As if its file lay in the package."""
    spec = importlib.util.spec_from_file_location("understudy.generate.template", TEMPLATE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(generate, "NAMES", (*generate.NAMES, "template"))


@pytest.fixture(params=FORMS)
def name(request):
    return request.param


def tiny(name, seed=0, **options):
    return seeded_build(generator_of(name), len(CHANNELS), SIZE, seed, **(FORMS[name] | options))


def trained(generator, steps=2):
    for step in range(steps):
        assert generator.batch_at(BATCH * step) == BATCH
        statistics = generator.step(real_images(BATCH, SIZE), BATCH * step, rng(step))
    return statistics


def state(generator):
    return {key: network.state_dict() for key, network in generator.networks.items()} | generator.state_extra()


def test_every_generator_is_here():
    assert set(map(generator_of, FORMS)) == set(GENERATORS)


def test_it_offers_what_the_protocol_asks(name):
    generator = tiny(name)
    assert isinstance(generator, Generator)
    del generator.networks
    assert not isinstance(generator, Generator)


def test_a_step_is_a_function_of_its_arguments_and_of_the_state(name):
    a, b, before = tiny(name), tiny(name), torch.get_rng_state()
    start = copy.deepcopy(state(a))
    statistics = trained(a)
    trained(b)
    assert_same_state(state(a), state(b))
    assert torch.equal(torch.get_rng_state(), before), "it took numbers from the global state"
    for key, network in a.networks.items():
        assert any(not torch.equal(start[key][name], p) for name, p in network.named_parameters()), f"{key} stood still"
    assert all(value.ndim == 0 and not value.requires_grad and value.isfinite() for value in statistics.values())
    assert 0 <= a.ema_decay(BATCH) <= 1


def test_an_image_is_a_function_of_seed_and_index(name):
    generator = tiny(name)
    trained(generator)
    for draw in (generator.sample, generator.preview):
        whole = draw(20, seed=4)
        assert whole.shape == (20, len(CHANNELS), SIZE, SIZE) and whole.dtype == torch.float32
        assert whole.abs().max() <= 1 and len({float(x.sum()) for x in whole}) == 20
        assert torch.equal(draw(3, seed=4, first=15), whole[15:18])
        assert not torch.equal(draw(1, seed=5), whole[:1])


def test_a_misfit_is_a_function_of_image_and_seed(name, monkeypatch):
    """An image that a generator made itself it explains better than noise, alone as among others but for rounding."""
    monkeypatch.setattr(gan, "STARTS", 16)
    monkeypatch.setattr(gan, "DESCENTS", 8)
    generator, before = tiny(name), torch.get_rng_state()
    trained(generator)
    own = generator.sample(2, seed=3)
    noise = torch.randn(3, len(CHANNELS), SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    error_N = generator.misfit(torch.cat([own, noise]), seed=1)
    assert error_N.shape == (5,) and error_N.isfinite().all() and not error_N.requires_grad
    if name != "diffusion":  # after two steps it answers 0 to everything
        assert error_N[:2].max() < error_N[2:].min()
    assert torch.allclose(generator.misfit(own[1:], seed=1), error_N[1:2], rtol=1e-3)
    assert torch.equal(torch.get_rng_state(), before), "it took numbers from the global state"


def test_six_steps_are_three_and_a_reload_and_three(name):
    def trainee():
        images = np.random.default_rng(0).integers(0, 256, (20, len(CHANNELS), SIZE, SIZE), np.uint8)
        generator = tiny(name, mirror=True, snapshot_samples=2, snapshot_kimg=0.012, kimg=1)
        return GeneratorTrainee(generator, DeviceImages(images, "cpu"), 0, keep=(1, 2))

    straight, first, second = trainee(), trainee(), trainee()
    for step in range(6):
        straight.step(BATCH * step)
    for step in range(3):
        first.step(BATCH * step)
    second.load_state(copy.deepcopy(first.state()))
    for step in range(3, 6):
        second.step(BATCH * step)
    assert_same_state(second.state(), straight.state())
    assert len(second.snapshots.history) == 2
    kept = {share: second.published(6 * BATCH, share)[1] for share in (1, 2)}  # after 10 of 1000 images, and after 20
    assert kept == {1: 3 * BATCH, 2: 5 * BATCH} and BATCH == 4


def test_published_weights_sample_the_same(name, tmp_path):
    generator = tiny(name)
    trained(generator)
    meta = {"channels": CHANNELS, "labels": {"ed": 102}, "lineage": ["a1"]}
    metadata = describe(generator_of(name), generator, meta, dataset="made", seed=0, images_seen=2 * BATCH)
    path = tmp_path / "weights.safetensors"
    publish_weights(generator.networks[generator.averaged].state_dict(), path, metadata)
    loaded, _ = load_generator(path)
    assert torch.equal(loaded.sample(2, seed=1), generator.sample(2, seed=1))
    assert generator.options.kimg > 0
    assert not generator.options.of_use(MACHINE) & set(metadata["options"])


def test_the_template_learns():
    generator = tiny("template", features=16, learning_rate=0.01)
    first = trained(generator, 1)["loss"]
    last = trained(generator, 100)["loss"]
    assert last < 0.2 * first, "the same four images, again and again"


def test_the_forecast_can_count_it(name):
    one = demand(generator_of(name), len(CHANNELS), SIZE, FORMS[name] | {"annotation": "channels"}, labels=3)
    assert one.training_flops > 0 and one.inference_flops > 0
    assert one.checkpoint_bytes > one.weights_bytes > 0


@pytest.mark.parametrize("option", ["kimgs", "mirrors"])
def test_a_wrong_option_is_one_line_that_names_it(name, option):
    with pytest.raises(ValueError, match=rf"found unknown key `{option}` \(did you mean `{option[:-1]}`") as error:
        tiny(name, **{option: 1})
    assert "\n" not in str(error.value) and generator_of(name) in str(error.value)
