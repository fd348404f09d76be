"""A guard turns predicted images away from training images, and from nothing else; a generator that knows nothing but
training images draws no copies under it."""

import math

import numpy as np
import pytest
import torch
from made import make_stack, subject_images

from understudy.config.generators.rectified_flow import RectifiedFlow as Options
from understudy.generate import build
from understudy.generate.annotation_channel import Coding
from understudy.generate.guard import Guard
from understudy.generate.memorization import Memorization, low_resolution
from understudy.generate.nearest_images import nearest, standardised
from understudy.run.device_images import DeviceImages

SUBJECTS = [f"s{i // 4}" for i in range(160)]
IMAGES = torch.cat([subject_images(seed) for seed in range(40)])
FLOW = {"evaluations": 9}
DIFFUSION = {"evaluations": 8, "steps": 40}
SAMPLERS = [
    ("rectified_flow", FLOW),
    ("rectified_flow", {"sampler": "euler", "target": "x", "evaluations": 8}),
    ("diffusion", DIFFUSION),
    ("diffusion", {**DIFFUSION, "sampler": "ddim"}),
    ("diffusion", {**DIFFUSION, "sampler": "ancestral"}),
]


@pytest.fixture(scope="module")
def memorization():
    return Memorization(DeviceImages(IMAGES, "cpu"), 2, SUBJECTS)


def scaled(x_NCHW):
    return x_NCHW.float() / 127.5 - 1


def angle(x_NCHW, y_NCHW):
    """Radians between images of two modalities, (N,)."""
    a, b = (standardised(low_resolution(one, 2).flatten(1)) for one in (x_NCHW, y_NCHW))
    return (a * b).sum(1).clamp(-1, 1).acos()


class Drawing(torch.nn.Module):
    """A network that knows some images: it always predicts that one which is nearest to the noisy image."""

    def __init__(self, generator, known_NCHW):
        super().__init__()
        self.generator, self.known_NCHW = generator, scaled(known_NCHW)
        self.place = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x_NCHW, t_N):
        image_NCHW = self.known_NCHW[(standardised(x_NCHW.flatten(1)) @ self._vectors().T).argmax(1)]
        if not hasattr(self.generator, "process"):
            t_N111 = t_N.view(-1, 1, 1, 1) / 1000
            wanted_x = self.generator.options.target == "x"
            return image_NCHW if wanted_x else (image_NCHW - x_NCHW) / (1 - t_N111).clamp(min=1e-3)
        signal, spread = (
            torch.as_tensor(getattr(self.generator.process, name))[t_N].float().view(-1, 1, 1, 1)
            for name in ("signal", "spread")
        )
        return (x_NCHW - signal * image_NCHW) / spread

    def _vectors(self):
        return standardised(self.known_NCHW.flatten(1))


def drawing(name, known_NCHW, by=None, **options):
    small = {"width": 32, "multipliers": [1], "blocks": 1, "attention": []}
    generator = build(name, 3, 32, **small, **options)
    generator.networks = {"denoiser": Drawing(generator, known_NCHW)}
    generator.guard = by
    return generator


def stored(x_NCHW):
    return ((x_NCHW + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("name", "options"), SAMPLERS)
def test_who_memorizes_draws_nothing_nearer_than_usual_under_a_guard(memorization, name, options):
    """Without a guard all samples are copies. Some still stand out from all other people: docs/audit.md."""
    copies = memorization.look(stored(drawing(name, IMAGES, **options).sample(8, 0)))
    assert copies["memorized_share"] == 1 and copies["nearest_mean"] > 0.99
    guarded = drawing(name, IMAGES, Guard(memorization, 1), **options)
    found = memorization.look(stored(guarded.sample(8, 0)))
    assert found["memorized_share"] < 1 and found["nearest_max"] < memorization.usual + 0.05


@pytest.mark.parametrize("evaluations", [5, 6])
def test_the_last_step_of_heun_is_guarded_too(memorization, evaluations):
    """Of an even number, the last evaluation is of the image itself."""
    options = {"sampler": "heun", "evaluations": evaluations}
    guarded = drawing("rectified_flow", IMAGES, Guard(memorization, 1), **options)
    assert memorization.look(stored(guarded.sample(8, 0)))["nearest_max"] < memorization.usual + 0.01


@pytest.mark.parametrize(("name", "options"), SAMPLERS)
def test_who_copies_nobody_draws_the_same(memorization, name, options):
    new_NCHW = torch.cat([subject_images(seed) for seed in range(1000, 1010)])
    new_NCHW = new_NCHW[nearest(memorization.vectors(new_NCHW), memorization.references())[0] < memorization.usual]
    free, guarded = (drawing(name, new_NCHW, guard, **options) for guard in (None, Guard(memorization, 1)))
    assert len(new_NCHW) > 20 and (free.sample(8, 0) - guarded.sample(8, 0)).abs().mean() < 0.02


def test_a_guard_that_has_nothing_to_do_changes_no_bit(memorization):
    idle = Guard(memorization, 1)
    idle.least = torch.tensor(0.0)
    for name, options in SAMPLERS:
        free, guarded = (drawing(name, IMAGES, guard, **options) for guard in (None, idle))
        assert torch.equal(free.sample(3, 5), guarded.sample(3, 5))


@pytest.mark.parametrize("strength", [0.25, 1, 1.5])
def test_the_turn_is_that_of_the_formula(memorization, strength):
    guard, noise = Guard(memorization, strength), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    near = scaled(IMAGES[:16:4]) + 0.2 * noise
    before, least = angle(near, IMAGES[:16:4]), math.acos(memorization.usual)
    moved = near + guard.change(near, noise)
    assert (before < least).all()
    torch.testing.assert_close(angle(moved, IMAGES[:16:4]), before + strength * (least - before), rtol=0, atol=2e-3)
    modalities = [x[:, :2].flatten(1) for x in (near, moved)]
    for measure in (lambda x: x.mean(1), lambda x: x.std(1)):
        torch.testing.assert_close(*map(measure, modalities), rtol=1e-3, atol=1e-4)
    assert torch.equal(moved[:, 2], near[:, 2]), "the annotation is no part of it"


def test_a_training_image_itself_is_turned_towards_the_noise(memorization):
    guard, noise = Guard(memorization, 1), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    exact = scaled(IMAGES[:16:4])
    moved = exact + guard.change(exact, noise)
    assert (angle(moved, exact) > math.acos(memorization.usual) - 2e-3).all()
    assert (angle(moved, noise) < angle(exact, noise)).all()


def test_what_is_far_stays_as_it_is(memorization):
    far = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert not Guard(memorization, 1).change(far, far).any()


def test_large_images_are_turned_at_a_low_resolution(memorization):
    large = torch.nn.functional.interpolate(IMAGES.float(), size=128, mode="nearest").to(torch.uint8)
    guard = Guard(Memorization(DeviceImages(large, "cpu"), 2, SUBJECTS), 1)
    exact, noise = scaled(large[:2]), torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    change = guard.change(exact, noise)
    assert torch.equal(change, change[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert (angle(exact + change, exact) > 0.9 * float(guard.least)).all()


def test_an_image_is_a_function_of_seed_and_index(memorization):
    guarded = drawing("diffusion", IMAGES, Guard(memorization, 1), **DIFFUSION)
    assert torch.equal(guarded.sample(20, 3)[17:], guarded.sample(3, 3, first=17))


def test_a_guard_that_is_asked_for_is_not_left_out():
    generator = drawing("rectified_flow", IMAGES, guard=1, **FLOW)
    with pytest.raises(ValueError, match="guard: found 1 and no training images"):
        generator.sample(1, 0)
    assert generator.preview(1, 0).shape == (1, 3, 32, 32), "a training looks at what the network knows"
    with pytest.raises(ValueError, match="guard: found 1; allowed for jump"):
        drawing("rectified_flow", IMAGES, guard=1, mean_flow=0.5, sampler="jump", network="convnext")


def test_it_reads_a_stack(tmp_path):
    """Mirrored, too, where the training has seen them so; slices of one subject tell nothing of what is usual."""
    stack = make_stack(tmp_path / "train.zip", ["a", "b", "c"], 4)
    coding = Coding.of("channels", stack.channels, stack.meta["labels"])
    guard, both = (Guard.of(stack, coding, Options(guard=0.5, mirror=mirror), "cpu") for mirror in (False, True))
    assert guard.references_MK.shape == (12, 4 * 16 * 16) and guard.strength == 0.5
    mirrored = both.references_MK[12:].view(12, 4, 16, 16).flip(3)
    np.testing.assert_allclose(mirrored, guard.references_MK.view(12, 4, 16, 16), atol=1e-6)
    seen = Memorization(DeviceImages(stack.read(range(12)), "cpu"), 4, stack.people())
    np.testing.assert_allclose(guard.references_MK, seen.vectors(torch.from_numpy(stack.read())), atol=1e-6)
    assert float(guard.least.cos()) == pytest.approx(seen.usual)
