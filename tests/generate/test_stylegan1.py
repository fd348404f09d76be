"""StyleGAN 1: golden sizes, its layers, its losses against hand-made networks, styles and truncation."""

import math

import pytest
import torch
import torch.nn.functional as F
from made import count, rng
from torch import nn

from understudy.config.fields import SAMPLING
from understudy.generate import build, layers, pixel_norm
from understudy.generate.growing import Phase
from understudy.generate.stylegan1_networks import Epilogue

TINY = {
    **{"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "batch": 4},
    **{"minibatch_std_group": 2, "first_resolution": 4},
}


def tiny(size=16, channels=2, seed=0, **options):
    torch.manual_seed(seed)
    return build("stylegan1", channels, size, **(TINY | options))


@pytest.mark.parametrize(
    ("channels", "size", "generator", "discriminator"),
    [
        (3, 256, 26_086_229, 23_052_353),
        (5, 256, 26_091_235, 23_057_345),
        (3, 1024, 26_219_627, 23_087_249),
    ],
)
def test_parameter_counts(channels, size, generator, discriminator):
    with torch.device("meta"):
        networks = build("stylegan1", channels, size).networks
    assert (count(networks["generator"]), count(networks["discriminator"])) == (generator, discriminator)
    assert count(networks["generator"].mapping) == 2_101_248
    assert count(networks["generator"].blocks["b4"]) == 512 * 16 + 9 * 512**2 + 2 * (2 * 512 + 512 * 1024 + 1024)


def test_options_are_the_study_s():
    with torch.device("meta"):
        gan1 = build("stylegan1", 5, 256)
    o = gan1.options
    assert (o.kimg, o.r1_gamma, o.style_mixing, o.mapping_ema) == (25000, 10, 0.9, 0.995)
    assert (o.truncation_psi, o.truncation_cutoff) == (0.7, 8)
    assert [gan1.batch_at(kimg * 1000) for kimg in (0, 1000, 2000, 3000, 5000, 5500, 9000)] == [
        *(256, 128, 64, 64, 16, 16, 16)
    ]
    assert [gan1._rate("generator", r) for r in (8, 64, 128, 256)] == [0.001, 0.001, 0.0015, 0.002]
    assert gan1.schedule.top == 5 and gan1.schedule.phase_at(0) == Phase(8, 0, 32)
    assert gan1.ema_decay(0) == 0.5 ** (256 / 10_000) and gan1.ema_decay(9_000_000) == 0.5 ** (16 / 10_000)


# ------------------------------------------------------------------------------------------------ layers
def test_mapping_learns_at_a_hundredth_of_the_rate():
    torch.manual_seed(0)
    mapping = tiny(latent_size=256).networks["generator"].mapping
    assert mapping[0].weight.std().item() == pytest.approx(100, rel=0.02)
    z = torch.randn(512, 256)
    torch.testing.assert_close(mapping(5 * z), mapping(z), rtol=1e-4, atol=1e-4)
    dense, x = mapping[0], pixel_norm.normalize_second_moment(z)
    with torch.no_grad():
        dense.bias.fill_(3.0)
        expected = F.leaky_relu(x @ dense.weight.T * (0.01 * math.sqrt(2) / 16) + 0.03, 0.2)
        torch.testing.assert_close(layers.leaky(dense(x)), expected, rtol=1e-4, atol=1e-4)


def test_epilogue_is_noise_bias_activation_normalisation_and_style():
    torch.manual_seed(0)
    epilogue = Epilogue(3, 4)
    assert not epilogue.noise_strength.any() and not epilogue.bias.any() and not epilogue.affine.bias.any()
    with torch.no_grad():
        epilogue.noise_strength.copy_(torch.tensor([0.5, 1, 2])), epilogue.bias.copy_(torch.tensor([1.0, -1, 0]))
    x, w, noise = torch.randn(2, 3, 6, 6), torch.randn(2, 4), torch.randn(2, 1, 6, 6)
    y = epilogue(x, w, noise)
    a = F.leaky_relu(
        x + torch.tensor([0.5, 1, 2]).view(3, 1, 1) * noise + torch.tensor([1.0, -1, 0]).view(3, 1, 1), 0.2
    )
    a = (a - a.mean((2, 3), keepdim=True)) / (a.var((2, 3), keepdim=True, correction=0) + 1e-8).sqrt()
    style = w @ epilogue.affine.weight.T / 2
    expected = a * (style[:, :3, None, None] + 1) + style[:, 3:, None, None]
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)


def test_discriminator_blurs_before_it_halves_and_that_of_the_progressive_gan_does_not():
    for name, blurs in (("stylegan1", True), ("progressive_gan", False)):
        network = build(name, 2, 16, channel_base=128, channel_max=8, minibatch_std_group=2).networks["discriminator"]
        block, x = network.blocks["b16"], torch.randn(2, 8, 16, 16)
        y = block.conv0(x)
        torch.testing.assert_close(block(x), block.conv1(layers.blur(y, 1, 2) if blurs else y))
        linear, block.conv0.active = y, False
        torch.testing.assert_close(linear, F.leaky_relu(block.conv0(x), 0.2))


def test_synthesis_takes_style_and_noise_of_its_layer():
    network = tiny().networks["generator"]
    assert network.noise_sizes(Phase(16)) == [4, 4, 8, 8, 16, 16] and network.noise_sizes(Phase(8, 0.5, 2)) == [
        4,
        4,
        8,
        8,
    ]
    assert network.blocks["b4"].constant_CHW.eq(1).all()
    taken = {}
    for name, module in network.named_modules():
        if isinstance(module, Epilogue):
            module.register_forward_hook(lambda m, inputs, out, name=name: taken.update({name: inputs[1:]}))
    w_NLK = torch.arange(6.0)[None, :, None].expand(1, 6, 8)
    noises = [torch.full((1, 1, r, r), 10.0 + i) for i, r in enumerate([4, 4, 8, 8, 16, 16])]
    network.synthesis(w_NLK, noises, Phase(16))
    found = {name: (int(w[0, 0]), int(noise[0, 0, 0, 0])) for name, (w, noise) in taken.items()}
    layers_of = [f"blocks.b{r}.epilogue{i}" for r in (4, 8, 16) for i in (0, 1)]
    assert found == {name: (i, 10 + i) for i, name in enumerate(layers_of)}


def test_truncation_draws_the_first_layers_to_the_mean():
    gan1 = tiny(size=32, truncation_cutoff=3, truncation_psi=0.75)
    network = gan1.networks["generator"]
    network.w_mean_K.fill_(2.0)
    assert network.truncate(torch.zeros(1, 8), 0.75, 3, 8)[0, :, 0].tolist() == [0.5, 0.5, 0.5, 0, 0, 0, 0, 0]
    assert network.truncate(torch.zeros(1, 8), 0.75, 3, 2)[0, :, 0].tolist() == [0.5, 0.5]
    assert network.truncate(torch.zeros(1, 8), 0.5, None, 4).eq(1).all()
    assert gan1.options.of_use(SAMPLING) == {"truncation_psi", "truncation_cutoff"}


def test_previews_are_not_truncated():
    a, b = tiny(), tiny(truncation_psi=1.0)
    for gan1 in (a, b):
        gan1.networks["generator"].w_mean_K.fill_(2.0)
    assert torch.equal(a.preview(3, seed=1), b.preview(3, seed=1))
    assert torch.equal(b.preview(3, seed=1), b.sample(3, seed=1)) and not torch.equal(
        a.preview(3, seed=1), a.sample(3, seed=1)
    )


def test_samples_have_noise_of_their_own():
    gan1 = tiny(truncation_psi=0.0, truncation_cutoff=None)  # all of one style: what is left is noise
    network = gan1.networks["generator"]
    network.lod.fill_(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Epilogue):
                module.noise_strength.fill_(0.3)
    x = gan1.sample(2, seed=0)
    assert (x[0] - x[1]).abs().max() > 0.01


# ------------------------------------------------------------------------------------------------ training
class Linear(nn.Module):
    """D(x) = <v, x>."""

    def __init__(self, shape):
        super().__init__()
        self.v = nn.Parameter(torch.randn(shape, generator=rng(5)) / 8)

    def forward(self, x_NCHW, phase):
        return (x_NCHW * self.v).sum((1, 2, 3))


@pytest.mark.parametrize(("phase", "factor"), [(Phase(16), 1), (Phase(4, 0, 4), 4), (Phase(8, 0.5, 2), 2)])
def test_losses_of_a_linear_discriminator(monkeypatch, phase, factor):
    """softplus(<v, b>) + softplus(-<v, x>) + gamma / 2 |v|^2 / f^2."""
    gan1, shape, found = tiny(r1_gamma=3.0), (2, phase.resolution, phase.resolution), {}
    network = gan1.networks["discriminator"] = Linear(shape)
    optimizer = gan1.optimizers["discriminator"] = torch.optim.SGD(network.parameters(), 1.0)
    monkeypatch.setattr(optimizer, "step", lambda: found.update(v=network.v.grad.clone()))
    b = torch.randn(shape, generator=rng(6), requires_grad=True)
    monkeypatch.setattr(gan1, "_fake", lambda draw, chosen, phase: b.expand(4, -1, -1, -1))
    x, v = torch.randn(4, *shape, generator=rng(1)), network.v.detach()
    statistics = gan1._discriminator_step(x, phase, rng())
    fake, real_N = (v * b).sum().detach(), (x * v).sum((1, 2, 3))
    torch.testing.assert_close(statistics["r1_penalty"], v.square().sum() / factor**2)
    torch.testing.assert_close(statistics["loss_discriminator"], F.softplus(fake) + F.softplus(-real_N).mean())
    slope = fake.sigmoid() * b.detach() - (torch.sigmoid(-real_N)[:, None, None, None] * x).mean(0) + 3 * v / factor**2
    torch.testing.assert_close(found["v"], slope, rtol=1e-4, atol=1e-4)
    gan1.optimizers["generator"] = torch.optim.SGD([b], 1.0)
    monkeypatch.setattr(gan1.optimizers["generator"], "step", lambda: found.update(b=b.grad.clone()))
    statistics = gan1._generator_step(4, phase, rng())
    torch.testing.assert_close(statistics["loss_generator"], F.softplus(-fake))
    torch.testing.assert_close(found["b"], -torch.sigmoid(-fake) * v)


@pytest.mark.parametrize("phase", [Phase(8, 0.3, 2), Phase(16)])
def test_gradient_of_the_discriminator_s_loss_matches_finite_differences(monkeypatch, phase):
    gan1 = tiny()
    network = gan1.networks["discriminator"].double()
    x = torch.randn(4, 2, phase.resolution, phase.resolution, generator=rng(1), dtype=torch.float64)
    monkeypatch.setattr(gan1, "_fake", lambda draw, chosen, phase: 0.5 * x[chosen].flip(3))
    weights, found = [network.blocks["b8"].conv0.weight, network.conv.weight], []
    monkeypatch.setattr(gan1.optimizers["discriminator"], "step", lambda: found.extend(w.grad.clone() for w in weights))
    gan1._discriminator_step(x, phase, rng())
    directions = [torch.randn(w.shape, generator=rng(i), dtype=torch.float64) for i, w in enumerate(weights)]
    values, step = [], 1e-6
    for sign in (1, -1):
        with torch.no_grad():
            [w.add_(sign * step * d) for w, d in zip(weights, directions, strict=True)]
        statistics = gan1._discriminator_step(x, phase, rng())
        values.append((statistics["loss_discriminator"] + 5 * statistics["r1_penalty"]).item())
        with torch.no_grad():
            [w.sub_(sign * step * d) for w, d in zip(weights, directions, strict=True)]
    slope = sum((g * d).sum().item() for g, d in zip(found[:2], directions, strict=True))
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_without_a_penalty_there_is_none():
    gan1 = tiny(r1_gamma=0.0)
    statistics = gan1.step(torch.zeros(4, 2, 16, 16), 0, rng())
    assert "r1_penalty" not in statistics and statistics["nonfinite_gradients"] == 0


def test_styles_mix_within_the_layers_of_the_phase():
    gan1 = tiny(style_mixing=1.0)
    for phase, of in ((Phase(4, 0, 4), 2), (Phase(8, 0.5, 2), 4), (Phase(16), 6)):
        assert {int(gan1._draw(4, phase, rng(seed)).cutoff) for seed in range(60)} == set(range(1, of))
    assert {int(tiny(style_mixing=0.0)._draw(4, Phase(8, 0, 2), rng(s)).cutoff) for s in range(9)} == {4}


def test_mean_w_follows_the_mapping_in_both_steps():
    gan1 = tiny(mapping_ema=0.9)
    network = gan1.networks["generator"]
    first, second = (network.mapping(gan1._draw(4, Phase(16), rng(seed)).z).mean(0).detach() for seed in (0, 1))
    network.w_mean_K.zero_()
    gan1._discriminator_step(torch.zeros(4, 2, 16, 16), Phase(16), rng(0))
    torch.testing.assert_close(network.w_mean_K, 0.1 * first)
    gan1._generator_step(4, Phase(16), rng(1))
    torch.testing.assert_close(network.w_mean_K, 0.09 * first + 0.1 * second)
