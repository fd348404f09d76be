"""The process against its equations, against diffusers' schedulers, and against closed forms."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from understudy.generate import diffusion_process as dp

T = 4000


@pytest.fixture(scope="module")
def linear():
    return dp.Process.of("linear", T)


def test_schedules(linear):
    assert linear.betas[0] == pytest.approx(2.5e-5) and linear.betas[-1] == pytest.approx(5e-3)
    assert linear.betas.dtype == linear.kept.dtype == np.float64
    cosine = dp.Process.of("cosine", T)
    expected = (math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2
    assert cosine.kept[T // 2 - 1] == pytest.approx(expected, rel=1e-9) and cosine.betas.max() == 0.999
    with pytest.raises(ValueError, match="found 'sine'; expected one of linear, cosine"):
        dp.Process.of("sine", T)


def test_the_posterior_is_that_of_gaussians(linear):
    """q(x_{t-1} | x_t, x_0) by multiplying the two Gaussians it comes from."""
    for t in (1, 70, T - 1):
        prior, kept, beta = linear.kept_before[t], linear.kept[t], linear.betas[t]
        precision = (1 - beta) / beta + 1 / (1 - prior)
        assert linear.posterior_variance[t] == pytest.approx(1 / precision, rel=1e-9)
        assert linear.mean_of_noisy[t] == pytest.approx(np.sqrt(1 - beta) / beta / precision, rel=1e-9)
        assert linear.mean_of_image[t] == pytest.approx(np.sqrt(prior) / (1 - prior) / precision, rel=1e-9)
        assert kept == pytest.approx(prior * (1 - beta))
    assert linear.posterior_variance[0] == 0 and linear.mean_of_image[0] == pytest.approx(1)
    assert linear.small_variance[0] == linear.posterior_variance[1] == linear.large_variance[0]


@pytest.mark.parametrize(("ours", "theirs"), [("large", "fixed_large"), ("small", "fixed_small")])
def test_variances_are_those_of_diffusers(linear, ours, theirs):
    scheduler = DDPMScheduler(T, trained_betas=list(linear.betas), variance_type=theirs)
    variances = {"large": linear.large_variance, "small": linear.small_variance}[ours]
    for t in (1, 5, 1000, T - 1):
        assert float(scheduler._get_variance(t)) == pytest.approx(variances[t], rel=2e-3)


def test_respacing(linear):
    assert linear.respaced(T).betas is linear.betas
    few = linear.respaced(50)
    assert few.indices.tolist() == np.round(np.linspace(0, T - 1, 50)).tolist()
    np.testing.assert_allclose(few.kept, linear.kept[few.indices], rtol=1e-12)
    for steps in (1, T + 1):
        with pytest.raises(ValueError, match=f"found {steps}; expected 2 to 4000"):
            linear.respaced(steps)


def test_noisy_images_have_the_stated_moments(linear):
    x0 = torch.full((2, 1, 300, 300), 0.5)
    t_N = torch.tensor([100, 3000])
    x = dp.noisy(linear, x0, t_N, torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)))
    for image, t in zip(x, t_N.tolist(), strict=True):
        assert float(image.mean()) == pytest.approx(0.5 * math.sqrt(linear.kept[t]), abs=0.015)
        assert float(image.std()) == pytest.approx(math.sqrt(1 - linear.kept[t]), rel=0.01)


@pytest.mark.parametrize("target", dp.TARGETS)
def test_the_right_answer_costs_nothing_and_gives_the_image(linear, target):
    rng = torch.Generator().manual_seed(1)
    x0, noise = torch.rand(4, 2, 8, 8, generator=rng), torch.randn(4, 2, 8, 8, generator=rng)
    t_N = torch.tensor([0, 40, 900, 2500])
    x_t = dp.noisy(linear, x0, t_N, noise)
    kept = torch.from_numpy(linear.kept)[t_N].view(-1, 1, 1, 1)
    right = noise if target == "epsilon" else kept.sqrt().float() * noise - (1 - kept).sqrt().float() * x0
    assert float(dp.simple_loss(linear, right, x0, t_N, noise, target).max()) < 1e-12
    torch.testing.assert_close(
        dp.image_of(right, x_t, kept.sqrt().float(), (1 - kept).sqrt().float(), target), x0, rtol=0, atol=2e-4
    )


def test_min_snr_weights(linear):
    x0, t_N = torch.zeros(3, 1, 2, 2), torch.tensor([0, 1500, T - 1])
    noise, wrong = torch.zeros_like(x0), torch.ones_like(x0)
    snr = (linear.kept / (1 - linear.kept))[t_N.numpy()]
    plain = dp.simple_loss(linear, wrong, x0, t_N, noise)
    assert plain.tolist() == [1, 1, 1]
    epsilon = dp.simple_loss(linear, wrong, x0, t_N, noise, min_snr=5)
    np.testing.assert_allclose(epsilon.numpy(), np.minimum(snr, 5) / snr, rtol=1e-5)
    v = dp.simple_loss(linear, wrong, x0, t_N, noise, "v", min_snr=5)
    np.testing.assert_allclose(v.numpy(), np.minimum(snr, 5) / (snr + 1), rtol=1e-5)


def test_the_bound_is_zero_where_the_model_is_the_posterior(linear):
    rng = torch.Generator().manual_seed(2)
    x0, noise = torch.rand(3, 1, 4, 4, generator=rng) - 0.5, torch.randn(3, 1, 4, 4, generator=rng)
    t_N = torch.tensor([3, 800, T - 1])
    x_t, place = dp.noisy(linear, x0, t_N, noise), torch.full_like(x0, -1.0)
    assert float(dp.bound_loss(linear, x0, place, x0, x_t, t_N).abs().max()) < 1e-5
    # beta as variance: KL of two Gaussians of equal mean
    ratio = linear.posterior_variance[t_N.numpy()] / linear.betas[t_N.numpy()]
    expected = 0.5 * (ratio - 1 - np.log(ratio)) / math.log(2)
    found = dp.bound_loss(linear, x0, torch.ones_like(x0), x0, x_t, t_N)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-2, atol=1e-6)


def test_the_first_step_is_the_likelihood_of_grey_levels(linear):
    """A sharp and right prediction of an 8-bit image costs next to nothing, one that is a level off a lot."""
    levels = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 1, 3, 3)
    t_N, place = torch.tensor([0]), torch.full((1, 1, 3, 3), -1.0)
    right = dp.bound_loss(linear, levels, place, levels, levels, t_N)
    wrong = dp.bound_loss(linear, levels + 0.1, place, levels, levels + 0.1, t_N)
    assert 0 <= float(right) < 1 < float(wrong)
    # all grey levels together have the probability one
    x = torch.arange(256).view(-1, 1, 1, 1) / 127.5 - 1
    mean, log_sd = torch.full_like(x, 0.2), torch.full_like(x, math.log(0.3))
    assert float(dp._log_likelihood(x, mean, log_sd).exp().sum()) == pytest.approx(1, abs=1e-5)


def test_the_normal_share_is_the_tanh_form():
    """By hand at 1: 0.5 (1 + tanh(0.797885 * 1.044715)) = 0.841192, where the exact one is 0.841345."""
    x = torch.linspace(-6, 6, 241, dtype=torch.float64)
    assert float(dp._normal_share(torch.tensor(1.0, dtype=torch.float64))) == pytest.approx(0.8411920, abs=1e-6)
    gap = (dp._normal_share(x) - torch.special.ndtr(x)).abs().max()
    assert 1e-4 < float(gap) < 3e-4  # another form, near to the exact one


def test_steps_are_drawn_by_the_root_mean_square_of_their_losses():
    drawn = dp.SecondMoment(4)
    rng = torch.Generator().manual_seed(0)
    assert drawn.probabilities.tolist() == [0.25] * 4
    for t in range(4):
        for _ in range(12):
            drawn.record(torch.tensor([t]), torch.tensor([float(t + 1)]))
    expected = torch.tensor([1.0, 2, 3, 4]) / 10 * 0.999 + 0.001 / 4
    torch.testing.assert_close(drawn.probabilities, expected.double())
    t_N, weights_N = drawn.draw(40_000, rng)
    shares = torch.bincount(t_N) / len(t_N)
    torch.testing.assert_close(shares.double(), expected.double(), rtol=0, atol=0.01)
    losses = t_N + 1.0  # the weighted mean estimates that of uniform steps
    assert float((weights_N * losses).mean()) == pytest.approx(2.5, rel=0.02)
