"""What both growing generators must do: at every level of detail, and where it changes."""

import copy

import numpy as np
import pytest
import torch
from made import assert_same_state, grey_images, iterations, rng
from torch import nn

from understudy.generate import gan, growing
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.growing import Phase
from understudy.generate.weights import seeded_build
from understudy.run import distributed
from understudy.run.device_images import DeviceImages

BOTH = ("progressive_gan", "stylegan1")
TINY = {
    **{"channel_base": 128, "channel_max": 8, "latent_size": 8, "first_resolution": 4, "schedule_interval": 2},
    **{"stable_kimg": 0.012, "fade_kimg": 0.02, "kimg": 0.128, "batch": (8, 8, 4), "minibatch_std_group": 2},
}
SIZE = 16


def tiny(name, size=SIZE, channels=2, seed=0, **options):
    more = {"mapping_layers": 2} if name == "stylegan1" else {}
    return seeded_build(name, channels, size, seed, **(TINY | more | options))


# ------------------------------------------------------------------------------------------------ networks
def level_change(name, phases):
    """Images of, and scores on, the same images just before and just after a level changes."""
    generator, discriminator = tiny(name).networks.values()
    images, scores = [], []
    for phase in phases:
        z = torch.randn(4, 8, generator=rng(1))
        if name == "progressive_gan":
            image = generator(z, phase)
        else:
            w_NLK = generator.mapping(z)[:, None].expand(-1, 6, -1)
            noises = [torch.randn(4, 1, r, r, generator=rng(r)) for r in generator.noise_sizes(phase)]
            image = generator.synthesis(w_NLK, noises, phase)
        images.append(growing.full_size(image, SIZE))
        real = growing.shown(grey_images(4), phase)
        scores.append(discriminator(real, phase))
    return images, scores


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("end", [False, True])
def test_nothing_jumps_where_a_level_changes(name, level, end):
    """A fade begins with the images and the scores of the level before, and ends with those of its own."""
    own = Phase.of(level, SIZE)
    before, after = (own._replace(old=1e-6), own) if end else (Phase.of(level + 1, SIZE), own._replace(old=1 - 1e-6))
    images, scores = level_change(name, (before, after))
    torch.testing.assert_close(images[0], images[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-4, atol=2e-2 if not end else 1e-4)
    middle = level_change(name, (own._replace(old=0.5), own))[0]
    assert (middle[0] - middle[1]).abs().max() > 0.01


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("old", [0.0, 0.25])
def test_a_gradient_at_full_size_is_smaller_by_the_factor_of_the_phase(name, old):
    gan1 = tiny(name)
    discriminator = gan1.networks["discriminator"].double()
    phase = Phase(4, 0, 4) if not old else Phase(8, old, 2)
    native = torch.randn(4, 2, phase.resolution, phase.resolution, generator=rng(), dtype=torch.float64)
    full = growing.full_size(native, SIZE).requires_grad_()
    native.requires_grad_()
    shrunk = nn.functional.avg_pool2d(full, phase.enlarged)
    torch.testing.assert_close(shrunk, native)
    at_full = gan.squared_gradients(discriminator(shrunk, phase), full)
    at_native = gan.squared_gradients(discriminator(native, phase), native)
    torch.testing.assert_close(at_full, at_native / gan1._enlarged(phase) ** 2, rtol=1e-12, atol=0)
    assert gan1._enlarged(phase) == phase.enlarged and tiny(name, penalty_resolution="native")._enlarged(phase) == 1


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_reduced_precision_stays_near_full(name, precision, monkeypatch):
    """8 x 8 and up compute in the type, fp16 on a CPU too if one insists; all phases of a step, in a fade."""
    if precision == "fp16":
        monkeypatch.setattr("understudy.generate.precision.type_of_maps", lambda reduced, full: reduced or full.dtype)
    full, reduced = tiny(name, precision="fp32"), tiny(name, precision=precision)
    fading = next(n for n in range(0, 128, 4) if full.schedule.phase_at(n).old > 0 and full.batch_at(n) == 8)
    for images_seen in (0, fading, 124):
        statistics = reduced.step(grey_images(reduced.batch_at(images_seen)), images_seen, rng())
        assert all(value.isfinite() for value in statistics.values()) and statistics["nonfinite_gradients"] == 0
    full.networks["generator"].load_state_dict(reduced.networks["generator"].state_dict())
    x, y = full.sample(4, seed=0), reduced.sample(4, seed=0)
    assert y.dtype == torch.float32
    largest = (x - y).abs().max()
    assert largest == 0 if precision == "tf32" else 0 < largest < 0.1


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_tensor_float_32_is_on_during_steps_alone(precision, monkeypatch):
    gan1, seen, before = tiny("stylegan1", precision=precision), [], torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(gan1, "_generator_step", lambda *_: seen.append(torch.backends.cudnn.allow_tf32) or {})
    with pytest.raises(KeyError):
        gan1.step(grey_images(8), 0, rng())
    assert seen == [precision == "tf32"] and torch.backends.cudnn.allow_tf32 == before


# ------------------------------------------------------------------------------------------------ steps
def stepped(name, starts=None, **options):
    gan1 = tiny(name, **options)
    for seen in iterations(gan1.schedule, 72) if starts is None else starts:
        gan1.step(grey_images(gan1.batch_at(seen)), seen, rng(seen))
    return gan1


def tensors(gan1):
    return {f"{name}/{key}": t for name, n in gan1.networks.items() for key, t in n.state_dict().items()}


@pytest.mark.parametrize("name", BOTH)
def test_steps_are_deterministic_and_leave_the_global_random_state_alone(name):
    before = torch.get_rng_state()
    a, b = tensors(stepped(name, mirror=True)), tensors(stepped(name, mirror=True))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", BOTH)
def test_only_layers_of_the_phase_move(name):
    """And optimizers forget what they know whenever a level changes."""
    gan1 = tiny(name)
    moments, used = {}, {}
    for seen in iterations(gan1.schedule, 96):
        before = {key: t.clone() for key, t in tensors(gan1).items()}
        gan1.step(grey_images(gan1.batch_at(seen)), seen, rng(seen))
        used[seen] = {key for key, t in tensors(gan1).items() if not torch.equal(t, before[key])}
        moments[seen] = [int(s["step"]) for s in gan1.optimizers["generator"].state.values()]
    fades = {seen: Phase.of(gan1.schedule.lod_at(seen), SIZE) for seen in moments}
    for seen, phase in fades.items():
        blocks = {r for r in (4, 8, 16) if any(f"/blocks.b{r}." in key for key in used[seen])}
        heads = {r for r in (4, 8, 16) if any(f"image.r{r}." in key for key in used[seen])}
        assert blocks == {r for r in (4, 8, 16) if r <= phase.resolution}
        assert heads == ({phase.resolution, phase.resolution // 2} if phase.old else {phase.resolution})
        assert len(set(moments[seen])) == 1
    begun = [seen for seen in moments if seen and moments[seen][0] == 1]
    assert begun == [seen for seen in moments if gan1.schedule.begins_level(seen)] and len(begun) == 4


@pytest.mark.parametrize("name", BOTH)
def test_learning_rates_follow_the_resolution(name):
    gan1 = stepped(name, learning_rate_generator=[1e-3, 2e-3, 3e-3], learning_rate_discriminator=[4e-3, 5e-3])
    assert [o.param_groups[0]["lr"] for o in gan1.optimizers.values()] == [3e-3, 5e-3]
    gan1.step(grey_images(8), 0, rng())
    assert [o.param_groups[0]["lr"] for o in gan1.optimizers.values()] == [1e-3, 4e-3]


def trainee(name):
    images = np.random.default_rng(0).integers(0, 256, (20, 2, SIZE, SIZE), np.uint8)
    return GeneratorTrainee(tiny(name, snapshot_samples=0, mirror=True), DeviceImages(images, "cpu"), 0)


@pytest.mark.parametrize("name", BOTH)
def test_a_training_resumes_exactly_at_every_iteration(name):
    """Levels change right after a checkpoint, and within three iterations of it."""
    straight, again = trainee(name), trainee(name)
    starts, states = list(iterations(straight.generator.schedule, 84)), []
    for seen in starts:
        straight.step(seen)
        states.append(copy.deepcopy(straight.state()))
    assert sum(straight.generator.schedule.begins_level(seen) for seen in starts) == 4
    for i in range(len(starts) - 3):
        again.load_state(copy.deepcopy(states[i]))
        for seen in starts[i + 1 : i + 4]:
            again.step(seen)
        assert_same_state(again.state(), states[i + 3])


def gradients(name, monkeypatch, phase, step, **options):
    """The gradient of one step, in double precision."""
    gan1, found = tiny(name, batch=8, **options), {}
    for network in gan1.networks.values():
        network.double()
    monkeypatch.setattr(torch, "randn", lambda *a, f=torch.randn, **k: f(*a, **k).double())
    for optimizer in gan1.optimizers.values():
        parameters = optimizer.param_groups[0]["params"]
        monkeypatch.setattr(
            optimizer,
            "step",
            lambda p=parameters: found.update({i: q.grad.clone() for i, q in enumerate(p) if q.grad is not None}),
        )
    if step == "discriminator":
        gan1._discriminator_step(growing.shown(grey_images(8), phase).double(), phase, rng())
    else:
        gan1._generator_step(8, phase, rng())
    monkeypatch.undo()
    return found


def largest_difference(a, b):
    assert a.keys() == b.keys() and len(a) > 5
    norm = torch.cat([t.flatten() for t in a.values()]).norm()
    return float(torch.cat([(a[i] - b[i]).flatten() for i in a]).norm() / norm)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("step", ["discriminator", "generator"])
@pytest.mark.parametrize("phase", [Phase(4, 0, 4), Phase(8, 0.25, 2), Phase(16)])
def test_microbatches_and_processes_share_the_gradient_of_the_whole_batch(name, step, phase, monkeypatch):
    """Random numbers and groups of the minibatch deviation are those of the whole batch."""
    whole = gradients(name, monkeypatch, phase, step)
    assert largest_difference(whole, gradients(name, monkeypatch, phase, step, microbatch=2)) < 1e-6
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "share", lambda x, rank=rank: x[rank::2])
        parts.append(gradients(name, monkeypatch, phase, step))
    assert largest_difference(whole, {i: parts[0][i] + parts[1][i] for i in whole}) < 1e-6


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("images", [8, 24, 56, 96])
def test_image_is_a_function_of_seed_and_index_at_every_phase(name, images):
    gan1 = stepped(name, list(iterations(tiny(name).schedule, images)))
    x = gan1.sample(20, seed=3)
    assert x.dtype == torch.float32 and x.shape == (20, 2, SIZE, SIZE) and x.abs().max() <= 1
    assert torch.equal(gan1.sample(3, seed=3), x[:3])
    assert torch.equal(gan1.sample(12, seed=3, first=5), x[5:17])
    assert gan1.sample(0, seed=3).shape == (0, 2, SIZE, SIZE)
    assert not torch.equal(gan1.sample(3, seed=4), x[:3])
    lod = float(gan1.networks["generator"].lod)
    squares = x.unfold(2, 2 ** int(lod), 2 ** int(lod)).unfold(3, 2 ** int(lod), 2 ** int(lod)).flatten(4)
    assert torch.equal(squares.amax(4), squares.amin(4)), "every pixel of the phase is a square of the image"


@pytest.mark.parametrize("name", BOTH)
def test_the_level_travels_with_the_weights(name):
    gan1, fresh = stepped(name, [0, 8, 16, 24, 32]), tiny(name)
    assert float(gan1.networks["generator"].lod) == gan1.schedule.lod_at(32) != float(fresh.networks["generator"].lod)
    fresh.networks["generator"].load_state_dict(gan1.networks["generator"].state_dict())
    assert torch.equal(fresh.sample(3, seed=1), gan1.sample(3, seed=1))


@pytest.mark.parametrize("name", BOTH)
def test_mirror_flips_whole_images(name, monkeypatch):
    gan1, seen = tiny(name, mirror=True, first_resolution=SIZE), []
    monkeypatch.setattr(gan1, "_discriminator_step", lambda x, phase, rng: seen.append(x) or {"nonfinite_gradients": 0})
    x = grey_images(4)
    for i in range(4):
        gan1.step(x, 0, rng(i))
    flipped = [torch.equal(a, b.flip(2)) for y in seen for a, b in zip(y, x, strict=True)]
    same = [torch.equal(a, b) for y in seen for a, b in zip(y, x, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True)) and any(flipped) and any(same)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("size", [8, 32])
def test_every_size_trains(name, size):
    gan1 = tiny(name, size)
    for seen in iterations(gan1.schedule, 136 if size == 32 else 48):
        statistics = gan1.step(grey_images(gan1.batch_at(seen), size), seen, rng(seen))
        assert all(value.isfinite() and value.ndim == 0 and not value.requires_grad for value in statistics.values())
    assert statistics["level_of_detail"] == 0 and statistics["nonfinite_gradients"] == 0


@pytest.mark.parametrize("name", BOTH)
def test_flops_are_the_mean_over_the_phases(name):
    with torch.device("meta"):
        counted, low, high = (
            {key: one.flops for key, one in tiny(name, 8, **o).work().items()}
            for o in ({}, {"kimg": 0.012}, {"first_resolution": 8})
        )
    assert 0 < low["training"] < counted["training"] < high["training"]
    assert low["sampling"] < counted["sampling"] == high["sampling"]


# ------------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fade_img": 1}, "found unknown key `fade_img` .did you mean `fade_kimg`"),
        ({"size": 48}, "size: found 48; allowed: a power of two of at least 8"),
        ({"size": 4}, "size: found 4; allowed: a power of two of at least 8"),
        ({"first_resolution": 32}, "first_resolution: found 32; allowed: a power of two from 4 to 16"),
        ({"first_resolution": 6}, "first_resolution: found 6; allowed: a power of two from 4 to 16"),
        ({"penalty_resolution": "half"}, "penalty_resolution: found 'half'; allowed: 'full', 'native'"),
        ({"stable_kimg": -1}, "stable_kimg: found -1; allowed: at least 0"),
        ({"stable_kimg": 0, "fade_kimg": 0}, "stable_kimg: found 0, and fade_kimg 0; allowed: not both 0"),
        ({"schedule_interval": 0}, "schedule_interval: found 0; allowed: at least 1"),
        ({"minibatch_std_group": 0}, "minibatch_std_group: found 0; allowed: at least 1"),
        ({"batch": []}, r"batch: found \[\]; allowed: at least 1 items"),
        ({"batch": "8"}, "batch: found '8'; allowed: images per iteration; one number, or a list"),
        ({"learning_rate_generator": [0.1, 0]}, "learning_rate_generator.1: found 0; allowed: more than 0"),
        ({"batch": [8, 7, 4]}, "batch: found 7 at 8 x 8; allowed: a multiple of minibatch_std_group, 2"),
        ({"microbatch": 3}, "microbatch: found 3; allowed: a multiple of minibatch_std_group, 2"),
        ({"annotation": "colour"}, "annotation: found 'colour'; allowed:"),
    ],
)
def test_impossible_options_are_explained(name, options, message):
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        tiny(name, **options)


@pytest.mark.parametrize("name", BOTH)
def test_a_number_of_gpus_that_cannot_share_a_batch_is_explained(name, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 4)
    message = r"batch 4 at 16 x 16 in groups of 2 .*: found 4 GPUs, expected a number that divides 2"
    with pytest.raises(ValueError, match=message):
        tiny(name)


@pytest.mark.parametrize("name", BOTH)
def test_batches_below_the_first_resolution_do_not_matter(name):
    assert tiny(name, first_resolution=8, batch=[7, 8, 4]).batch_at(0) == 8
