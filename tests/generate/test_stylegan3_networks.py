"""The networks of StyleGAN 3: golden sizes, equivariance, layers against theory."""

import math

import numpy as np
import pytest
import torch
from made import count, real_images, rng

from understudy.generate import GENERATORS, build, stylegan3, stylegan3_networks
from understudy.generate.filtered_lrelu import filtered_lrelu_reference
from understudy.generate.stylegan2_networks import Discriminator
from understudy.generate.stylegan3_networks import FourierInput, Generator, ToImage, signals
from understudy.run.flops import count_flops

TINY = {
    **{"channel_base": 256, "channel_max": 8, "latent_size": 16, "batch": 8, "precision": "fp32"},
    **{"layers": 4, "critical_layers": 1, "margin": 4},
}
every_variant = pytest.mark.parametrize("variant", ["t", "r"])


def modulated_conv(*inputs):
    y, d_NO = stylegan3_networks.modulated_conv(*inputs)
    return y * d_NO[:, :, None, None]


def tiny(size=16, channels=5, seed=0, **options):
    torch.manual_seed(seed)
    return build("stylegan3", channels, size, **(TINY | options))


def on_meta(channels, size=256, **options):
    with torch.device("meta"):
        return build("stylegan3", channels, size, **options).networks


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
    statistics = reduced.step(real_images(size=32), 0, rng())
    assert all(value.isfinite() for value in statistics.values()) and statistics["nonfinite_gradients"] == 0
    assert all(p.dtype == torch.float32 for p in reduced.networks["generator"].parameters())
