"""StyleGAN 2: golden sizes, losses against hand-made networks, schedules, and what a step may depend on."""

import math

import pytest
import torch
from made import count, real_images, rng
from torch import nn

from understudy.generate import GENERATORS, build, gan, training_step
from understudy.generate.stylegan2 import path_lengths, r1_penalty
from understudy.run import distributed

TINY = {"channel_base": 256, "channel_max": 16, "latent_size": 16, "mapping_layers": 2, "batch": 8, "precision": "fp32"}


def tiny(size=16, channels=5, seed=0, **options):
    torch.manual_seed(seed)
    return build("stylegan2", channels, size, **(TINY | options))


def on_meta(channels, size=256, **options):
    with torch.device("meta"):
        return build("stylegan2", channels, size, **options).networks


# ---------------------------------------------------------------------------------------------- networks
def test_registry_names_without_importing():
    assert "stylegan2" in GENERATORS and "stylegan9" not in GENERATORS
    assert GENERATORS["stylegan2"].__name__ == "StyleGAN2"
    with pytest.raises(ValueError, match="unknown generator 'stylegan9'; known are .*stylegan2"):
        build("stylegan9", 5, 256)


@pytest.mark.parametrize(
    ("channels", "size", "options", "generator", "discriminator"),
    [
        (5, 256, {}, 30_040_240, 28_864_385),
        (3, 256, {}, 30_034_338, 28_864_129),
        (3, 1024, {}, 30_370_060, 29_012_513),
        (5, 256, {"channel_base": 16384}, 24_772_464, 24_001_217),
        (5, 256, {"channel_base": 16384, "mapping_layers": 2}, 23_196_528, 24_001_217),
    ],
)
def test_parameter_counts(channels, size, options, generator, discriminator):
    networks = on_meta(channels, size, **options)
    assert count(networks["generator"]) == generator
    assert count(networks["discriminator"]) == discriminator


def test_parameter_counts_per_layer():
    networks = on_meta(5)
    g, d = networks["generator"], networks["discriminator"]
    expected = {"b4": 2_895_878, "b128": 2_296_583, "b256": 705_927}
    expected |= dict.fromkeys(["b8", "b16", "b32", "b64"], 5_510_151)
    assert {name: count(block) for name, block in g.blocks.items()} == expected
    assert count(g.mapping) == 2_101_248
    expected = {"b256": 476_288 - 768, "b128": 1_901_312} | dict.fromkeys(["b64", "b32", "b16", "b8"], 4_981_760)
    assert {name: count(block) for name, block in d.blocks.items()} == expected
    assert count(d.from_image) == 768
    assert (count(d.conv), count(d.dense), count(d.out)) == (2_364_416, 4_194_816, 513)


@pytest.mark.parametrize("size", [4, 0, 48, 240])
def test_size_must_be_a_power_of_two(size):
    with pytest.raises(ValueError, match=f"size: found {size}; allowed: a power of two of at least 8"):
        build("stylegan2", 5, size, **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r1_gama": 1}, "found unknown key `r1_gama` .did you mean `r1_gamma`"),
        ({"precision": "fp8"}, "precision: found 'fp8'; allowed: 'fp32', 'tf32', 'bf16', 'fp16'"),
        ({"batch": 6}, "batch: found 6; allowed: a multiple of minibatch_std_group, 4"),
        ({"microbatch": 2}, "microbatch: found 2; allowed: a divisor of batch 8 and a multiple of 4"),
        ({"r1_interval": 0}, "r1_interval: found 0; allowed: at least 1"),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_halves_that_processes_cannot_share_are_refused(monkeypatch):
    """Half a batch of 6 on two GPUs: one would make a step more than the other, and wait for it."""
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ValueError, match="found 2 GPUs for path lengths of half a batch, 3 images"):
        tiny(batch=6, microbatch=3, minibatch_std_group=1)
    tiny(batch=6, minibatch_std_group=1, path_length_weight=0)


def test_layers_take_the_latents_of_the_paper():
    """At 16 x 16: b4 takes w 0, 1; b8 takes 1, 2, 3; b16 takes 3, 4, 5; an image's last layer is w 5."""
    generator = tiny().networks["generator"]
    assert generator.layers == 6
    taken = {}
    for name, module in generator.named_modules():
        if name.endswith("affine"):
            module.register_forward_hook(lambda m, inputs, out, name=name: taken.update({name: int(inputs[0][0, 0])}))
    w_NLK = torch.arange(6.0)[None, :, None].expand(1, 6, 16)
    generator.synthesis(w_NLK)
    assert [taken[f"blocks.b4.{layer}.affine"] for layer in ("conv1", "to_image")] == [0, 1]
    assert [taken[f"blocks.b8.{layer}.affine"] for layer in ("conv0", "conv1", "to_image")] == [1, 2, 3]
    assert [taken[f"blocks.b16.{layer}.affine"] for layer in ("conv0", "conv1", "to_image")] == [3, 4, 5]


def test_truncation_draws_the_first_layers_to_the_mean():
    generator = tiny().networks["generator"]
    generator.w_mean_K.fill_(2.0)
    w_NLK = generator.truncate(torch.zeros(1, 16), 0.75, 2)
    assert w_NLK[0, :, 0].tolist() == [0.5, 0.5, 0, 0, 0, 0]
    assert generator.truncate(torch.zeros(1, 16), 1.0, None).eq(0).all()


def test_reduced_precision_stays_near_full():
    full, reduced = tiny(size=32), tiny(size=32, precision="bf16")
    reduced.networks["generator"].load_state_dict(full.networks["generator"].state_dict())
    reduced.networks["discriminator"].load_state_dict(full.networks["discriminator"].state_dict())
    x, y = full.sample(8, seed=0), reduced.sample(8, seed=0)
    assert 0 < (x - y).abs().max() < 0.15
    full_N, reduced_N = (s.networks["discriminator"](x).detach() for s in (full, reduced))
    assert full_N.dtype == reduced_N.dtype == torch.float32
    torch.testing.assert_close(reduced_N, full_N, rtol=0.05, atol=0.05)
    statistics = reduced.step(real_images(size=32), 0, rng())
    assert all(value.isfinite() for value in statistics.values()) and statistics["nonfinite_gradients"] == 0


def test_noise_of_samples_is_the_same_in_all_or_of_their_own():
    """The option changes samples alone, not what the training looks at."""
    constant, own = tiny(truncation_psi=0.0), tiny(truncation_psi=0.0, noise="random")  # of one style: noise is left
    for gan2 in (constant, own):
        with torch.no_grad():
            for name, parameter in gan2.networks["generator"].named_parameters():
                if name.endswith("noise_strength"):
                    parameter.fill_(0.3)
    same, other = constant.sample(3, seed=0), own.sample(3, seed=0)
    torch.testing.assert_close(same[0], same[1], rtol=0, atol=1e-6)
    assert (other[0] - other[1]).abs().max() > 0.01
    assert torch.equal(own.sample(1, seed=0, first=2)[0], other[2])
    assert torch.equal(own.preview(3, seed=0), constant.preview(3, seed=0))


# ---------------------------------------------------------------------------------------------- losses
def test_r1_penalty_of_a_linear_network_is_the_norm_of_its_weights():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0))
    penalty_N = r1_penalty(network, torch.randn(4, 3, 2, 2))
    torch.testing.assert_close(penalty_N, network[1].weight.square().sum().expand(4))


def test_r1_penalty_matches_finite_differences():
    network = tiny().networks["discriminator"].double()
    x = real_images(n=4).double()
    penalty = r1_penalty(network, x).sum().item()
    step, direction = 1e-8, torch.randn(x.shape, generator=rng(1), dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf).sum(), leaf)
    difference = (network(x + step * direction).sum() - network(x - step * direction).sum()) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=1e-5)
    assert penalty == pytest.approx(gradient.square().sum().item(), rel=1e-9)


def test_gradient_of_r1_penalty_matches_finite_differences():
    network = tiny(channels=2).networks["discriminator"].double()
    x, weight, step = real_images(n=4, channels=2).double(), network.blocks["b8"].conv1.weight, 1e-8
    (gradient,) = torch.autograd.grad(r1_penalty(network, x).sum(), weight)
    direction = torch.randn(weight.shape, generator=rng(1), dtype=torch.float64)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * step * direction
        values.append(r1_penalty(network, x).sum().item())
        with torch.no_grad():
            weight -= sign * step * direction
    assert (gradient * direction).sum().item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_path_length_of_a_linear_generator_is_known():
    """Images A sum_l w_l: J^T y is A^T y in each of the layers."""
    matrix, w_NLK = torch.randn(12, 6, generator=rng()), torch.randn(4, 3, 6, generator=rng(1)).requires_grad_()
    y = torch.randn(4, 3, 2, 2, generator=rng(2))
    image = (w_NLK.sum(1) @ matrix.T).view(4, 3, 2, 2)
    expected = (y.flatten(1) / 2 @ matrix).norm(dim=1)
    torch.testing.assert_close(path_lengths(image, w_NLK, y), expected)


def test_path_length_matches_finite_differences():
    generator = tiny().networks["generator"].double()
    w_NLK = torch.randn(1, 6, 16, generator=rng(), dtype=torch.float64)
    y, step = torch.randn(1, 5, 16, 16, generator=rng(1), dtype=torch.float64), 1e-6

    def projected(w):
        return ((generator.synthesis(w) * y).sum() / 16).item()

    with torch.no_grad():
        units = torch.eye(96, dtype=torch.float64).view(96, 1, 6, 16)
        gradient = torch.tensor([(projected(w_NLK + step * e) - projected(w_NLK - step * e)) / 2 / step for e in units])
    expected = math.sqrt(gradient.square().sum() / 6)
    leaf = w_NLK.clone().requires_grad_()
    assert path_lengths(generator.synthesis(leaf), leaf, y).item() == pytest.approx(expected, rel=1e-5)


def test_path_length_has_gradients_in_every_layer_but_the_image_biases():
    generator = tiny().networks["generator"]
    w_NLK = torch.randn(2, 6, 16).requires_grad_()
    length = path_lengths(generator.synthesis(w_NLK), w_NLK, torch.randn(2, 5, 16, 16)).sum()
    parameters = dict(generator.blocks.named_parameters())
    gradients = torch.autograd.grad(length, list(parameters.values()), allow_unused=True)
    missing = [name for name, g in zip(parameters, gradients, strict=True) if g is None]
    assert missing == [f"b{r}.to_image.bias" for r in (4, 8, 16)]


# ---------------------------------------------------------------------------------------------- schedules
def test_lazy_regularisation_corrects_adam():
    optimizers = tiny().optimizers
    g, d = (optimizers[name].param_groups[0] for name in ("generator", "discriminator"))
    assert g["lr"] == pytest.approx(0.0016)
    assert d["lr"] == pytest.approx(0.00188235, rel=1e-5)
    assert g["betas"] == pytest.approx((0, 0.991992), abs=1e-6)
    assert d["betas"] == pytest.approx((0, 0.990585), abs=1e-6)
    assert g["eps"] == d["eps"] == 1e-8
    plain = tiny(path_length_weight=0, r1_gamma=0).optimizers["generator"].param_groups[0]
    assert (plain["lr"], plain["betas"]) == (0.002, (0, 0.99))


def test_ema_decay():
    gan2 = tiny(batch=32)
    assert gan2.ema_decay(0) == 0
    assert gan2.ema_decay(200_000) == gan2.ema_decay(25_000_000) == pytest.approx(0.99778439, abs=1e-8)
    assert gan2.ema_decay(100_000) == pytest.approx(0.5 ** (32 / 5000))
    assert tiny(batch=32, ema_rampup=None).ema_decay(0) == pytest.approx(0.99778439, abs=1e-8)
    assert tiny(batch=8).ema_decay(10**9) == pytest.approx(0.5 ** (8 / 2500))


def test_regularisers_run_when_due():
    gan2 = tiny()
    due = {}
    for iteration in range(17):
        due[iteration] = gan2.step(real_images(), iteration * 8, rng(iteration)).keys()
    assert [i for i, names in due.items() if "path_length" in names] == [0, 4, 8, 12, 16]
    assert [i for i, names in due.items() if "r1_penalty" in names] == [0, 16]
    assert due[1] == {
        *("loss_generator", "loss_discriminator", "score_fake", "score_real", "sign_real", "nonfinite_gradients")
    }


def test_mean_w_follows_the_mapping():
    gan2 = tiny(mapping_ema=0.9)
    network = gan2.networks["generator"]
    before = network.mapping(gan2._draw(8, rng()).z).mean(0)
    gan2._discriminator_step(real_images(), rng())
    torch.testing.assert_close(network.w_mean_K, 0.1 * before)


def test_style_mixing_is_one_crossover_a_batch():
    gan2 = tiny(style_mixing=1.0)
    cutoffs = {int(gan2._draw(8, rng(seed)).cutoff) for seed in range(200)}
    assert cutoffs == set(range(1, 6))
    assert {int(tiny(style_mixing=0.0)._draw(8, rng(s)).cutoff) for s in range(20)} == {6}
    draw = gan2._draw(8, rng(3))
    _, w_NLK = gan2._fake(draw, torch.arange(8))
    first, second = (gan2.networks["generator"].mapping(z) for z in (draw.z, draw.z_mix))
    for layer in range(6):
        torch.testing.assert_close(w_NLK[:, layer], first if layer < draw.cutoff else second)


def test_nonfinite_gradients_are_counted_and_made_finite():
    weight = torch.ones(4, requires_grad=True)
    optimizer = gan.adam([weight], 0.1, (0.0, 0.99), 1e-8, None)
    factor = torch.tensor([1.0, math.nan, math.inf, -math.inf])
    assert training_step.descend(optimizer, [(weight * factor).sum()]) == 3
    torch.testing.assert_close(weight.detach(), torch.tensor([0.9, 1.0, 0.9, 1.1]))


def test_path_length_mean_is_followed_and_kept():
    gan2 = tiny(path_length_decay=0.5)
    statistics = gan2._path_length_step(rng())
    torch.testing.assert_close(gan2.state_extra()["path_length_mean"], statistics["path_length"] / 2)


def test_mirror_flips_whole_images():
    x, seen = real_images(), []
    gan2 = tiny(mirror=True, r1_gamma=0, path_length_weight=0)
    gan2.networks["discriminator"].register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].detach()))
    gan2.step(x, 0, rng())
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(seen[-1], x, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(seen[-1], x, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True)) and any(flipped) and any(same)


# ---------------------------------------------------------------------------------------------- steps and samples
def stepped(images_seen=(0, 8, 16), **options):
    gan2 = tiny(**options)
    for seen in images_seen:
        gan2.step(real_images(), seen, rng(seen))
    return gan2


def test_steps_are_deterministic():
    a, b = stepped(), stepped()
    for name, network in a.networks.items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, b.networks[name].state_dict()[key]), key


def test_steps_leave_the_global_random_state_alone():
    gan2 = tiny()
    before = torch.get_rng_state()
    gan2.step(real_images(), 0, rng())
    gan2.sample(3, seed=1)
    assert torch.equal(before, torch.get_rng_state())


PHASES = ["_generator_step", "_discriminator_step", "_r1_step", "_path_length_step"]


def gradient_of(phase, monkeypatch, **options):
    """(what plain gradient descent in place of Adam would step by, statistics), in double precision."""
    gradients, gan2 = [], tiny(**options)
    gan2.networks["generator"].double(), gan2.networks["discriminator"].double()
    gan2.path_length_mean = torch.tensor(0.4, dtype=torch.float64)
    draw = gan2._draw

    def in_double(n, rng):
        d = draw(n, rng)
        return d._replace(z=d.z.double(), z_mix=d.z_mix.double(), noises=[noise.double() for noise in d.noises])

    monkeypatch.setattr(gan2, "_draw", in_double)
    for optimizer in gan2.optimizers.values():
        monkeypatch.setattr(optimizer, "step", lambda o=optimizer: gradients.append(kept(o)))
    arguments = [real_images().double()] if phase in ("_discriminator_step", "_r1_step") else []
    statistics = getattr(gan2, phase)(*arguments, rng())
    return gradients[0], statistics


@pytest.mark.parametrize("phase", PHASES)
def test_microbatches_give_the_gradient_of_the_whole_batch(phase, monkeypatch):
    """Latents, noise, crossover, groups of the minibatch deviation and the mean path length are those of the whole
    batch, so all phases agree up to rounding."""
    whole, _ = gradient_of(phase, monkeypatch)
    parts, _ = gradient_of(phase, monkeypatch, microbatch=4)
    assert (parts - whole).norm() / whole.norm() < 1e-5


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("microbatch", [None, 2])
def test_processes_share_the_gradient_of_the_whole_batch_in_groups_of_one(phase, microbatch, monkeypatch):
    whole, statistics = gradient_of(phase, monkeypatch, minibatch_std_group=1)
    means, parts = [], []
    for rank in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr(distributed, "share", lambda x, rank=rank: x[rank::2])
            patch.setattr(distributed, "mean", lambda x: means.append(x) or statistics["path_length"])
            parts.append(gradient_of(phase, patch, minibatch_std_group=1, microbatch=microbatch)[0])
    assert (sum(parts) - whole).norm() / whole.norm() < 1e-5
    assert len(means) == 2 * (phase == "_path_length_step")  # a collective of each process, whatever its micro-batches


def kept(optimizer):
    return torch.cat([p.grad.flatten().clone() for p in optimizer.param_groups[0]["params"] if p.grad is not None])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_image_is_a_function_of_seed_and_index(precision):
    gan2 = stepped(precision=precision)
    x = gan2.sample(20, seed=3)
    assert x.dtype == torch.float32 and x.shape == (20, 5, 16, 16) and x.abs().max() <= 1
    assert torch.equal(gan2.sample(3, seed=3), x[:3])
    assert torch.equal(gan2.sample(12, seed=3, first=5), x[5:17])
    assert torch.equal(gan2.sample(1, seed=3, first=19), x[19:])
    assert gan2.sample(0, seed=3).shape == (0, 5, 16, 16)
    assert not torch.equal(gan2.sample(3, seed=4), x[:3])
