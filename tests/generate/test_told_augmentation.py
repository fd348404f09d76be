"""Training images of denoising generators are transformed and the network is told how, so that samples are not."""

import pytest
import torch

from understudy.generate.augmentation import random_maps, told, warp
from understudy.generate.weights import seeded_build
from understudy.run import seeds

SMALL = {
    **{"width": 32, "multipliers": [1, 1], "blocks": 1, "attention": [4], "batch": 6, "kimg": 0.06},
    **{"ema_decay": 0.5, "snapshot_samples": 0, "learning_rate": 0.01},
}
NETWORKS = {
    "diffusion": ("diffusion", {"steps": 40, "evaluations": 5}),
    "with the variance": ("diffusion", {"steps": 40, "evaluations": 5, "variance": "learned"}),
    "unet": ("rectified_flow", {"evaluations": 5}),
    "folded": ("rectified_flow", {"evaluations": 5, "patch": 2, "multipliers": [1], "target": "x"}),
    "convnext": ("rectified_flow", {"evaluations": 5, "patch": 2, "multipliers": None, "network": "convnext"}),
    "jumps": ("rectified_flow", {"multipliers": None, "network": "convnext", "mean_flow": 0.5, "sampler": "jump"}),
}
every_network = pytest.mark.parametrize(("name", "options"), NETWORKS.values(), ids=NETWORKS)


def tiny(name, options, p=0.5, **more):
    return seeded_build(name, 3, 8, 0, **(SMALL | options | more), augmentation_probability=p)


def real_NCHW():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1


def step(generator, number=0):
    return generator.step(real_NCHW(), 6 * number, seeds.generator("cpu", "step", number))


def what_the_loss_gets(generator, monkeypatch):
    """(images, what is told of them, or None) of one step, all micro-batches."""
    images, tolds = [], []
    loss = generator.loss

    def watched(image_NCHW, t_N, noise_NCHW, told_N6=None):
        images.append(image_NCHW)
        tolds.append(told_N6)
        return loss(image_NCHW, t_N, noise_NCHW, told_N6)

    monkeypatch.setattr(generator, "loss", watched)
    step(generator)
    return torch.cat(images), None if tolds[0] is None else torch.cat(tolds)


def test_what_is_told_are_the_maps_and_nothing_of_an_image_that_is_itself():
    maps_N23 = random_maps(64, torch.tensor(0.3), torch.Generator().manual_seed(1))
    told_N6 = told(maps_N23)
    torch.testing.assert_close(told_N6.view(-1, 2, 3) + torch.eye(2, 3), maps_N23)
    itself_N = (maps_N23 == torch.eye(2, 3)).all(2).all(1)
    assert itself_N.any() and not told_N6[itself_N].any() and told_N6[~itself_N].any(1).all()
    assert told(None) is None


@pytest.mark.parametrize("microbatch", [None, 4])
@pytest.mark.parametrize("name", ["diffusion", "rectified_flow"])
def test_the_images_of_a_step_are_transformed_as_the_network_is_told(name, microbatch, monkeypatch):
    image_NCHW, told_N6 = what_the_loss_gets(tiny(name, {}, p=0.8, microbatch=microbatch), monkeypatch)
    maps_N23 = told_N6.view(-1, 2, 3) + torch.eye(2, 3)
    assert (image_NCHW != real_NCHW()).flatten(1).any(1).sum() >= 4
    torch.testing.assert_close(image_NCHW, warp(real_NCHW(), maps_N23), rtol=0, atol=1e-4)


@every_network
def test_without_it_images_stay_and_nothing_is_told(name, options, monkeypatch):
    generator = tiny(name, options, p=0)
    assert not any("told" in key for key in generator.networks["denoiser"].state_dict())
    image_NCHW, told_N6 = what_the_loss_gets(generator, monkeypatch)
    assert told_N6 is None and torch.equal(image_NCHW, real_NCHW()[-len(image_NCHW) :])


@every_network
def test_the_network_learns_from_what_it_is_told(name, options):
    """Of images that are transformed in most cases; its weights begin at 0."""
    generator = tiny(name, options, p=0.9)
    (weight,) = (p for key, p in generator.networks["denoiser"].named_parameters() if "embed_told" in key)
    assert weight.shape[1] == 6 and not weight.any()
    for number in range(6):
        statistics = step(generator, number)
    assert weight.abs().sum(0).min() > 0 and statistics["nonfinite_gradients"] == 0


@every_network
def test_samples_are_those_of_images_that_are_themselves(name, options):
    """Whatever the network learned of transforms."""
    generator = tiny(name, options)
    for number in range(6):
        step(generator, number)
    before = generator.sample(3, 1), generator.preview(3, 1), generator.misfit(real_NCHW(), 1)
    with torch.no_grad():
        for key, p in generator.networks["denoiser"].named_parameters():
            if "embed_told" in key:
                p.add_(1)
    after = generator.sample(3, 1), generator.preview(3, 1), generator.misfit(real_NCHW(), 1)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b)
    assert before[0].std() > 0


@pytest.mark.parametrize("name", ["diffusion", "rectified_flow"])
def test_a_wrong_probability_is_named(name):
    with pytest.raises(ValueError, match=f"{name}: augmentation_probability: found 2; allowed: at most 1"):
        tiny(name, {}, p=2)
