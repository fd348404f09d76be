"""Progressive GAN: golden sizes, its layers, and its losses against hand-made networks."""

import math

import pytest
import torch
from made import count, rng
from torch import nn

from understudy.generate import build
from understudy.generate.growing import Phase

TINY = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "batch": 4, "minibatch_std_group": 2}


def tiny(size=16, channels=2, seed=0, **options):
    torch.manual_seed(seed)
    return build("progressive_gan", channels, size, **(TINY | options))


@pytest.mark.parametrize(
    ("channels", "size", "generator", "discriminator"),
    [
        (3, 256, 23_044_309, 23_052_353),
        (5, 256, 23_049_315, 23_057_345),
        (3, 1024, 23_079_115, 23_087_249),
    ],
)
def test_parameter_counts(channels, size, generator, discriminator):
    with torch.device("meta"):
        networks = build("progressive_gan", channels, size).networks
    assert (count(networks["generator"]), count(networks["discriminator"])) == (generator, discriminator)
    first = networks["generator"].blocks["b4"]
    assert count(first) == 512 * 8192 + 512 + 9 * 512**2 + 512
    assert count(networks["generator"].to_image) == sum(
        channels * (min(16384 // 2**k, 512) + 1) for k in range(2, size.bit_length())
    )


def test_options_are_the_study_s():
    o = build("progressive_gan", 5, 8).options
    assert (o.kimg, o.stable_kimg, o.fade_kimg, o.first_resolution, o.schedule_interval) == (12000, 600, 600, 4, 4)
    assert o.batch == [128, 128, 128, 64, 32, 16, 8] and (o.gradient_penalty, o.drift, o.ema) == (10, 0.001, 0.999)
    gan1 = build("progressive_gan", 5, 256, channel_base=256)
    assert [gan1.batch_at(kimg * 1000) for kimg in (0, 3500, 7000)] == [128, 64, 8]
    adam = gan1.optimizers["discriminator"].param_groups[0]
    assert (adam["lr"], adam["betas"], adam["eps"]) == (0.001, (0.0, 0.99), 1e-8)
    assert gan1.ema_decay(0) == gan1.ema_decay(10**7) == 0.999


def test_layers_begin_with_unit_activations():
    """The gain of the activation is in the weights, that of the first layer is a quarter of it."""
    torch.manual_seed(0)
    network = tiny(channel_base=4096, channel_max=256, latent_size=256).networks["generator"]
    block, z = network.blocks["b4"], torch.randn(64, 256)
    assert block.weight_gain == pytest.approx(math.sqrt(2) / 4 / 16)
    seen = []
    network.blocks["b8"].conv1.register_forward_hook(lambda m, inputs, out: seen.extend((inputs[0], out)))
    image = network(z, Phase(16))
    torch.testing.assert_close(seen[0].square().mean(1), torch.ones(64, 8, 8), rtol=1e-4, atol=1e-4)
    assert seen[1][..., 1:-1, 1:-1].square().mean().item() == pytest.approx(1, rel=0.1)  # the leaky ReLU halved it
    assert image.square().mean().item() == pytest.approx(1, rel=0.3)
    torch.testing.assert_close(network(3 * z, Phase(16)), image)  # latents are normalised


class Linear(nn.Module):
    """D(x) = <v, x>."""

    def __init__(self, shape):
        super().__init__()
        self.v = nn.Parameter(torch.randn(shape, generator=rng(5)))

    def forward(self, x_NCHW, phase):
        return (x_NCHW * self.v).sum((1, 2, 3))


class Constant(nn.Module):
    """G(z) = b, whatever z."""

    def __init__(self, shape):
        super().__init__()
        self.b = nn.Parameter(torch.randn(shape, generator=rng(6)))

    def forward(self, z_NK, phase):
        return self.b.expand(len(z_NK), -1, -1, -1)


def linear_game(monkeypatch, phase, **options):
    """A game whose gradients are known, and the gradients of its steps."""
    gan1 = tiny(**options)
    shape = (2, phase.resolution, phase.resolution)
    gan1.networks |= {"discriminator": Linear(shape), "generator": Constant(shape)}
    found = {}
    for name, network in gan1.networks.items():
        gan1.optimizers[name] = torch.optim.SGD(network.parameters(), 1.0)
        (parameter,) = network.parameters()
        monkeypatch.setattr(
            gan1.optimizers[name], "step", lambda n=name, p=parameter: found.update({n: p.grad.clone()})
        )
    monkeypatch.setattr(type(gan1), "device", torch.device("cpu"))
    return gan1, found


@pytest.mark.parametrize(("phase", "factor"), [(Phase(16), 1), (Phase(4, 0, 4), 4), (Phase(8, 0.5, 2), 2)])
def test_losses_of_a_linear_discriminator(monkeypatch, phase, factor):
    """<v, b - x> + lambda (|v| / f - 1)^2 + epsilon <v, x>^2, of which every gradient is known."""
    gan1, found = linear_game(monkeypatch, phase, gradient_penalty=3.0, drift=0.5)
    v, b = gan1.networks["discriminator"].v.detach(), gan1.networks["generator"].b.detach()
    x = torch.randn(4, *v.shape, generator=rng(1))
    statistics = gan1._discriminator_step(x, phase, rng())
    penalty = (v.norm() / factor - 1) ** 2
    torch.testing.assert_close(statistics["gradient_penalty"], penalty)
    torch.testing.assert_close(statistics["loss_discriminator"], (v * (b - x.mean(0))).sum())
    scores = (x * v).sum((1, 2, 3), keepdim=True)
    slope = b - x.mean(0) + 3 * 2 * (v.norm() / factor - 1) * v / v.norm() / factor + 0.5 * 2 * (scores * x).mean(0)
    torch.testing.assert_close(found["discriminator"], slope, rtol=1e-4, atol=1e-4)
    statistics = gan1._generator_step(4, phase, rng())
    torch.testing.assert_close(statistics["loss_generator"], -(v * b).sum())
    torch.testing.assert_close(found["generator"], -v)


def test_random_points_lie_between_real_and_fake_one_for_each_image(monkeypatch):
    gan1, _ = linear_game(monkeypatch, Phase(4, 0, 4), batch=64)
    points, network = [], gan1.networks["discriminator"]
    network.register_forward_pre_hook(lambda m, inputs: points.append(inputs[0].detach()))
    gan1._discriminator_step(torch.zeros(64, 2, 4, 4), Phase(4, 0, 4), rng())
    fake, real, mixed = points
    share_N = (mixed / fake).flatten(1)
    torch.testing.assert_close(share_N, share_N[:, :1].expand_as(share_N))
    assert not real.any() and 0 < share_N.min() < 0.1 and 0.9 < share_N.max() < 1


@pytest.mark.parametrize("phase", [Phase(8, 0.3, 2), Phase(16)])
def test_gradient_of_the_discriminator_s_loss_matches_finite_differences(monkeypatch, phase):
    gan1 = tiny(gradient_penalty=10.0)
    for network in gan1.networks.values():
        network.double()
    x = torch.randn(4, 2, phase.resolution, phase.resolution, generator=rng(1), dtype=torch.float64)
    monkeypatch.setattr(gan1, "_draw", lambda n, rng: torch.ones(n, 8, dtype=torch.float64))
    weights = [gan1.networks["discriminator"].blocks["b8"].conv0.weight, gan1.networks["discriminator"].conv.weight]
    found = []
    monkeypatch.setattr(gan1.optimizers["discriminator"], "step", lambda: found.extend(w.grad.clone() for w in weights))
    gan1._discriminator_step(x, phase, rng())
    directions = [torch.randn(w.shape, generator=rng(i), dtype=torch.float64) for i, w in enumerate(weights)]

    def loss():
        statistics = gan1._discriminator_step(x, phase, rng())
        scores = gan1.networks["discriminator"](x, phase).detach()
        return (
            statistics["loss_discriminator"] + 10 * statistics["gradient_penalty"] + 0.001 * scores.square().mean()
        ).item()

    values, step = [], 1e-6
    for sign in (1, -1):
        with torch.no_grad():
            [w.add_(sign * step * d) for w, d in zip(weights, directions, strict=True)]
        values.append(loss())
        with torch.no_grad():
            [w.sub_(sign * step * d) for w, d in zip(weights, directions, strict=True)]
    expected = (values[0] - values[1]) / (2 * step)
    slope = sum((g * d).sum().item() for g, d in zip(found[:2], directions, strict=True))
    assert slope == pytest.approx(expected, rel=1e-5)
