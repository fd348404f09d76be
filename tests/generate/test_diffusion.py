"""The diffusion model as a generator: exact steps, every option trains, samples by index, resume, compile."""

import copy
import re

import numpy as np
import pytest
import torch

from understudy.generate import diffusion
from understudy.generate import diffusion_process as dp
from understudy.generate.diffusion import Diffusion
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.weights import seeded_build
from understudy.run import distributed, seeds
from understudy.run.device_images import DeviceImages

SMALL = {
    **{"width": 32, "multipliers": [1, 1], "blocks": 1, "attention": [4], "steps": 40, "batch": 6, "kimg": 0.06},
    **{"evaluations": 5, "ema_decay": 0.5, "snapshot_samples": 0, "learning_rate": 0.01},
}
VARIANTS = [
    {},
    {"variance": "learned"},
    {"target": "v", "schedule": "cosine", "min_snr": 5.0},
    {"step_sampling": "second_moment"},
    {"dropout": 0.3, "mirror": True},
    {"microbatch": 4},
]


def tiny(size=8, **options):
    return seeded_build("diffusion", 3, size, 0, **(SMALL | options))


def real_NCHW(n=6, size=8):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1


def trained(generator, steps):
    for step in steps:
        rng = seeds.generator("cpu", "step", step)
        statistics = generator.step(real_NCHW(), 6 * step, rng)
    return statistics


def tensors(generator):
    return torch.cat([p.flatten() for p in generator.networks["denoiser"].parameters()])


@torch.no_grad()
def fixed_loss(generator):
    """Of the same images, steps and noise, whatever the training draws."""
    noise_NCHW = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    return float(generator.loss(real_NCHW(), torch.arange(3, 40, 6)[:6], noise_NCHW).mean())


@pytest.mark.parametrize("options", VARIANTS)
def test_steps_are_functions_of_their_arguments_and_learn(options):
    a, b = tiny(**options), tiny(**options)
    first, state = fixed_loss(a), torch.get_rng_state()
    statistics = trained(a, range(25))
    trained(b, range(25))
    assert torch.equal(tensors(a), tensors(b)) and torch.equal(torch.get_rng_state(), state)
    assert fixed_loss(a) < 0.9 * first
    assert statistics["nonfinite_gradients"] == 0 and statistics["loss"].ndim == 0


def test_the_untrained_loss_is_that_of_saying_zero():
    loss = trained(tiny(), range(1))["loss"]
    assert float(loss) == pytest.approx(1, abs=0.05), "the mean square of noise"


def test_microbatches_are_the_whole_batch():
    whole, parts = tiny().networks, tiny(microbatch=4)
    a = tiny()
    gradients = {}
    for generator, key in ((a, "whole"), (parts, "parts")):
        generator.networks["denoiser"].double()
        optimizer = generator.optimizers["denoiser"]
        kept = gradients.setdefault(key, [])
        optimizer.step = lambda o=optimizer, kept=kept: kept.extend(p.grad.clone() for p in o.param_groups[0]["params"])
        monkey = generator._outputs
        generator._outputs = lambda network, x, t, told_N6=None, outputs=monkey: outputs(network, x.double(), t)
        trained(generator, range(1))
    assert len(gradients["whole"]) == len(list(whole["denoiser"].parameters()))
    for one, other in zip(gradients["whole"], gradients["parts"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_processes_share_a_batch(monkeypatch):
    """The gradients of two processes add up to those of one."""
    sums = {}
    for key, world in (("one", 1), ("two", 2)):
        monkeypatch.setattr(distributed, "world_size", lambda world=world: world)
        for rank in range(world):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            monkeypatch.setattr(distributed, "all_reduce_sum", lambda x: x)
            generator = tiny()
            optimizer = generator.optimizers["denoiser"]

            def keep(key=key, optimizer=optimizer):
                flat = torch.cat([p.grad.flatten() for p in optimizer.param_groups[0]["params"]])
                sums[key] = sums.get(key, 0) + flat

            optimizer.step = keep
            trained(generator, range(1))
    torch.testing.assert_close(sums["one"], sums["two"], rtol=1e-3, atol=1e-5)


def test_dropout_is_that_of_the_step():
    assert not torch.equal(tensors_after(dropout=0.5), tensors_after(dropout=0.0))
    assert torch.equal(tensors_after(dropout=0.5), tensors_after(dropout=0.5))


def tensors_after(**options):
    generator = tiny(**options)
    trained(generator, range(3))
    return tensors(generator)


def test_the_variance_alone_learns_from_the_bound():
    """The bound's gradient reaches the last layer's second half and not its first (IDDPM, section 3.1)."""
    generator = tiny(variance="learned")
    network = generator.networks["denoiser"]
    torch.nn.init.normal_(network.last.weight, std=0.01, generator=torch.Generator().manual_seed(0))
    x, t_N = real_NCHW(), torch.arange(6) * 6
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    gradients = []
    for weight in (0.0, 1.0):
        object.__setattr__(generator.options, "bound_weight", weight)
        gradients.append(torch.autograd.grad(generator.loss(x, t_N, noise).mean(), network.last.weight)[0])
    without, with_bound = gradients
    torch.testing.assert_close(without[:3], with_bound[:3])
    assert without[3:].abs().max() == 0 and with_bound[3:].abs().max() > 1e-4


# ------------------------------------------------------------------------------------------------ sampling
SAMPLERS = [
    {"sampler": "dpm_solver"},
    {"sampler": "ddim"},
    {"sampler": "ddim", "ddim_eta": 1.0},
    {"sampler": "ancestral"},
    {"sampler": "ancestral", "variance": "learned"},
    {"sampler": "ancestral", "variance": "small", "evaluations": 40},
]


@pytest.mark.parametrize("options", SAMPLERS)
def test_an_image_is_a_function_of_seed_and_index(options):
    generator = tiny(**options)
    trained(generator, range(3))
    whole = generator.sample(20, seed=4)
    assert whole.shape == (20, 3, 8, 8) and whole.abs().max() <= 1 and whole.std() > 0.1
    assert torch.equal(generator.sample(3, seed=4, first=15), whole[15:18])
    assert not torch.equal(generator.sample(1, seed=5), whole[:1])
    assert len({x.sum().item() for x in whole}) == 20


def test_an_untrained_network_samples_what_its_zero_means():
    """Without noise predicted, an x at place t is the image x / signal, limited: saturated pixels."""
    x = tiny(sampler="ddim").sample(2, seed=0)
    assert set(x.sign().unique().tolist()) == {-1, 1}
    assert (x.abs() == 1).float().mean() > 0.9


def test_previews_do_not_depend_on_the_sampler():
    options = ({"sampler": "ancestral", "evaluations": 7}, {"sampler": "dpm_solver", "evaluations": 11})
    a, b = (tiny(**o) for o in options)
    assert torch.equal(a.preview(2, 1), b.preview(2, 1)) and not torch.equal(a.sample(2, 1), b.sample(2, 1))
    full = tiny(steps=60, evaluations=50)
    assert torch.equal(full.preview(2, 1), full.sample(2, 1)), "the default is the preview"


def test_a_perfect_network_gives_a_constant_image_back():
    generator = tiny(sampler="dpm_solver")

    class Knowing(torch.nn.Module):
        def forward(self, x_NCHW, t_N):
            signal, spread = (dp.per_image(generator.process, name, t_N, x_NCHW) for name in ("signal", "spread"))
            return (x_NCHW - signal * 0.25) / spread

    generator.networks["denoiser"] = Knowing()
    process = generator.process.respaced(5)
    image, _ = generator._predict(process)(torch.randn(2, 3, 8, 8), 3)
    torch.testing.assert_close(image, torch.full_like(image, 0.25), rtol=0, atol=1e-4)


# ------------------------------------------------------------------------------------------------ training
@pytest.mark.parametrize("options", [{}, {"step_sampling": "second_moment", "variance": "learned", "dropout": 0.2}])
def test_six_steps_are_three_and_a_reload_and_three(options):
    def trainee():
        images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), np.uint8)
        looks = {"snapshot_samples": 4, "snapshot_kimg": 0.012}
        return GeneratorTrainee(tiny(**options, **looks), DeviceImages(images, "cpu"), 0)

    straight, first, second = trainee(), trainee(), trainee()
    for step in range(6):
        straight.step(6 * step)
    for step in range(3):
        first.step(6 * step)
    second.load_state(copy.deepcopy(first.state()))
    for step in range(3, 6):
        second.step(6 * step)
    assert torch.equal(tensors(straight.generator), tensors(second.generator))
    for a, b in zip(straight.ema.parameters(), second.ema.parameters(), strict=True):
        assert torch.equal(a, b)
    assert straight.snapshots.history == second.snapshots.history and len(second.snapshots.history) == 3
    extra = straight.generator.state_extra()
    assert all(torch.equal(extra[key], tensor) for key, tensor in second.generator.state_extra().items())
    assert set(extra) == ({"losses", "counts"} if options else set())


def test_a_step_is_one_graph():
    """What torch.compile gets on a GPU has no breaks: the same graph, traced and run without code generation."""
    generator = tiny()
    plain = tiny()
    trained(plain, range(2))
    generator.networks["denoiser"].compile(backend="aot_eager", fullgraph=True, dynamic=False)
    trained(generator, range(2))
    torch.testing.assert_close(tensors(generator), tensors(plain), rtol=1e-4, atol=1e-4)
    assert set(generator.networks["denoiser"].state_dict()) == set(plain.networks["denoiser"].state_dict())
    assert copy.deepcopy(generator.networks["denoiser"])._compiled_call_impl is None, "the average stays eager"


def test_flops_are_three_forward_passes_and_those_of_the_sampler():
    with torch.device("meta"):
        generator = Diffusion(5, 256)
        flops = {key: one.flops for key, one in generator.work().items()}
    assert flops["training"] == pytest.approx(3 * 167.0e9, rel=0.01)
    assert flops["sampling"] == pytest.approx(50 * 167.0e9, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "euler"}, "diffusion: sampler: found 'euler'; allowed: 'dpm_solver', 'ddim', 'ancestral'"),
        ({"variance": "huge"}, "diffusion: variance: found 'huge'; allowed: 'large', 'small', 'learned'"),
        ({"evaluations": 41}, "diffusion: evaluations: found 41; allowed: at most steps, 40"),
        ({"steps": 20}, "diffusion: steps: found 20; allowed: at least 21"),
        ({"batch": 0}, "diffusion: batch: found 0; allowed: at least 1"),
        ({"microbatch": 0}, "diffusion: microbatch: found 0; allowed: at least 1"),
        ({"multipliers": [1] * 6}, "8 pixels cannot be halved that often"),
        ({"schedule": "sigmoid"}, "diffusion: schedule: found 'sigmoid'; allowed: 'linear', 'cosine'"),
        ({"annotation": "colour"}, "diffusion: annotation: found 'colour'; allowed: 'grey', 'channels'"),
        ({"memorization_action": "stop"}, "memorization_action: found stop; it needs memorization_limit"),
        ({"widht": 3}, "diffusion: found unknown key `widht` (did you mean `width`?)"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny(**options)


def test_more_processes_than_images_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 7)
    with pytest.raises(ValueError, match="diffusion: found 7 GPUs for a batch of 6"):
        tiny()


def test_the_defaults_are_the_studys():
    o = diffusion.Options()
    assert (o.width, o.blocks, o.attention, o.heads, o.steps) == (64, 3, [16, 8], 4, 4000)
    assert (o.schedule, o.target, o.variance, o.batch, o.kimg) == ("linear", "epsilon", "large", 12, 7800)
    assert (o.learning_rate, o.ema_decay, o.annotation, o.mirror) == (1e-4, 0.9999, "grey", False)
