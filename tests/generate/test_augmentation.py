"""Augmentation: maps are exact where they can be, differentiable twice, as likely as p; p follows the discriminator."""

import math

import pytest
import torch
import torch.nn.functional as F

from understudy.config.generator import Adversarial
from understudy.generate import build
from understudy.generate.augmentation import Augmentation, random_maps, warp

IMAGE = torch.rand(1, 5, 8, 8, generator=torch.Generator().manual_seed(0))


def moved(*rows):
    return warp(IMAGE, torch.tensor([rows], dtype=torch.float32))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_what_moves_pixels_onto_pixels_is_exact():
    assert torch.equal(moved([1, 0, 0], [0, 1, 0]), IMAGE)
    assert torch.equal(moved([-1, 0, 0], [0, 1, 0]), IMAGE.flip(3))
    torch.testing.assert_close(moved([0, -1, 0], [1, 0, 0]), IMAGE.rot90(1, (2, 3)), rtol=0, atol=1e-6)
    shifted = moved([1, 0, 2 * 2 / 8], [0, 1, 0])  # two pixels to the left
    torch.testing.assert_close(shifted[..., :6], IMAGE[..., 2:], rtol=0, atol=1e-6)
    torch.testing.assert_close(shifted[..., 6:], IMAGE[..., 6:].flip(3), rtol=0, atol=1e-6)  # reflected


def test_all_channels_move_together_as_torch_would_move_them():
    maps = random_maps(16, torch.tensor(1.0), rng())
    x_NCHW = torch.rand(16, 5, 12, 12, generator=rng(1))
    grid = F.affine_grid(maps, list(x_NCHW.shape), align_corners=False)
    expected = F.grid_sample(x_NCHW, grid, padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(warp(x_NCHW, maps), expected, rtol=0, atol=1e-4)


def test_gradients_of_both_orders():
    maps = random_maps(2, torch.tensor(1.0), rng(3))
    x_NCHW = torch.rand(2, 2, 5, 5, generator=rng(2), dtype=torch.float64, requires_grad=True)

    def function(x):
        return warp(x, maps).square().sum()

    torch.autograd.gradcheck(function, x_NCHW, eps=1e-5, atol=1e-5)
    torch.autograd.gradgradcheck(function, x_NCHW, eps=1e-5, atol=1e-5)


def test_each_transform_is_as_likely_as_p():
    maps = random_maps(4000, torch.tensor(0.0), rng())
    assert torch.equal(maps, torch.eye(2, 3).expand(4000, 2, 3))
    maps = random_maps(4000, torch.tensor(0.5), rng())
    mirrored = (torch.linalg.det(maps[:, :, :2]) < 0).float().mean()
    assert float(mirrored) == pytest.approx(0.25, abs=0.03), "with p, and then with 1/2"
    untouched = (maps[:, :, 2].abs().sum(1) == 0).float().mean()
    assert float(untouched) == pytest.approx(0.25, abs=0.03), "neither shifted uniformly nor normally"
    size = torch.linalg.det(random_maps(4000, torch.tensor(1.0), rng())[:, :, :2]).abs().log()
    assert float(size.std()) == pytest.approx(2 * 0.2 * math.log(2), rel=0.05)


def test_p_follows_the_discriminator_and_is_limited():
    o = Adversarial(augmentation="adaptive", augmentation_kimg=1, augmentation_limit=0.3)
    augmentation = Augmentation(o)
    found = []
    for step in range(60):
        scores = torch.ones(8) if step < 40 else -torch.ones(8)
        found.append(float(augmentation.follow(scores, 10)["augmentation_probability"]))
    assert found[0] == pytest.approx(0.01) and max(found) == pytest.approx(0.3) and found[38] == pytest.approx(0.3)
    assert found[-1] < 0.15
    again = Augmentation(o)
    again.load_state(augmentation.state(), torch.device("cpu"))
    assert again.follow(scores, 10) == augmentation.follow(scores, 10)


def test_off_it_draws_nothing_and_has_no_state():
    off = Augmentation(Adversarial())
    generator = rng()
    assert off.draw(8, generator) is None and off.state() == {} and off.follow(torch.ones(8), 8) == {}
    assert torch.equal(generator.get_state(), rng().get_state()) and warp(IMAGE, None) is IMAGE


SMALL = {
    "progressive_gan": {"channel_base": 64, "channel_max": 8, "latent_size": 8, "batch": 8, "stable_kimg": 0.016},
    "stylegan1": {"channel_base": 64, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "batch": 8},
    "stylegan2": {"channel_base": 64, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "batch": 8},
    "stylegan3": {"channel_base": 64, "channel_max": 8, "latent_size": 8, "batch": 8, "layers": 3, "margin": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_every_gan_trains_with_it_deterministically(name):
    real_NCHW = torch.rand(8, 5, 16, 16, generator=rng()) * 2 - 1

    def trained(microbatch, **options):
        torch.manual_seed(0)
        gan = build(name, 5, 16, **SMALL[name], augmentation_kimg=0.05, microbatch=microbatch, **options)
        for step in range(3):
            statistics = gan.step(real_NCHW, 8 * step, rng(step))
        return statistics, torch.cat([p.flatten() for p in gan.networks["discriminator"].parameters()])

    statistics, weights = trained(None, augmentation="fixed")
    assert float(statistics["augmentation_probability"]) == pytest.approx(0.2)
    assert torch.equal(weights, trained(None, augmentation="fixed")[1])
    assert not torch.equal(weights, trained(None)[1])
    torch.testing.assert_close(weights, trained(4, augmentation="fixed")[1], rtol=1e-2, atol=2e-3)


def test_what_cannot_work_is_named():
    with pytest.raises(ValueError, match="progressive_gan: augmentation: found 'adaptive'; allowed: 'none', 'fixed'"):
        build("progressive_gan", 5, 16, augmentation="adaptive")
    with pytest.raises(ValueError, match="stylegan2: augmentation_limit: found 1.5; allowed: at most 1"):
        build("stylegan2", 5, 16, augmentation_limit=1.5)
