"""The training of StyleGAN 3: schedules, what a step may depend on, samples, errors."""

import copy

import numpy as np
import pytest
import torch
from made import assert_same_state, real_images, rng

from understudy.generate import build, stylegan3
from understudy.generate import generator_training as stage
from understudy.generate.weights import seeded_build
from understudy.run.device_images import DeviceImages

TINY = {
    **{"channel_base": 256, "channel_max": 8, "latent_size": 16, "batch": 8, "precision": "fp32"},
    **{"layers": 4, "critical_layers": 1, "margin": 4},
}
every_variant = pytest.mark.parametrize("variant", ["t", "r"])


def tiny(size=16, channels=5, seed=0, **options):
    torch.manual_seed(seed)
    return build("stylegan3", channels, size, **(TINY | options))


# ---------------------------------------------------------------------------------------------- schedules
def test_only_the_discriminators_adam_is_corrected():
    optimizers = tiny().optimizers
    g, d = (optimizers[name].param_groups[0] for name in ("generator", "discriminator"))
    assert (g["lr"], g["betas"]) == (0.0025, (0.0, 0.99))
    assert d["lr"] == pytest.approx(0.00188235, rel=1e-5) and d["betas"] == pytest.approx((0, 0.990585), abs=1e-6)


def test_ema_decay():
    gan3 = tiny(batch=32)
    assert gan3.ema_decay(0) == 0
    assert gan3.ema_decay(200_000) == gan3.ema_decay(25_000_000) == pytest.approx(0.99778439, abs=1e-8)


def test_blur_fades_and_t_has_none_unless_asked():
    assert [tiny(variant="t").blur_sigma(seen) for seen in (0, 10**6)] == [0, 0]
    assert [tiny(variant="t", batch=32, blur_sigma=2).blur_sigma(seen) for seen in (0, 50_000, 10**6)] == [2, 1.5, 0]
    assert tiny(variant="r", blur_sigma=0).blur_sigma(0) == 0
    r = tiny(variant="r", batch=32)
    assert [r.blur_sigma(seen) for seen in (0, 50_000, 200_000, 10**7)] == [10, 7.5, 0, 0]
    assert tiny(variant="r", batch=8).blur_sigma(25_000) == 5
    assert tiny(variant="r", blur_kimg=0).blur_sigma(0) == 0


def test_blur_is_the_convolution_with_its_weights():
    x, sigma = torch.randn(1, 1, 9, 12, dtype=torch.float64), 1.4
    f = torch.tensor([2.0 ** -((i / sigma) ** 2) for i in range(-4, 5)], dtype=torch.float64)
    f = torch.outer(f, f) / f.sum() ** 2
    torch.testing.assert_close(stylegan3.blur(x, sigma), torch.nn.functional.conv2d(x, f[None, None], padding=4))
    assert stylegan3.blur(x, 0.3) is x and stylegan3.blur(x, 0) is x


@every_variant
def test_discriminator_of_r_sees_blurred_images(variant):
    x, seen = real_images(), []
    gan3 = tiny(variant=variant)
    gan3.networks["discriminator"].register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].detach()))
    gan3.step(x, 0, rng())
    fake, real = seen[1:3]
    if variant == "t":
        assert torch.equal(real, x)
    else:
        torch.testing.assert_close(real, stylegan3.blur(x, 10))
        assert fake.std((2, 3)).max() < 0.1 * x.std() and len(seen) == 4


def test_regularisation_runs_when_due():
    gan3 = tiny(r1_interval=3)
    due = {}
    for iteration in range(4):
        due[iteration] = gan3.step(real_images(), iteration * 8, rng(iteration)).keys()
    assert [i for i, names in due.items() if "r1_penalty" in names] == [0, 3]
    assert due[1] == {
        *("loss_generator", "loss_discriminator", "score_fake", "score_real", "sign_real", "nonfinite_gradients")
    }


@pytest.mark.parametrize("microbatch", [None, 4])
def test_means_are_followed_in_the_discriminators_step_alone(microbatch):
    gan3 = tiny(mapping_ema=0.9, magnitude_kimg=0.008, microbatch=microbatch)  # half-life: one batch
    network = gan3.networks["generator"]
    gan3._generator_step(rng())
    assert network.magnitudes_L.eq(1).all() and network.w_mean_K.eq(0).all()
    draw, squares = gan3._draw(8, rng()), []
    gan3._images(draw, torch.arange(8), squares)
    expected = (1 + squares[0].mean(0)) / 2
    gan3._discriminator_step(real_images(), rng())
    torch.testing.assert_close(network.magnitudes_L, expected)
    torch.testing.assert_close(network.w_mean_K, 0.1 * network.mapping(draw.z).mean(0))
    with torch.no_grad():
        inputs = []
        network.blocks[2].register_forward_pre_hook(lambda m, arguments: inputs.extend(arguments[::2]))
        gan3._images(draw, torch.arange(8))
    assert inputs[1] == network.magnitudes_L[2].rsqrt()


def test_decay_of_the_magnitudes():
    options = stylegan3.Options()
    decay = stylegan3.gan.half_life_decay(options.batch, options.magnitude_kimg * 1000)
    assert decay == pytest.approx(0.99889158, abs=1e-8)


# ---------------------------------------------------------------------------------------------- steps and samples
def stepped(images_seen=(0, 8, 16), **options):
    gan3 = tiny(**options)
    for seen in images_seen:
        gan3.step(real_images(), seen, rng(seen))
    return gan3


@every_variant
def test_steps_are_deterministic(variant):
    a, b = stepped(variant=variant), stepped(variant=variant)
    for name, network in a.networks.items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, b.networks[name].state_dict()[key]), key


def test_steps_leave_the_global_random_state_alone():
    gan3 = tiny()
    before = torch.get_rng_state()
    gan3.step(real_images(), 0, rng())
    gan3.sample(3, seed=1)
    assert torch.equal(before, torch.get_rng_state())


@every_variant
@pytest.mark.parametrize("phase", ["_generator_step", "_discriminator_step", "_r1_step"])
def test_microbatches_give_the_gradient_of_the_whole_batch(phase, variant, monkeypatch):
    gradients, magnitudes = {}, {}
    for microbatch in (None, 4):
        gan3 = tiny(microbatch=microbatch, variant=variant)
        gan3.sigma = gan3.blur_sigma(0)
        gan3.networks["generator"].double(), gan3.networks["discriminator"].double()
        draw = gan3._draw
        monkeypatch.setattr(gan3, "_draw", lambda n, rng, draw=draw: stylegan3.Draw(draw(n, rng).z.double()))
        for optimizer in gan3.optimizers.values():  # plain gradient descent in place of Adam shows the gradient
            monkeypatch.setattr(optimizer, "step", lambda o=optimizer: gradients.setdefault(microbatch, kept(o)))  # noqa: B023
        arguments = [real_images().double()] if phase in ("_discriminator_step", "_r1_step") else []
        getattr(gan3, phase)(*arguments, rng())
        magnitudes[microbatch] = gan3.networks["generator"].magnitudes_L
    assert (gradients[4] - gradients[None]).norm() < 1e-5 * gradients[None].norm()
    torch.testing.assert_close(magnitudes[4], magnitudes[None])


def kept(optimizer):
    return torch.cat([p.grad.flatten().clone() for p in optimizer.param_groups[0]["params"] if p.grad is not None])


@pytest.mark.parametrize(("precision", "variant"), [("fp32", "t"), ("bf16", "r")])
def test_image_is_a_function_of_seed_and_index(precision, variant):
    gan3 = stepped((0,), precision=precision, variant=variant)
    x = gan3.sample(20, seed=3)
    assert x.dtype == torch.float32 and x.shape == (20, 5, 16, 16) and x.abs().max() <= 1
    assert torch.equal(gan3.sample(3, seed=3), x[:3])
    assert torch.equal(gan3.sample(12, seed=3, first=5), x[5:17])
    assert torch.equal(gan3.sample(1, seed=3, first=19), x[19:])
    assert gan3.sample(0, seed=3).shape == (0, 5, 16, 16)
    assert not torch.equal(gan3.sample(3, seed=4), x[:3])


def trainee(**options):
    images_NCHW = np.random.default_rng(0).integers(0, 256, (20, 5, 16, 16), np.uint8)
    generator = seeded_build("stylegan3", 5, 16, 0, **(TINY | {"r1_interval": 4} | options))
    return stage.GeneratorTrainee(generator, DeviceImages(images_NCHW, "cpu"), 0)


@pytest.mark.parametrize("options", [{}, {"variant": "r", "blur_kimg": 0.2}], ids=["t", "r"])
def test_six_steps_are_three_and_a_reload_and_three(options):
    straight, first, second = (trainee(**options) for _ in range(3))
    for step in range(6):
        straight.step(8 * step)
    for step in range(3):
        first.step(8 * step)
    state = copy.deepcopy(first.state())
    second.step(0)  # whatever it held before is overwritten
    second.load_state(state)
    for step in range(3, 6):
        second.step(8 * step)
    assert "magnitudes_L" in second.state()["networks"]["generator"]
    assert_same_state(second.state(), straight.state())


@every_variant
def test_a_step_reads_no_number_back(variant):
    """On the meta device there are none, and whatever waits for one fails."""
    with torch.device("meta"):
        gan3 = build("stylegan3", 5, 16, **(TINY | {"variant": variant, "mirror": True}))
        statistics = gan3.step(torch.empty(8, 5, 16, 16), 0, None)
    assert all(value.device.type == "meta" and value.ndim == 0 for value in statistics.values())


def test_flops_are_counted_without_numbers():
    with torch.device("meta"):
        gan3 = build("stylegan3", 5, 16, **TINY)
        flops = {key: one.flops for key, one in gan3.work().items()}
    assert flops["training"] > 3 * flops["sampling"] > 0


# ---------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize("size", [8, 0, 48, 240])
def test_size_must_be_a_power_of_two(size):
    with pytest.raises(ValueError, match=f"size: found {size}; allowed: a power of two of at least 16"):
        build("stylegan3", 5, size, **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r1_gama": 1}, "found unknown key `r1_gama` .did you mean `r1_gamma`"),
        ({"style_mixing": 0.9}, "found unknown key `style_mixing`"),
        ({"variant": "x"}, "variant: found 'x'; allowed: 't', 'r'"),
        ({"precision": "fp8"}, "precision: found 'fp8'; allowed: 'fp32', 'tf32', 'bf16', 'fp16'"),
        ({"batch": 6}, "batch: found 6; allowed: a multiple of minibatch_std_group, 4"),
        ({"microbatch": 2}, "microbatch: found 2; allowed: a divisor of batch 8 and a multiple of 4"),
        ({"r1_interval": 0}, "r1_interval: found 0; allowed: at least 1"),
        ({"critical_layers": 0}, "critical_layers: found 0; allowed: at least 1"),
        ({"layers": 2, "critical_layers": 2}, "layers: found 2; allowed: more than critical_layers, 2"),
        (
            {"first_stopband": 2.0},
            "first_stopband: found 2; allowed: more than first_cutoff, 2, and at most half",
        ),
        (
            {"first_stopband": 9.0},
            "first_stopband: found 9; allowed: more than first_cutoff, 2, and at most half",
        ),
        ({"last_stopband": 1.0}, "last_stopband: found 1.0; allowed: more than 1"),
        ({"margin": -1}, "margin: found -1; allowed: at least 0"),
        ({"memorization_action": "panic"}, "memorization_action: found 'panic'; allowed: 'log', 'choose', 'stop'"),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        tiny(**options)
    assert "\n" not in str(caught.value)
