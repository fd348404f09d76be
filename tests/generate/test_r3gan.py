"""R3GAN: golden sizes, the pairing loss and both penalties against known answers, schedules, convolution in groups."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from made import count, real_images, rng
from torch import nn

from understudy.generate import build, r3gan, r3gan_networks
from understudy.generate.convolution import grouped_conv
from understudy.generate.generator_flops import demand
from understudy.generate.r3gan import annealed, pairing_loss
from understudy.run import distributed

TINY = {"channel_base": 64, "channel_max": 8, "group_size": 4, "latent_size": 8, "batch": 8, "precision": "fp32"}


def tiny(size=16, channels=5, seed=0, **options):
    torch.manual_seed(seed)
    return build("r3gan", channels, size, **(TINY | options))


# ---------------------------------------------------------------------------------------------- networks
@pytest.mark.parametrize(
    ("channels", "options", "generator", "discriminator"),
    [
        (3, {}, 23_057_952, 23_009_568),
        (5, {}, 23_058_144, 23_009_760),
        (5, {"width": 0.5}, 6_326_640, 6_302_448),
    ],
)
def test_parameter_counts(channels, options, generator, discriminator):
    with torch.device("meta"):
        networks = build("r3gan", channels, 256, **options).networks
    assert count(networks["generator"]) == generator
    assert count(networks["discriminator"]) == discriminator


def test_parameter_counts_per_layer():
    with torch.device("meta"):
        networks = build("r3gan", 5, 256).networks
    g, d = networks["generator"], networks["discriminator"]
    blocks = {"b256": 129_792, "b128": 407_040, "b64": 1_403_904} | dict.fromkeys(["b4", "b8", "b16", "b32"], 5_167_104)
    transitions = {"b64": 768 * 384, "b128": 384 * 192, "b256": 192 * 96, "b8": 0, "b16": 0, "b32": 0}
    for network in (g, d):
        assert {name: count(stage) for name, stage in network.blocks.items()} == blocks
        assert {name: count(resize) for name, resize in network.resize.items()} == transitions
    assert (g.basis_CHW.shape, g.from_latent.shape, count(g.to_image)) == ((768, 4, 4), (768, 64), 96 * 5)
    assert (d.depthwise_CHW.shape, d.to_score.shape, count(d.from_image)) == ((768, 4, 4), (768,), 5 * 96)
    assert g.blocks["b32"][0].conv2.weight.shape == (1536, 16, 3, 3)


def test_operations_at_full_size():
    """FLOPs of an image and bytes moved for it; what lazy penalties and half the width save."""
    full = demand("r3gan", 5, 256, {})
    assert full.inference_flops == pytest.approx(57.6e9, rel=0.01)
    assert full.training_flops == pytest.approx(1.09e12, rel=0.01)
    assert full.training_moved == pytest.approx(18.0e9, rel=0.01)
    lazy, half = (demand("r3gan", 5, 256, o) for o in ({"penalty_interval": 8}, {"width": 0.5}))
    assert lazy.training_flops / full.training_flops == pytest.approx(0.72, abs=0.01)
    assert half.training_flops / full.training_flops == pytest.approx(0.31, abs=0.01)
    assert lazy.training_moved == pytest.approx(13.2e9, rel=0.01)
    assert half.training_moved == pytest.approx(9.2e9, rel=0.01)


def test_a_block_begins_as_the_identity_and_fixup_scales_the_rest():
    network = tiny(size=16, channel_base=4096, channel_max=64, blocks=3, group_size=16).networks["generator"]
    x_NCHW = torch.randn(2, 64, 4, 4)
    for block in network.blocks["b4"]:
        assert torch.equal(block(x_NCHW), x_NCHW)
        deviation = math.sqrt(2 / 1.04) * 9**-0.25  # nine blocks in three resolutions
        assert block.conv1.weight.std().item() * 8 == pytest.approx(deviation, rel=0.03)
        assert block.conv2.weight.std().item() * 12 == pytest.approx(deviation, rel=0.03)
        assert not block.conv3.weight.any() and not block.bias1.any() and not block.bias2.any()


def test_the_latent_scales_the_maps_of_the_basis():
    network = tiny().networks["generator"]
    z_NK = torch.randn(3, 8)
    seen = []
    network.blocks["b4"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(z_NK)
    expected = torch.einsum("nk,ck,chw->nchw", z_NK, network.from_latent, network.basis_CHW)
    torch.testing.assert_close(seen[0], expected)


def test_untrained_networks_keep_the_scale_of_what_they_are_given():
    """Nothing normalises: the first image and the first score are of the size that training starts well from."""
    gan3 = tiny(size=32, channel_base=1024, channel_max=64, group_size=16)
    x_NCHW = gan3.networks["generator"](torch.randn(64, 8))
    assert 0.2 < x_NCHW.std() < 2
    smooth_NCHW = F.interpolate(torch.randn(64, 5, 4, 4), scale_factor=8)
    assert 0.1 < gan3.networks["discriminator"](smooth_NCHW).std() < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gama": [1, 1]}, "found unknown key `gama` .did you mean `gamma`"),
        ({"gamma": 10}, "gamma: found 10 .int.; allowed: a list"),
        ({"learning_rate": [0.001, 0]}, "learning_rate.*: found 0; allowed: more than 0"),
        ({"augmentation_probability": [0, 2]}, "augmentation_probability.*: found 2; allowed: at most 1"),
        ({"adam_beta2": [0.9, 1]}, "adam_beta2.*: found 1; allowed: less than 1"),
        ({"penalty_interval": 0}, "penalty_interval: found 0; allowed: at least 1"),
        ({"width": 2}, "width: found 2; allowed: at most 1"),
        ({"group_size": 5}, "group_size: found 5; allowed: a divisor of the maps inside blocks, 16"),
        ({"channel_base": 8}, "group_size: found 4; allowed: a divisor of the maps inside blocks, 2"),
        ({"channel_base": 8, "width": 0.1}, "group_size: found 4; allowed: a divisor"),
        ({"precision": "fp8"}, "precision: found 'fp8'; allowed: 'fp32', 'tf32', 'bf16', 'fp16'"),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message) as error:
        tiny(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [4, 48])
def test_size_must_be_a_power_of_two(size):
    with pytest.raises(ValueError, match=f"size: found {size}; allowed: a power of two of at least 8"):
        tiny(size=size)


def test_more_processes_than_images_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 9)
    with pytest.raises(ValueError, match="r3gan: found 9 GPUs for a batch of 8, expected at most so many"):
        tiny()


def test_reduced_precision_stays_near_full():
    full, reduced = tiny(size=32), tiny(size=32, precision="bf16")
    for gan3 in (full, reduced):
        for parameter in gan3.networks["generator"].parameters():
            parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=rng(1)))
    x, y = full.sample(8, seed=0), reduced.sample(8, seed=0)
    assert 0 < (x - y).abs().max() < 0.15
    full_N, reduced_N = (s.networks["discriminator"](x).detach() for s in (full, reduced))
    assert full_N.dtype == reduced_N.dtype == torch.float32
    torch.testing.assert_close(reduced_N, full_N, rtol=0.05, atol=0.05)
    statistics = reduced.step(real_images(size=32), 0, rng())
    assert all(value.isfinite() for value in statistics.values()) and statistics["nonfinite_gradients"] == 0


# ---------------------------------------------------------------------------------------------- convolution
@pytest.mark.parametrize(("kernel", "groups"), [(1, 1), (3, 1), (3, 2), (3, 4)])
def test_gradients_of_every_order_are_those_of_pytorch(kernel, groups):
    at = {"generator": rng(), "dtype": torch.float64}
    x, w = torch.randn(2, 8, 5, 5, **at), torch.randn(4, 8 // groups, kernel, kernel, **at)
    h, v = torch.randn(2, 8, 5, 5, **at), torch.randn(w.shape, **at)

    def orders(conv):
        leaves = x.clone().requires_grad_(), w.clone().requires_grad_()
        y = conv(*leaves)
        first = torch.autograd.grad(y.pow(3).sum(), leaves, create_graph=True)
        mixed = (first[0] * h).sum() + (first[1].square() * v).sum()
        second = torch.autograd.grad(mixed, leaves, create_graph=True)
        return [y, *first, *second, *torch.autograd.grad(second[0].square().sum() + second[1].sum(), leaves)]

    ours = orders(lambda x, w: grouped_conv(x, w, groups))
    theirs = orders(lambda x, w: F.conv2d(x, w, padding=kernel // 2, groups=groups))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_frozen_weights_ask_for_no_gradient():
    x, w = torch.randn(1, 4, 3, 3).requires_grad_(), torch.randn(4, 2, 3, 3)
    (gradient,) = torch.autograd.grad(grouped_conv(x, w, 2).sum(), x)
    torch.testing.assert_close(gradient, torch.autograd.grad(F.conv2d(x, w, padding=1, groups=2).sum(), x)[0])


# ---------------------------------------------------------------------------------------------- losses
def test_pairing_loss_of_known_margins():
    """log(1 + exp(-(better - worse))): log 2 at a tie, t beyond it where the worse one is t ahead."""
    better, worse = torch.tensor([[1.0, 2.0, 0.0], [1.0, -1.0, 50.0]], dtype=torch.float64)
    expected = torch.tensor([math.log(2), math.log1p(math.exp(-3)), 50 + math.log1p(math.exp(-50))]).double()
    torch.testing.assert_close(pairing_loss(better, worse), expected)


class Known(nn.Module):
    """A generator of constant images, a discriminator w.x + (x.x) / 2 whose gradient is w + x."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value, dtype=torch.float64))


class KnownGenerator(Known):
    def forward(self, z_NK):
        return self.value * torch.ones(len(z_NK), 1, 8, 8, dtype=torch.float64)


class KnownDiscriminator(Known):
    def forward(self, x_NCHW):
        return (self.value * x_NCHW + x_NCHW.square() / 2).sum((1, 2, 3))


def known(monkeypatch, gamma=0.0, **options):
    """Statistics and gradients of both steps: real images are 0.25, fake ones 0.5, w is 0.01, 64 pixels."""
    gan3 = tiny(size=8, channels=1, batch=2, augmentation_probability=[0, 0], **options)
    gan3.networks = {"generator": KnownGenerator(0.5), "discriminator": KnownDiscriminator(0.01)}
    gradients = {}
    for name, network in gan3.networks.items():
        gan3.optimizers[name] = torch.optim.SGD(network.parameters(), 0.0)
        keep = partial(lambda name, value: gradients.update({name: value.grad.item()}), name, network.value)
        monkeypatch.setattr(gan3.optimizers[name], "step", keep)
    real = torch.full((2, 1, 8, 8), 0.25, dtype=torch.float64)
    found = gan3._discriminator_step(real, gamma, 0.0, rng()) | gan3._generator_step(real, 0.0, rng())
    return {key: value.item() for key, value in found.items()}, gradients


REAL, FAKE = 64 * (0.01 * 0.25 + 0.25**2 / 2), 64 * (0.01 * 0.5 + 0.5**2 / 2)
SIGMOID = 1 / (1 + math.exp(REAL - FAKE))  # the slope of softplus at fake - real


def test_both_losses_and_their_gradients_of_a_known_pair(monkeypatch):
    found, gradients = known(monkeypatch)
    assert found["margin"] == pytest.approx(REAL - FAKE)
    assert found["loss_discriminator"] == pytest.approx(math.log1p(math.exp(FAKE - REAL)))
    assert found["loss_generator"] == pytest.approx(math.log1p(math.exp(REAL - FAKE)))
    assert "r1_penalty" not in found
    assert gradients["discriminator"] == pytest.approx(SIGMOID * 64 * (0.5 - 0.25))
    assert gradients["generator"] == pytest.approx(-(1 - SIGMOID) * 64 * (0.01 + 0.5))


@pytest.mark.parametrize("interval", [1, 8])
def test_both_penalties_and_their_gradient_of_a_known_discriminator(monkeypatch, interval):
    """R1 = 64 (w + 0.25)^2 and R2 = 64 (w + 0.5)^2, gamma / 2 times both; a lazy penalty weighs interval times more."""
    plain = known(monkeypatch)[1]["discriminator"]
    found, gradients = known(monkeypatch, gamma=3.0, penalty_interval=interval)
    assert found["r1_penalty"] == pytest.approx(64 * 0.26**2)
    assert found["r2_penalty"] == pytest.approx(64 * 0.51**2)
    assert gradients["discriminator"] - plain == pytest.approx(interval * 3 / 2 * 64 * 2 * (0.26 + 0.51))


def test_penalties_reach_every_weight():
    network = tiny(blocks=1).networks["discriminator"]
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=rng(1)))
    x = real_images().requires_grad_()
    penalty = r3gan.gan.squared_gradients(network(x), x).sum()
    gradients = torch.autograd.grad(penalty, list(network.parameters()), allow_unused=True)
    found = zip(dict(network.named_parameters()), gradients, strict=True)
    assert all(g is not None and g.abs().max() > 0 for name, g in found if "bias" not in name)


def test_gradient_of_a_penalty_matches_finite_differences():
    network = tiny(channels=2, blocks=1).networks["discriminator"].double()
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=rng(1)))
    x, weight, step = real_images(n=2, channels=2).double().requires_grad_(), network.blocks["b8"][0].conv2.weight, 1e-7

    def penalty():
        return r3gan.gan.squared_gradients(network(x), x).sum()

    (gradient,) = torch.autograd.grad(penalty(), weight)
    direction, values = torch.randn(weight.shape, generator=rng(2), dtype=torch.float64), []
    for sign in (1, -2):
        weight.data.add_(sign * step * direction)
        values.append(penalty().item())
    assert (gradient * direction).sum().item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_penalties_run_when_due():
    gan3, due = tiny(penalty_interval=3, blocks=1), []
    for iteration in range(7):
        statistics = gan3.step(real_images(), iteration * 8, rng(iteration))
        if "r1_penalty" in statistics:
            assert statistics["r2_penalty"] > 0
            due.append(iteration)
    assert due == [0, 3, 6]


# ---------------------------------------------------------------------------------------------- schedules
def test_annealed_is_a_cosine_that_ends():
    pair = (150, 15)
    assert [annealed(pair, share) for share in (0, 0.5, 1, 2)] == pytest.approx([150, 82.5, 15, 15])
    assert annealed(pair, 1 / 3) == pytest.approx(15 + 135 * 0.75)


def test_published_schedules():
    with torch.device("meta"):
        gan3 = build("r3gan", 5, 256)
    assert gan3.ema_decay(0) == 0 and gan3.ema_decay(20_000_000) == pytest.approx(0.5 ** (256 / 500_000))
    assert gan3.ema_decay(10_000_000) == pytest.approx(0.5 ** (256 / 250_000))
    halfway = {
        key: gan3._annealed(key, 10_000_000)
        for key in ("gamma", "learning_rate", "adam_beta2", "augmentation_probability")
    }
    expected = {"gamma": 82.5, "learning_rate": 0.000125, "adam_beta2": 0.945, "augmentation_probability": 0.15}
    assert halfway == pytest.approx(expected)


def test_a_step_takes_rates_gamma_and_augmentation_from_the_schedules(monkeypatch):
    gan3, drawn = tiny(blocks=1, burn_in_kimg=0.08, gamma=[4, 2], learning_rate=[0.01, 0.001]), []
    maps = r3gan.random_maps
    monkeypatch.setattr(r3gan, "random_maps", lambda n, p, rng: drawn.append(p.item()) or maps(n, p, rng))
    gammas, step = [], gan3._discriminator_step
    monkeypatch.setattr(gan3, "_discriminator_step", lambda x, gamma, *a: gammas.append(gamma) or step(x, gamma, *a))
    for seen in (0, 40, 80):
        gan3.step(real_images(), seen, rng(seen))
        groups = [optimizer.param_groups[0] for optimizer in gan3.optimizers.values()]
        share = (1 + math.cos(math.pi * seen / 80)) / 2
        assert [g["lr"] for g in groups] == pytest.approx([0.001 + 0.009 * share] * 2)
        assert [g["betas"] for g in groups] == [(0.0, pytest.approx(0.99 - 0.09 * share))] * 2
    assert gammas == pytest.approx([4, 3, 2])
    assert drawn == pytest.approx([0] * 4 + [0.15] * 4 + [0.3] * 4)  # real and fake of both steps


def test_without_augmentation_images_are_seen_as_they_are():
    gan3, seen = tiny(augmentation_probability=[0, 0]), []
    gan3.networks["discriminator"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    gan3.step(real_images(), 0, rng())
    assert torch.equal(seen[0][:8], real_images()) and torch.equal(seen[1], real_images())


# ---------------------------------------------------------------------------------------------- parts of a batch
def gradients_of(monkeypatch, **options):
    """What both optimizers would step by, in double precision."""
    gan3, gradients = tiny(blocks=1, **options), []
    for network in gan3.networks.values():
        network.double()
        for parameter in network.parameters():
            parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=rng(1)))
    latents, maps = gan3._latents, gan3._maps
    monkeypatch.setattr(gan3, "_latents", lambda rng: latents(rng).double())
    monkeypatch.setattr(gan3, "_maps", lambda p, rng: maps(p, rng).double())
    for optimizer in gan3.optimizers.values():
        parameters = optimizer.param_groups[0]["params"]
        monkeypatch.setattr(
            optimizer, "step", lambda ps=parameters: gradients.append(torch.cat([p.grad.flatten() for p in ps]))
        )
    real = real_images().double()
    gan3._discriminator_step(real, 2.0, 0.5, rng())
    gan3._generator_step(real, 0.5, rng(1))
    return gradients


def test_microbatches_give_the_gradient_of_the_whole_batch(monkeypatch):
    whole = gradients_of(monkeypatch)
    for a, b in zip(gradients_of(monkeypatch, microbatch=3), whole, strict=True):
        assert (a - b).norm() / b.norm() < 1e-6


def test_processes_share_the_gradient_of_the_whole_batch(monkeypatch):
    whole, parts = gradients_of(monkeypatch), []
    for rank in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr(distributed, "share", lambda x, rank=rank: x[rank::2])
            parts.append(gradients_of(patch, microbatch=2))
    for a, b, both in zip(*parts, whole, strict=True):
        assert (a + b - both).norm() / both.norm() < 1e-6


def test_it_learns_two_images():
    """Of a set of two, in iterations of a few seconds: every sample is near to one of them, and both are made."""
    torch.set_num_threads(1)
    gan3 = tiny(size=8, channels=1, blocks=1, batch=16, learning_rate=[0.01, 0.002], burn_in_kimg=5, gamma=[1, 0.1],
                augmentation_probability=[0, 0])  # fmt: skip
    two = torch.stack([torch.full((1, 8, 8), 0.6), -torch.full((1, 8, 8), 0.6)])
    for iteration in range(300):
        gan3.step(two.repeat(8, 1, 1, 1), 16 * iteration, rng(iteration))
    made = gan3.sample(64, seed=1)
    nearest = (made[:, None] - two).square().mean((2, 3, 4)).min(1)
    assert nearest.values.median() < 0.05
    assert 0.1 < nearest.indices.float().mean() < 0.9


def test_networks_have_no_normalisation_and_no_minibatch_deviation():
    """A score is a function of its own image alone."""
    network = tiny().networks["discriminator"]
    x = real_images()
    torch.testing.assert_close(network(x)[:3], network(x[:3]))
    assert not any("Norm" in type(module).__name__ for module in network.modules())
    assert r3gan_networks.Conv(4, 4).weight.shape == (4, 4, 1, 1)
