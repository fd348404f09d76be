"""StyleGAN 3: golden sizes, equivariance, layers against theory, schedules, and what a step may depend on."""

import copy
import math
import operator

import numpy as np
import pytest
import torch

from understudy.core.data import DeviceImages
from understudy.core.flops import count_flops
from understudy.generate import GENERATORS, build, stylegan3, stylegan3_networks
from understudy.generate import train as stage
from understudy.generate.filtered_lrelu import filtered_lrelu_reference
from understudy.generate.stylegan2_networks import Discriminator
from understudy.generate.stylegan3_networks import FourierInput, Generator, ToImage, modulated_conv, signals
from understudy.generate.weights import seeded_build

TINY = {
    **{"channel_base": 256, "channel_max": 8, "latent_size": 16, "batch": 8, "precision": "fp32"},
    **{"layers": 4, "critical_layers": 1, "margin": 4},
}
every_variant = pytest.mark.parametrize("variant", ["t", "r"])


def tiny(size=16, channels=5, seed=0, **options):
    torch.manual_seed(seed)
    return build("stylegan3", channels, size, **(TINY | options))


def on_meta(channels, size=256, **options):
    with torch.device("meta"):
        return build("stylegan3", channels, size, **options).networks


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def reals(batch=8, size=16, channels=5):
    return torch.rand(batch, channels, size, size, generator=rng(7)) * 2 - 1


# ---------------------------------------------------------------------------------------------- sizes
def test_registry_has_it():
    assert GENERATORS["stylegan3"].__name__ == "StyleGAN3"


@pytest.mark.parametrize(
    ("channels", "size", "options", "generator"),
    [
        (5, 256, {}, 28_472_391),
        (3, 256, {}, 28_472_133),
        (3, 512, {}, 24_873_519),
        (5, 256, {"channel_base": 16384}, 23_320_573),
        (3, 256, {"channel_base": 16384}, 23_320_443),
        (5, 256, {"variant": "r"}, 18_816_901),
        (3, 256, {"variant": "r"}, 18_816_387),
        (5, 256, {"variant": "r", "channel_base": 16384}, 15_779_823),
        (3, 256, {"variant": "r", "channel_base": 16384}, 15_779_565),
    ],
)
def test_parameter_counts(channels, size, options, generator):
    networks = on_meta(channels, size, **options)
    assert count(networks["generator"]) == generator
    assert isinstance(networks["discriminator"], Discriminator)
    if size == 256 and not options:
        assert count(networks["discriminator"]) == {3: 28_864_129, 5: 28_864_385}[channels]


def test_parameter_counts_per_layer():
    generator = on_meta(5)["generator"]
    expected = [2_622_464] * 9 + [1_931_114, 1_020_010, 548_533, 301_493, 213_248, 66_309]
    assert [count(block) for block in generator.blocks] == expected
    assert (count(generator.input), count(generator.mapping), generator.layers) == (264_196, 525_312, 16)


@every_variant
def test_plan_of_layers_is_that_of_the_original(variant):
    options = stylegan3.Options(variant=variant)
    plan = signals(256, options)
    assert [s.size for s in plan] == [36, 36, 36, 52, 52, 84, 84, 148, 148, 148, 276, 276, 276, 256, 256]
    assert [s.rate for s in plan] == [16] * 3 + [32] * 2 + [64] * 2 + [128] * 3 + [256] * 5
    maps = [512] * 9 + [362, 256, 181, 128, 128, 128]
    assert [s.maps for s in plan] == (maps if variant == "t" else [1024] * 9 + [724, 512, 362, 256, 256, 256])
    assert [plan[i].cutoff for i in (1, 3, 9, 11)] == pytest.approx([2.828427, 5.656854, 45.254834, 90.509668])
    assert [plan[i].half_width for i in (0, 1, 3, 9, 12, 14)] == pytest.approx(
        [6, 5.171573, 10.343146, 18.745166, 29.586485, 29.586485], abs=1e-6
    )
    blocks = on_meta(5, variant=variant)["generator"].blocks[:-1]
    factors = [4 if i in (3, 5, 7, 10) else 2 for i in range(14)]
    paddings = {2: (9, 8), 4: (-6, -9), "last": (-11, -12)} if variant == "t" else {2: (11, 10), 4: (-2, -5)}
    paddings |= {"last": (-11, -12) if variant == "t" else (-9, -10)}
    assert [block.form.up for block in blocks] == factors and {block.form.down for block in blocks} == {2}
    assert [block.form.padding for block in blocks[:-1]] == [paddings[factor] for factor in factors[:-1]]
    assert blocks[-1].form.padding == paddings["last"]
    kernel = blocks[0].weight.shape[2]
    for block, before, after in zip(blocks, [plan[0], *plan], plan, strict=False):
        assert block.form.size(before.size + kernel - 1)[1] == after.size


def test_an_image_costs_what_its_convolutions_do():
    """Filters are not counted: without them it is 232 GMAC for T."""
    generator = on_meta(5)["generator"]
    with torch.no_grad():
        assert count_flops(lambda: generator(torch.empty(1, 512, device="meta"))) / 2e9 == pytest.approx(
            231.8, rel=1e-3
        )


def test_reduced_precision_begins_above_a_sixteenth_of_the_rate():
    assert on_meta(5)["generator"].reduces == [False] * 3 + [True] * 12


@every_variant
@pytest.mark.parametrize("size", [16, 32, 64])
def test_every_size_makes_images_of_it(variant, size):
    generator = tiny(size, 2, variant=variant, layers=14, critical_layers=2, channel_max=4, margin=10)
    x = generator.sample(1, seed=0)
    assert x.shape == (1, 2, size, size) and x.std() > 1e-6


@pytest.mark.parametrize("size", [8, 0, 48, 240])
def test_size_must_be_a_power_of_two(size):
    with pytest.raises(ValueError, match=f"stylegan3: size {size}: expected a power of two of at least 16"):
        build("stylegan3", 5, size, **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r1_gama": 1}, "unknown option 'r1_gama'; the nearest known one is 'r1_gamma'"),
        ({"style_mixing": 0.9}, "unknown option 'style_mixing'"),
        ({"variant": "x"}, "variant 'x': expected one of t, r"),
        ({"precision": "fp8"}, "precision 'fp8': expected one of fp32, bf16, fp16"),
        ({"batch": 6}, "batch 6: expected a multiple of minibatch_std_group, 4"),
        ({"microbatch": 2}, "microbatch 2: expected a divisor of batch 8 and a multiple of 4"),
        ({"r1_interval": 0}, "r1_interval 0: expected at least 1"),
        ({"critical_layers": 0}, "critical_layers 0: expected at least 1"),
        ({"layers": 1}, "layers 1: expected more than critical_layers, 1"),
        ({"first_stopband": 2.0}, "first_stopband 2: expected more than first_cutoff, 2, and at most half the size, 8"),
        ({"first_stopband": 9.0}, "first_stopband 9: expected more than first_cutoff, 2, and at most half the size, 8"),
        ({"last_stopband": 1.0}, "last_stopband 1.0: expected more than 1"),
        ({"margin": -1}, "margin -1: expected at least 0"),
        ({"memorization_action": "panic"}, "memorization_action 'panic': expected one of log, choose, stop"),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        tiny(**options)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------- equivariance
def moved(dx=0.0, dy=0.0, degrees=0.0):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, -s, dx], [s, c, dy], [0, 0, 1]])


def calibrated(variant, size=64):
    """An untrained generator of official depth, its magnitudes measured, and w of some images."""
    torch.manual_seed(0)
    options = stylegan3.Options(variant=variant, channel_base=1024, channel_max=16, latent_size=16, precision="fp32")
    generator = Generator(2, size, options).eval().requires_grad_(False)
    w_NLK = generator.mapping(torch.randn(2, 16))[:, None].expand(-1, generator.layers, -1)
    for _ in range(generator.layers):  # a layer's is right when those before are
        squares = []
        image_NCHW = generator.synthesis(w_NLK[:1], squares=squares)
        generator.magnitudes_L.copy_(squares[0].mean(0))
    assert image_NCHW.std() > 0.15, "an image of nothing would be equivariant too"
    return generator, w_NLK


def interpolated(image_NCHW, x, y, taps=24):
    """The image at fractional pixels (P,), (P,), by a long windowed sinc."""

    def weights(at, size):
        distance = np.arange(size) - at[:, None]
        inside = np.clip(1 - (distance / (taps / 2)) ** 2, 0, None)
        f = np.where(np.abs(distance) < taps / 2, np.sinc(distance) * np.i0(8 * np.sqrt(inside)), 0)
        return torch.from_numpy(f / f.sum(1, keepdims=True)).to(image_NCHW.dtype)

    return torch.einsum("nchw,ph,pw->ncp", image_NCHW, weights(y, image_NCHW.shape[2]), weights(x, image_NCHW.shape[3]))


def equivariance(generator, w_NLK, dx=0.0, degrees=0.0):
    """Peak signal to noise ratio in dB, as EQ-T and EQ-R of the paper (equation 3; appendix E): the image of a moved
    input against the moved image, where its neighbourhood is inside. Images range over 2."""
    size = 64
    expected, actual = (generator.synthesis(w_NLK, move) for move in (None, moved(dx / size, 0, degrees)))
    y, x = (a.ravel().astype(float) for a in np.mgrid[:size, :size])
    matrix = moved(dx, 0, degrees).double().numpy()
    centre = (size - 1) / 2
    x0, y0, _ = matrix @ np.stack((x - centre, y - centre, np.ones_like(x))) + centre
    inside = (np.abs(x0 - centre) < 18) & (np.abs(y0 - centre) < 18)
    expected_NCP = interpolated(expected, x0[inside], y0[inside])
    actual_NCP = actual.flatten(2)[:, :, torch.from_numpy(inside)]
    return -10 * math.log10((actual_NCP - expected_NCP).square().mean() / 4)


@pytest.fixture(scope="module")
def translation():
    return calibrated("t")


@pytest.mark.parametrize("pixels", [1, 5, -3, 0.5, 2.25])
def test_t_is_equivariant_to_translation(translation, pixels):
    assert equivariance(*translation, pixels) > 64


def test_box_filters_are_not(monkeypatch):
    """Repeated pixels and means of neighbours, which most generators have, in place of the low-pass filters."""
    monkeypatch.setattr(stylegan3_networks, "lowpass", lambda taps, *_: np.full(taps // 6, 6 / taps))
    generator, w_NLK = calibrated("t")
    assert equivariance(generator, w_NLK, 1) < 40 and equivariance(generator, w_NLK, 0.5) < 40


def test_r_is_equivariant_to_rotation_and_t_is_not(translation):
    r = calibrated("r")
    assert equivariance(*r, degrees=30) > 50 and equivariance(*r, degrees=90) > 64 and equivariance(*r, 2.5) > 64
    assert equivariance(*translation, degrees=30) < 30


# ---------------------------------------------------------------------------------------------- layers
def test_demodulated_weights_have_unit_norm():
    """The response to unit impulses of every input map shows the weights of a sample."""
    w_OIKK, s_NI = torch.randn(6, 4, 3, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    impulses = torch.zeros(2, 4, 4, 3, 3, dtype=torch.float64)
    impulses[:, range(4), range(4), 1, 1] = 1
    gain = torch.tensor(1.0)
    weights = [modulated_conv(impulses[n], w_OIKK, s_NI[n].expand(4, -1), gain)[..., 1:-1, 1:-1] for n in range(2)]
    for n, w_IOKK in enumerate(weights):
        torch.testing.assert_close(w_IOKK.square().sum((0, 2, 3)), torch.ones(6, dtype=torch.float64))
        ratio_IO = w_IOKK.flip(2, 3).transpose(0, 1) / (w_OIKK * s_NI[n, None, :, None, None])
        torch.testing.assert_close(ratio_IO, ratio_IO[:, :1, :1, :1].expand_as(ratio_IO))


def test_scales_of_weights_and_styles_change_nothing():
    x, w, s = torch.randn(2, 4, 5, 5), torch.randn(6, 4, 3, 3), torch.randn(2, 4)
    y = modulated_conv(x, w, s, torch.tensor(1.0))
    assert y.shape == (2, 6, 7, 7)
    torch.testing.assert_close(modulated_conv(x, 300 * w, s * torch.tensor([[9.0], [0.1]]), torch.tensor(1.0)), y)
    torch.testing.assert_close(modulated_conv(x, w, s, torch.tensor(0.5)), y / 2)


def test_layer_to_image_is_not_demodulated():
    layer = ToImage(signals(16, stylegan3.Options(**TINY))[-1], 3, 16, None)
    maps = layer.weight.shape[1]
    x, w = torch.randn(2, maps, 4, 4), torch.randn(2, 16)
    s_NI = layer.affine(w) / math.sqrt(maps)
    expected = torch.einsum("oi,ni,nihw->nohw", layer.weight[..., 0, 0], s_NI, x) * 0.5
    torch.testing.assert_close(layer(x, w, torch.tensor(0.5)), expected)


def test_input_is_made_of_waves_below_the_cutoff():
    torch.manual_seed(0)
    s = signals(64, stylegan3.Options())[0]
    layer = FourierInput(s, 16)
    r = layer.frequencies_C2.norm(dim=1)
    assert r.max() <= s.cutoff and (r < s.cutoff / math.sqrt(2)).float().mean() == pytest.approx(0.5, abs=0.08)
    assert layer.phases_C.abs().max() <= 0.5
    with torch.no_grad():
        layer.weight.copy_(torch.eye(s.maps) * math.sqrt(s.maps))
        wave = layer(torch.randn(1, 16), None)[0]
    (fx, fy), phase = layer.frequencies_C2[3].tolist(), layer.phases_C[3].item()
    x, y = (7 + 0.5 - s.size / 2) / s.rate, (30 + 0.5 - s.size / 2) / s.rate
    assert wave[3, 30, 7].item() == pytest.approx(math.sin(2 * math.pi * (fx * x + fy * y + phase)), abs=1e-4)


def test_learned_move_of_the_input_is_that_of_a_user():
    """(cos, sin, x, y) of w, of any length, looks up what moved(-x, -y) and then the rotation say."""
    torch.manual_seed(0)
    layer = FourierInput(signals(16, stylegan3.Options(**TINY))[0], 16).requires_grad_(False)
    w_NK = torch.randn(1, 16)
    move = moved(degrees=20) @ moved(-0.1, 0.2)
    expected = layer(w_NK, move)
    c, s = math.cos(math.radians(20)), math.sin(math.radians(20))
    layer.affine.bias.copy_(torch.tensor([c, s, 0.1, -0.2]) * 3)
    torch.testing.assert_close(layer(w_NK, None), expected, rtol=1e-4, atol=1e-5)
    magnified = layer(w_NK, torch.diag(torch.tensor([1e3, 1e3, 1.0])))
    assert magnified.abs().max() == 0, "waves above the Nyquist frequency"


def test_truncation_draws_the_first_layers_to_the_mean():
    generator = tiny().networks["generator"]
    generator.w_mean_K.fill_(2.0)
    w_NLK = generator.truncate(torch.zeros(1, 16), 0.75, 2)
    assert w_NLK[0, :, 0].tolist() == [0.5, 0.5, 0, 0, 0, 0] and generator.layers == 6


@every_variant
def test_fast_activation_changes_nothing(variant, monkeypatch):
    generator = tiny(size=32, variant=variant)
    x = generator.sample(2, seed=0)
    monkeypatch.setattr(stylegan3_networks, "filtered_lrelu", filtered_lrelu_reference)
    torch.testing.assert_close(generator.sample(2, seed=0), x, rtol=1e-4, atol=1e-5)


def test_reduced_precision_stays_near_full():
    full, reduced = tiny(size=32), tiny(size=32, precision="bf16")
    reduced.networks["generator"].load_state_dict(full.networks["generator"].state_dict())
    x, y = full.sample(8, seed=0), reduced.sample(8, seed=0)
    assert 0 < (x - y).abs().max() < 0.1 * x.abs().max()
    statistics = reduced.step(reals(size=32), 0, rng())
    assert all(value.isfinite() for value in statistics.values()) and statistics["nonfinite_gradients"] == 0
    assert all(p.dtype == torch.float32 for p in reduced.networks["generator"].parameters())


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


def test_blur_fades_for_r_alone():
    assert [tiny(variant="t").blur_sigma(seen) for seen in (0, 10**6)] == [0, 0]
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
    x, seen = reals(), []
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
        due[iteration] = gan3.step(reals(), iteration * 8, rng(iteration)).keys()
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
    gan3._discriminator_step(reals(), rng())
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
        gan3.step(reals(), seen, rng(seen))
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
    gan3.step(reals(), 0, rng())
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
        arguments = [reals().double()] if phase in ("_discriminator_step", "_r1_step") else []
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


def flat(state, prefix=""):
    if not isinstance(state, dict):
        return {prefix: state}
    return {k: v for name, part in state.items() for k, v in flat(part, f"{prefix}/{name}").items()}


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
    expected, actual = flat(straight.state()), flat(second.state())
    assert expected.keys() == actual.keys() and "/networks/generator/magnitudes_L" in expected
    for key, tensor in expected.items():
        same = torch.equal if isinstance(tensor, torch.Tensor) else operator.eq
        assert same(tensor, actual[key]), key


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
        flops = gan3.flops()
    assert flops["training"] > 3 * flops["sampling"] > 0
