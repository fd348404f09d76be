"""Rectified flow: samplers and loss against theory, gradients, times, microbatches. What every generator must do is in
test_contract.py."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from made import assert_same_state, count

from understudy.forecast.gpus import GPUS
from understudy.forecast.speed import modelled
from understudy.generate import denoising, rectified_flow
from understudy.generate.generator_flops import demand
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.rectified_flow import SAMPLERS, RectifiedFlow, euler, heun
from understudy.generate.weights import seeded_build
from understudy.run import distributed, seeds
from understudy.run.device_images import DeviceImages

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    **{"width": 32, "multipliers": [1, 1], "blocks": 1, "attention": [4], "batch": 6, "kimg": 0.06},
    **{"evaluations": 5, "ema_decay": 0.5, "snapshot_samples": 0, "learning_rate": 0.01},
}
FOLDED = {"target": "x", "patch": 4, "width": 128, "blocks": 2}
MEAN, SD, PIXELS = 0.3, 0.2, 100_000


def tiny(size=8, **options):
    return seeded_build("rectified_flow", 3, size, 0, **(SMALL | options))


def noise_like(x, seed):
    return torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))


def real_NCHW(n=6, size=8):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1


def trained(generator, steps):
    for step in steps:
        statistics = generator.step(real_NCHW(), 6 * step, seeds.generator("cpu", "step", step))
    return statistics


def tensors(generator):
    return torch.cat([p.detach().flatten() for p in generator.networks["denoiser"].parameters()])


# ------------------------------------------------------------------------------------------------ samplers
def best_slope(t):
    """Of E[X_1 - X_0 | X_t = x] in x, for pixels of N(MEAN, SD^2): it is MEAN at x = t MEAN, and affine."""
    return (t * SD**2 - (1 - t)) / (t**2 * SD**2 + (1 - t) ** 2)


def best(x, t):
    return MEAN + best_slope(t) * (x - t * MEAN)


def theory(sampler, evaluations):
    """Mean and standard deviation of the result: each step is affine in x, and multiplies x - t MEAN by a number."""
    steps = evaluations if sampler is euler else (evaluations + 1) // 2
    h, factor = 1 / steps, 1.0
    for step in range(steps):
        now, then = best_slope(step * h), best_slope((step + 1) * h)
        ends_as_euler = sampler is euler or 2 * step + 1 == evaluations
        factor *= 1 + h * now if ends_as_euler else 1 + h / 2 * (now + then + h * now * then)
    return MEAN, abs(factor)


@pytest.mark.parametrize("evaluations", [1, 2, 3, 10, 24, 25, 100])
@pytest.mark.parametrize("sampler", [euler, heun])
def test_each_sampler_is_what_theory_says(sampler, evaluations):
    x = torch.randn(PIXELS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn, (mean, sd) = sampler(best, x, evaluations), theory(sampler, evaluations)
    assert float(drawn.mean()) == pytest.approx(mean, abs=5 * sd / np.sqrt(PIXELS) + 1e-12)
    assert float(drawn.std()) == pytest.approx(sd, rel=5 / np.sqrt(2 * PIXELS), abs=1e-12)


@pytest.mark.parametrize(
    ("sampler", "evaluations", "sd"),
    [
        *[(euler, 10, 0.154), (euler, 24, 0.180), (euler, 25, 0.181), (euler, 50, 0.190), (euler, 51, 0.190)],
        *[(euler, 1000, 0.1995)],
        *[
            (heun, 10, 0.213),
            (heun, 24, 0.203),
            (heun, 25, 0.188),
            (heun, 51, 0.197),
            (heun, 50, 0.201),
            (heun, 1000, 0.2),
        ],
    ],
)
def test_how_much_of_the_data_few_evaluations_keep(sampler, evaluations, sd):
    """The numbers of docs/generators.md. The way of each pixel is known too: noise z ends at MEAN + SD z."""
    assert theory(sampler, evaluations)[1] == pytest.approx(sd, abs=5e-4)


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_the_order_is_that_of_the_method(sampler, order):
    errors = [abs(theory(sampler, evaluations)[1] - SD) for evaluations in (400, 800)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(("sampler", "evaluations"), [(euler, 1), (euler, 2), (euler, 25), (heun, 1), (heun, 25)])
def test_a_constant_image_comes_back_exactly(sampler, evaluations):
    """All images are grey: E[X_1 - X_0 | x] = (grey - x) / (1 - t), which no step but Euler's last one divides by 0."""
    grey, times = torch.full((2, 3, 4, 4), 0.37), []

    def velocity(x, t):
        times.append(t)
        return (grey - x) / (1 - t)

    x = sampler(velocity, noise_like(grey, 3), evaluations)
    torch.testing.assert_close(x, grey, rtol=0, atol=1e-6)
    assert len(times) == evaluations and times[0] == 0 and max(times) < 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_straight_way_needs_one_evaluation(sampler):
    x = torch.randn(5, dtype=torch.float64)
    for evaluations in (1, 2, 5, 8):
        drawn = SAMPLERS[sampler](lambda x, *times: torch.full_like(x, 2.5), x, evaluations)
        torch.testing.assert_close(drawn, x + 2.5)


def test_an_untrained_network_samples_its_noise():
    """Its answer is zero: nothing moves."""
    generator = tiny()
    noise = torch.randn(3, 8, 8, generator=seeds.generator("cpu", "latent", 4, 7)).clamp(-1, 1)
    assert torch.equal(generator.sample(1, seed=4, first=7)[0], noise)


def test_previews_do_not_depend_on_the_sampler():
    a, b = (tiny(sampler=sampler, evaluations=n) for sampler, n in (("euler", 3), ("heun", 9)))
    for generator in (a, b):
        trained(generator, range(2))
    assert torch.equal(a.preview(2, 1), b.preview(2, 1)) and not torch.equal(a.sample(2, 1), b.sample(2, 1))
    default = rectified_flow.Options()
    assert (default.sampler, default.evaluations) == rectified_flow.PREVIEW


# ------------------------------------------------------------------------------------------------ loss
def test_the_untrained_loss_is_that_of_saying_zero():
    """Images and noise are independent: the mean square of an image, and 1."""
    generator, image = tiny(), real_NCHW(400)
    loss_N = generator.loss(image, torch.linspace(0, 1, 400), noise_like(image, 1)).detach()
    assert float(loss_N.mean()) == pytest.approx(float(image.square().mean()) + 1, abs=0.02)
    exact = (image - noise_like(image, 1)).square().flatten(1).mean(1)
    torch.testing.assert_close(loss_N, exact)


class Knowing(torch.nn.Module):
    """Of images that are all of one grey; remembers when it was asked."""

    def forward(self, x_NCHW, t_N):
        self.t_N = t_N
        return (0.25 - x_NCHW) / (1 - t_N.view(-1, 1, 1, 1) / 1000)


def test_who_knows_the_answer_has_no_loss():
    generator, grey, t_N = tiny(), torch.full((6, 3, 8, 8), 0.25), torch.linspace(0, 0.9, 6)
    generator.networks["denoiser"] = knowing = Knowing()
    assert float(generator.loss(grey, t_N, noise_like(grey, 1)).max()) < 1e-8
    torch.testing.assert_close(knowing.t_N, t_N * 1000)
    wrong = generator.loss(grey + 0.1, t_N, noise_like(grey, 1))
    torch.testing.assert_close(wrong, 0.01 * (1 / (1 - t_N)) ** 2, msg="0.1 / (1 - t) beside the truth in every pixel")


class Best(torch.nn.Module):
    """The best answer for pixels of N(MEAN, SD^2); of target x the image, E[X_1 | X_t = x] = x + (1 - t) v."""

    def __init__(self, target):
        super().__init__()
        self.target, self.anywhere = target, torch.nn.Parameter(torch.zeros(1))

    def forward(self, x_NCHW, t_N):
        t = t_N.view(-1, 1, 1, 1) / 1000
        return best(x_NCHW, t) if self.target == "velocity" else x_NCHW + (1 - t) * best(x_NCHW, t)


def knowing_best(target, **options):
    generator = tiny(target=target, **options)
    generator.networks["denoiser"] = Best(target)
    return generator


def test_to_predict_the_image_is_to_predict_the_velocity():
    image = real_NCHW(40)
    arguments = image, torch.linspace(0, 0.95, 40), noise_like(image, 1)
    losses = [knowing_best(target, smallest_noise=0.05).loss(*arguments) for target in ("velocity", "x")]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("evaluations", [1, 2, 10, 25])
def test_images_and_velocities_give_the_samples_of_theory(sampler, evaluations):
    a, b = (
        knowing_best(target, sampler=sampler, evaluations=evaluations, smallest_noise=1e-3).sample(128, seed=1)
        for target in ("velocity", "x")
    )
    if sampler == "euler" or evaluations % 2:  # no evaluation at t = 1, where an image tells no velocity
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    else:
        assert b.isfinite().all()
    sd = theory(SAMPLERS[sampler], evaluations)[1]
    if sd < 0.25:  # else many are beyond 1, and are cut there
        assert float(a.std()) == pytest.approx(sd, rel=0.02, abs=1e-6)
        assert float(a.mean()) == pytest.approx(MEAN, abs=0.01)


def test_near_the_image_the_loss_divides_by_the_smallest_noise():
    generator, image = tiny(target="x", smallest_noise=0.2), real_NCHW(4)
    loss_N = generator.loss(image, torch.tensor([0.0, 0.5, 0.9, 1.0]), noise_like(image, 1)).detach()
    torch.testing.assert_close(loss_N, image.square().flatten(1).mean(1) / torch.tensor([1, 0.5, 0.2, 0.2]) ** 2)


@pytest.mark.parametrize("target", ["velocity", "x"])
def test_a_misfit_is_the_loss_at_times_that_all_images_share(target):
    generator, image = knowing_best(target, smallest_noise=1e-6), real_NCHW(3)
    expected = torch.zeros(3)
    for number in range(denoising.TRIES):
        rng = seeds.generator("cpu", "misfit", 5, number)
        t_1, noise = torch.rand(1, generator=rng), torch.randn((1, 3, 8, 8), generator=rng)
        x = t_1 * image + (1 - t_1) * noise
        expected += (image - noise - best(x, t_1)).square().flatten(1).mean(1) / denoising.TRIES
    torch.testing.assert_close(generator.misfit(image, 5), expected, rtol=1e-3, atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    generator = tiny()
    network = generator.networks["denoiser"].double()
    generator.answer = lambda network, x, t, **told: network(x, t)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():  # from its zeros to somewhere
        for p in network.parameters():
            p += 0.05 * torch.randn(p.shape, generator=rng, dtype=p.dtype)
    image, t_N = real_NCHW().double(), torch.rand(6, generator=rng, dtype=torch.float64)
    parameters = list(network.parameters())
    directions = [torch.randn(p.shape, generator=rng, dtype=p.dtype) for p in parameters]

    def moved(by):
        with torch.no_grad():
            for p, direction in zip(parameters, directions, strict=True):
                p += by * direction
        return generator.loss(image, t_N, noise_like(image, 1)).mean()

    gradients = torch.autograd.grad(moved(0), parameters)
    expected = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    h = 1e-6
    assert float((moved(h) - moved(-2 * h)).detach()) / (2 * h) == pytest.approx(expected, rel=1e-5)


def test_times_are_those_of_the_option():
    rng = torch.Generator().manual_seed(0)
    uniform, weights = tiny().times(50_000, rng)
    logit_normal, _ = tiny(time_sampling="logit_normal").times(50_000, rng)
    levels = torch.tensor([0.1, 0.25, 0.5, 0.9])
    torch.testing.assert_close(uniform.quantile(levels), levels, rtol=0, atol=0.01)
    normal = torch.special.ndtri(levels.double()).sigmoid().float()
    torch.testing.assert_close(logit_normal.quantile(levels), normal, rtol=0, atol=0.01)
    assert (weights == 1).all() and uniform.min() >= 0 and uniform.max() < 1
    moved, _ = tiny(time_sampling="logit_normal", time_mean=-0.4, time_scale=2).times(50_000, rng)
    torch.testing.assert_close(moved.logit().mean(), torch.tensor(-0.4), rtol=0, atol=0.05)
    torch.testing.assert_close(moved.logit().std(), torch.tensor(2.0), rtol=0, atol=0.05)


# ------------------------------------------------------------------------------------------------ training
def test_the_learning_rate_rises_and_falls():
    generator = tiny(warmup_kimg=0.012, rate_decay=0.5, kimg=0.06)
    expected = [0.005, 0.01 * 0.9**0.5, 0.01 * 0.5**0.5, 0.01 * 0.1**0.5, 0]
    assert [generator.learning_rate(seen) for seen in (0, 6, 30, 54, 60)] == pytest.approx(expected)
    for step in (9, 5):
        generator.step(real_NCHW(), 6 * step, None)
        assert generator.optimizers["denoiser"].param_groups[0]["lr"] == generator.learning_rate(6 * step)
    assert {tiny().learning_rate(seen) for seen in (0, 30, 60)} == {0.01}


def test_the_average_is_short_at_first():
    """A tenth of 60 images: 6, which is one iteration."""
    generator = tiny(ema_decay=0.9, ema_rampup=0.1)
    assert generator.ema_decay(0) == pytest.approx(0) and generator.ema_decay(60) == pytest.approx(0.5)
    assert generator.ema_decay(10**6) == 0.9 and tiny().ema_decay(0) == 0.5


def test_a_long_gradient_is_shortened():
    whole = gradient_of(tiny())
    length = float(whole.norm())
    torch.testing.assert_close(gradient_of(tiny(gradient_clip=length / 4)), whole / 4)
    torch.testing.assert_close(gradient_of(tiny(gradient_clip=length * 4)), whole)


IMAGES = {"target": "x", "patch": 2, "multipliers": [1], "gradient_clip": 1, "rate_decay": 0.5, "warmup_kimg": 0.01}
BLOCKS = IMAGES | {"network": "convnext", "blocks": 3, "attention_interval": 3, "multipliers": None, "ema_rampup": 0.1}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"time_sampling": "logit_normal", "mirror": True, "augmentation_probability": 0.3},
        {"dropout": 0.3},
        IMAGES,
        BLOCKS,
    ],
)
def test_it_learns_and_goes_on_bit_for_bit(options):
    def trainee():
        images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), np.uint8)
        return GeneratorTrainee(tiny(kimg=0.2, **options), DeviceImages(images, "cpu"), 0)

    @torch.no_grad()
    def fixed_loss(generator):
        return float(generator.loss(real_NCHW(), torch.linspace(0, 0.95, 6), noise_like(real_NCHW(), 9)).mean())

    straight, first, second = trainee(), trainee(), trainee()
    untrained = fixed_loss(straight.generator)
    for step in range(20):
        straight.step(6 * step)
    for step in range(10):
        first.step(6 * step)
    second.load_state(copy.deepcopy(first.state()))
    for step in range(10, 20):
        statistics = second.step(6 * step)
    assert_same_state(second.state(), straight.state())
    assert fixed_loss(straight.generator) < 0.9 * untrained and statistics["nonfinite_gradients"] == 0


def gradient_of(generator):
    """Of one iteration, before the optimizer acts."""
    kept = []
    optimizer = generator.optimizers["denoiser"]
    optimizer.step = lambda: kept.extend(p.grad.clone().flatten() for p in optimizer.param_groups[0]["params"])
    trained(generator, range(1))
    return torch.cat(kept)


def test_microbatches_are_the_whole_batch():
    gradients = []
    for options in ({}, {"microbatch": 4}):
        generator = tiny(**options)
        generator.networks["denoiser"].double()
        answer = generator.answer
        generator.answer = lambda network, x, t, answer=answer, **told: answer(network, x.double(), t)
        gradients.append(gradient_of(generator))
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-8)


def test_processes_share_a_batch(monkeypatch):
    """The gradients of three processes add up to those of one."""
    one, parts = gradient_of(tiny()), []
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    monkeypatch.setattr(distributed, "all_reduce_sum", lambda x: x)
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(gradient_of(tiny()))
    torch.testing.assert_close(sum(parts), one, rtol=1e-3, atol=1e-5)


# ------------------------------------------------------------------------------------------------ size and options
def test_parameters_and_flops_are_those_of_the_diffusion_model():
    with torch.device("meta"):
        generator = RectifiedFlow(5, 256)
        flops = {key: one.flops for key, one in generator.work().items()}
    assert count(generator.networks["denoiser"]) == 41_125_637
    assert flops["training"] == pytest.approx(3 * 167.0e9, rel=0.01)
    assert flops["sampling"] == pytest.approx(rectified_flow.Options().evaluations * 167.0e9, rel=0.01)


def test_on_4_x_4_pixels_it_is_a_third_of_the_work():
    with torch.device("meta"):
        generator = RectifiedFlow(5, 256, **FOLDED, batch=2)
        flops = {key: one.flops for key, one in generator.work().items()}
    assert count(generator.networks["denoiser"]) == 92_203_216
    assert flops["training"] == pytest.approx(185.4e9, rel=0.005)
    assert flops["sampling"] == pytest.approx(25 * 62.1e9, rel=0.005)


def test_what_the_forecast_expects_of_an_h100():
    """The seconds for a thousand images of docs/generators.md: training, sampling."""
    for options, seconds in (({}, (4.92, 37.9)), (FOLDED, (2.12, 15.9))):
        speed = modelled(demand("rectified_flow", 5, 256, options), {"precision": "bf16", **options}, GPUS["h100"])
        assert (speed.training, speed.inference) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "dpm_solver"}, "rectified_flow: sampler: found 'dpm_solver'; allowed: 'heun', 'euler'"),
        ({"time_sampling": "even"}, "rectified_flow: time_sampling: found 'even'; allowed: 'uniform', 'logit_normal'"),
        ({"precision": "fp16"}, "rectified_flow: precision: found 'fp16'; allowed: 'fp32', 'tf32', 'bf16'"),
        ({"evaluations": 0}, "rectified_flow: evaluations: found 0; allowed: at least 1"),
        ({"batch": 0}, "rectified_flow: batch: found 0; allowed: at least 1"),
        ({"microbatch": 0}, "rectified_flow: microbatch: found 0; allowed: at least 1"),
        ({"multipliers": [1] * 6}, "8 pixels cannot be halved that often"),
        ({"annotation": "colour"}, "rectified_flow: annotation: found 'colour'; allowed: 'grey', 'channels'"),
        ({"steps": 3}, "rectified_flow: found unknown key `steps`"),
        ({"target": "image"}, "rectified_flow: target: found 'image'; allowed: 'velocity', 'x'"),
        ({"smallest_noise": 0}, "rectified_flow: smallest_noise: found 0; allowed: more than 0"),
        ({"network": "mixer"}, "rectified_flow: network: found 'mixer'; allowed: 'unet', 'convnext'"),
        ({"patch": 3}, "rectified_flow: patch: found 3; allowed: 1, 2, 4"),
        ({"patch": 4, "multipliers": [1, 1, 1]}, "2 pixels cannot be halved that often"),
        ({"time_scale": 0}, "rectified_flow: time_scale: found 0; allowed: more than 0"),
        ({"gradient_clip": 0}, "rectified_flow: gradient_clip: found 0; allowed: more than 0"),
        ({"adam_betas": [0.9]}, r"rectified_flow: adam_betas: found \[0.9\]; allowed: at least 2 items"),
        ({"network": "convnext"}, r"rectified_flow: multipliers: found \[1, 1\]; allowed for convnext"),
        (
            {"network": "convnext", "multipliers": None, "heads": 3},
            "rectified_flow: width: found 32; allowed: a multiple of heads, 3",
        ),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message) as error:
        tiny(**options)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------ mean flow
def oracle_way(x, t, span):
    """Where the flow of pixels of N(MEAN, SD^2) takes x from t to t + span."""
    sd_t, sd_then = (torch.sqrt(s**2 * SD**2 + (1 - s) ** 2) for s in (t, t + span))
    return (t + span) * MEAN + sd_then / sd_t * (x - t * MEAN)


def oracle_mean(x, t, span):
    """Its mean velocity; of no span the velocity."""
    moved = torch.where(span > 0, (oracle_way(x, t, span) - x) / span.clamp(min=1e-12), torch.zeros_like(x))
    return torch.where(span > 0, moved, best(x, t))


@pytest.mark.parametrize("evaluations", [1, 2, 4])
def test_jumps_are_exact_where_the_mean_velocity_is(evaluations):
    x = torch.randn(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def velocity(x, t, span):
        return oracle_mean(x, torch.tensor(t, dtype=torch.float64), torch.tensor(span, dtype=torch.float64))

    torch.testing.assert_close(SAMPLERS["jump"](velocity, x, evaluations), MEAN + SD * x, rtol=0, atol=1e-12)


class KnowsMean(torch.nn.Module):
    """Answers the mean velocity of pixels of N(MEAN, SD^2), or the image that it leads to, times `wrong`."""

    def __init__(self, target, wrong=1.0):
        super().__init__()
        self.target, self.wrong = target, torch.nn.Parameter(torch.tensor(wrong, dtype=torch.float64))

    def forward(self, x, t, span):
        t, span = (time.view(-1, 1, 1, 1) / rectified_flow.TIMES for time in (t, span))
        mean = oracle_mean(x, t, span) * self.wrong
        return mean if self.target == "velocity" else x + (1 - t) * mean


def knowing_mean(target, wrong=1.0):
    options = {"network": "convnext", "multipliers": None, "mean_flow": 0.5, "target": target, "precision": "fp32"}
    generator = tiny(**options)
    generator.networks["denoiser"] = KnowsMean(target, wrong)
    generator.answer = lambda network, x, *times, **told: network(x, *times)  # in float64
    return generator


@pytest.mark.parametrize("target", ["velocity", "x"])
def test_the_loss_of_jumps_is_least_for_the_mean_velocity(target):
    """There it is that of the velocity itself, which no network can lower, whatever the jump; nothing pulls."""
    n, host = 4000, torch.Generator().manual_seed(1)
    noise = torch.randn(n, 1, 1, 1, dtype=torch.float64, generator=host)
    image = MEAN + SD * torch.randn(n, 1, 1, 1, dtype=torch.float64, generator=host)
    t, until = torch.full((n,), 0.3, dtype=torch.float64), torch.full((n,), 0.8, dtype=torch.float64)
    x = 0.3 * image + 0.7 * noise
    least = (image - noise - best(x, t.view(-1, 1, 1, 1))).square().flatten()
    generator = knowing_mean(target)
    loss_N = generator.jump_loss(image, t, noise, other_N=until)
    torch.testing.assert_close(loss_N.detach(), least, rtol=0, atol=1e-9)
    torch.testing.assert_close(generator.jump_loss(image, until, noise, other_N=t), loss_N)  # whichever comes first
    pull = torch.autograd.grad(loss_N.mean(), generator.networks["denoiser"].wrong)[0]
    other = knowing_mean(target, 1.1)
    push = torch.autograd.grad(
        other.jump_loss(image, t, noise, other_N=until).mean(), other.networks["denoiser"].wrong
    )[0]
    assert abs(float(pull)) < 0.05 * float(push), (pull, push)


def test_one_to_four_jumps_make_images_and_others_may_not():
    for wrong, said in (
        ({"mean_flow": 0.5}, "allowed for the network unet: 0"),
        ({"sampler": "jump"}, "allowed where mean_flow lets an image of a batch jump"),
    ):
        with pytest.raises(ValueError, match=said):
            tiny(**wrong)
