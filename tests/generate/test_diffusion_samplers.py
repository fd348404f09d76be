"""Samplers against theory, without a trained network: for pixels that are N(0.3, 0.2^2) the best denoiser is known, and
with it what comes out of each sampler."""

import numpy as np
import pytest
import torch

from understudy.generate import diffusion_samplers as ds
from understudy.generate.diffusion_process import Process

MEAN, SD, PIXELS = 0.3, 0.2, 100_000


@pytest.fixture(scope="module")
def whole():
    return Process.of("linear", 4000)


def best(process):
    """E[x_0 | x_t] for pixels of N(MEAN, SD^2)."""

    def predict(x, step):
        kept = process.kept[step]
        gain = SD**2 * np.sqrt(kept) / (kept * SD**2 + 1 - kept)
        return MEAN + float(gain) * (x - float(np.sqrt(kept)) * MEAN), None

    return predict


def draw(sampler, process, **options):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(PIXELS, generator=rng, dtype=torch.float64)
    if sampler is ds.dpm_solver:
        return sampler(best(process), x, process)
    noise = lambda step: torch.randn(PIXELS, generator=rng, dtype=torch.float64)  # noqa: E731
    return sampler(best(process), x, process, noise, **options)


def theory_ancestral(process, variances):
    """Mean and standard deviation of the result: each step is affine in x, so both follow a recursion."""
    mean, variance = 0.0, 1.0
    for t in reversed(range(len(process))):
        kept = process.kept[t]
        gain = SD**2 * np.sqrt(kept) / (kept * SD**2 + 1 - kept)
        slope = process.mean_of_image[t] * gain + process.mean_of_noisy[t]
        mean = slope * mean + process.mean_of_image[t] * (MEAN - gain * np.sqrt(kept) * MEAN)
        variance = slope**2 * variance + (variances[t] if t else 0.0)
    return mean, np.sqrt(variance)


def is_near(x, mean, sd):
    assert float(x.mean()) == pytest.approx(mean, abs=5 * sd / np.sqrt(PIXELS))
    assert float(x.std()) == pytest.approx(sd, rel=5 / np.sqrt(2 * PIXELS))


@pytest.mark.parametrize("steps", [20, 50, 250])
@pytest.mark.parametrize("variance", ["large", "small"])
def test_ancestral_is_what_theory_says(whole, steps, variance):
    process = whole.respaced(steps)
    variances = {"large": process.large_variance, "small": process.small_variance}[variance]
    is_near(draw(ds.ancestral, process, variance=variance), *theory_ancestral(process, variances))


@pytest.mark.parametrize(
    ("steps", "large", "small"), [(4000, 0.2002, 0.1990), (1000, 0.2011, 0.1963), (250, 0.2047, 0.1876)]
)
def test_theory_is_near_the_data_with_many_steps(whole, steps, large, small):
    process = whole.respaced(steps)
    mean, sd = theory_ancestral(process, process.large_variance)
    assert sd == pytest.approx(large, abs=3e-4) and mean == pytest.approx(MEAN, abs=2e-3)
    assert theory_ancestral(process, process.small_variance)[1] == pytest.approx(small, abs=3e-4)


def test_the_faithful_sampler_gives_the_data_back(whole):
    """All 4000 steps, the large variance."""
    is_near(draw(ds.ancestral, whole), *theory_ancestral(whole, whole.large_variance))


def test_learned_variance_at_its_ends_is_the_fixed_one(whole):
    process = whole.respaced(50)
    fixed = draw(ds.ancestral, process, variance="small")
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(PIXELS, generator=rng, dtype=torch.float64)

    def predict(x, step):
        return best(process)(x, step)[0], torch.log(torch.tensor(process.small_variance[step]))

    noise = lambda step: torch.randn(PIXELS, generator=rng, dtype=torch.float64)  # noqa: E731
    torch.testing.assert_close(ds.ancestral(predict, x, process, noise, "learned"), fixed)


def test_ddim_with_eta_1_is_ancestral_with_the_small_variance(whole):
    process = whole.respaced(100)
    difference = draw(ds.ddim, process, eta=1.0) - draw(ds.ancestral, process, variance="small")
    assert float(difference.abs().max()) < 1e-10


def theory_ddim(process, eta):
    """As theory_ancestral: x is scaled, and moved along the direction of the noise that it is said to hold."""
    mean, variance = 0.0, 1.0
    for t in reversed(range(len(process))):
        kept, before = process.kept[t], process.kept_before[t]
        gain = SD**2 * np.sqrt(kept) / (kept * SD**2 + 1 - kept)
        sd = eta * np.sqrt((1 - before) / (1 - kept) * (1 - kept / before))
        along = np.sqrt(1 - before - sd**2) / np.sqrt(1 - kept)
        slope = gain * (np.sqrt(before) - along * np.sqrt(kept)) + along
        offset = (np.sqrt(before) - along * np.sqrt(kept)) * MEAN * (1 - gain * np.sqrt(kept))
        mean, variance = slope * mean + offset, slope**2 * variance + sd**2
    return mean, np.sqrt(variance)


@pytest.mark.parametrize("steps", [20, 50, 250])
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_is_what_theory_says(whole, steps, eta):
    process = whole.respaced(steps)
    is_near(draw(ds.ddim, process, eta=eta), *theory_ddim(process, eta))


@pytest.mark.parametrize(("steps", "sd"), [(4000, 0.2), (250, 0.1946), (50, 0.1751)])
def test_ddim_without_noise_loses_variance_with_few_steps(whole, steps, sd):
    assert theory_ddim(whole.respaced(steps), 0.0)[1] == pytest.approx(sd, rel=0.01)


@pytest.mark.parametrize(("steps", "sd"), [(10, 0.207), (20, 0.204), (30, 0.202), (50, 0.201)])
def test_dpm_solver_keeps_it_with_few(whole, steps, sd):
    x = draw(ds.dpm_solver, ds.by_log_snr(whole, steps))
    assert float(x.std()) == pytest.approx(sd, rel=0.02)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.01)


def test_dpm_solver_evenly_in_time_would_miss_it(whole):
    assert abs(float(draw(ds.dpm_solver, whole.respaced(20)).std()) - SD) > 0.1 * SD


@pytest.mark.parametrize("steps", [2, 3, 50, 4000])
def test_a_constant_image_comes_back_exactly(whole, steps):
    grey = torch.full((2, 3, 4, 4), 0.37)
    rng = torch.Generator().manual_seed(3)
    noise = lambda step: torch.randn(grey.shape, generator=rng)  # noqa: E731
    process, x = whole.respaced(steps), noise(0)
    predict = lambda x, step: (grey, None)  # noqa: E731
    for variance in ("large", "small"):
        torch.testing.assert_close(ds.ancestral(predict, x, process, noise, variance), grey, rtol=0, atol=1e-6)
    for eta in (0.0, 0.5, 1.0):
        torch.testing.assert_close(ds.ddim(predict, x, process, noise, eta), grey, rtol=0, atol=1e-6)
    assert torch.equal(ds.dpm_solver(predict, x, ds.by_log_snr(whole, steps)), grey)


def test_log_snr_spacing_takes_as_many_steps_as_asked(whole):
    for steps in (2, 10, 50, 1000, 4000):
        chosen = ds.by_log_snr(whole, steps).indices
        assert len(chosen) == steps and (np.diff(chosen) > 0).all()
        assert chosen[0] == 0 and chosen[-1] == 3999
    assert ds.by_log_snr(whole, 4000).betas is whole.betas
    logs = np.log(whole.kept / (1 - whole.kept))[ds.by_log_snr(whole, 20).indices]
    lengths = -np.diff(logs)
    assert lengths.max() < 1.2 * lengths.mean() and lengths.min() > 0.8 * lengths.mean()
    with pytest.raises(ValueError, match="found 4001; expected 2 to 4000"):
        ds.by_log_snr(whole, 4001)
