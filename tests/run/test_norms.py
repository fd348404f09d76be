"""The norm with its activation: the plain form is torch's steps, with the right gradients; the kernels, run by Triton's
interpreter, are the plain form, in every precision and layout; networks on kernels are networks without."""

import pytest
import torch
from torch.autograd import grad, gradcheck
from torch.nn import functional as F

from understudy.generate import diffusion_networks
from understudy.run import norm_kernels, norms
from understudy.segment import build, instance_norm

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
LAYOUTS = [torch.contiguous_format, torch.channels_last]
# shape, groups; a pixel, groups of channels that are no power of two, several chunks of a map
MAPS = [((2, 6, 5, 7), 2), ((1, 3, 1, 1), 1), ((1, 2, 23, 17), 2)]
ACTS = [(1.0, True), (0.01, False), (0.2, True)]


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def on_kernels(monkeypatch):
    """Kernels take all but doubles, in small chunks."""
    monkeypatch.setattr(norm_kernels, "ENTRIES", 64)
    monkeypatch.setattr(norm_kernels, "TILES", 2)
    for module in (norms, diffusion_networks, instance_norm):
        monkeypatch.setattr(module, "fused", lambda x: x.dtype != torch.float64)


def results(dtype, shape, groups, slope, silu, layout=torch.contiguous_format, again=True):
    """y, and the gradients of x, factor, shift; y and x are used once more, if `again`. Inputs are those that the type
    can hold."""
    x = (numbers(*shape) * 2 + 5).to(torch.bfloat16)
    factor, shift = (numbers(*shape[:2], seed=s).to(torch.bfloat16) for s in (1, 2))
    x = x.to(dtype, memory_format=layout).requires_grad_()
    factor, shift = (t.to(dtype if dtype == torch.float64 else torch.float32).requires_grad_() for t in (factor, shift))
    y, twice, same = norms.normalized(x, factor, shift, groups, 1e-5, slope=slope, silu=silu)
    assert y.is_contiguous(memory_format=layout) and y.dtype == x.dtype
    g, h = (numbers(*shape, seed=s).to(torch.bfloat16).to(dtype) for s in (3, 4))
    outputs, gradients = [y], [g]
    if again:  # the last as part of more channels, as a concatenation gives it
        outputs, gradients = [y, same, twice], [g, h, torch.cat((h, 2 * h), 1)[:, shape[1] :]]
    return y.detach(), *grad(outputs, (x, factor, shift), gradients)


def steps(shape, groups, slope, silu, again):
    """The same by torch's own operations, in double precision."""
    x = (numbers(*shape) * 2 + 5).to(torch.bfloat16).double().requires_grad_()
    factor, shift = (numbers(*shape[:2], seed=s).to(torch.bfloat16).double().requires_grad_() for s in (1, 2))
    y = F.group_norm(F.leaky_relu(x, slope), groups, eps=1e-5)
    y = y * factor[:, :, None, None] + shift[:, :, None, None]
    y = F.silu(y) if silu else y
    g, h = (numbers(*shape, seed=s).to(torch.bfloat16).double() for s in (3, 4))
    return y.detach(), *grad((y * g).sum() + ((x * h).sum() + (y * 2 * h).sum() if again else 0), (x, factor, shift))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("slope", "silu"), ACTS)
def test_the_plain_form_is_torchs_steps(slope, silu, layout):
    for again in (False, True):
        ours = results(torch.float64, (2, 6, 5, 7), 2, slope, silu, layout, again)
        for own, other in zip(ours, steps((2, 6, 5, 7), 2, slope, silu, again), strict=True):
            torch.testing.assert_close(own, other, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("slope", "silu"), ACTS)
def test_the_plain_form_has_its_gradients(slope, silu):
    inputs = [t.requires_grad_() for t in (numbers(2, 4, 2, 3), numbers(2, 4, seed=1), numbers(2, 4, seed=2))]
    assert gradcheck(lambda *t: norms.normalized(*t, 2, 1e-3, slope=slope, silu=silu), inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("slope", "silu"), ACTS)
def test_the_kernels_are_the_plain_form(on_kernels, slope, silu, layout, dtype):
    for shape, groups in MAPS:
        exact = results(torch.float64, shape, groups, slope, silu, layout)
        for low, plain in zip(results(dtype, shape, groups, slope, silu, layout), exact, strict=True):
            off = (low.double() - plain).abs().max() / plain.abs().max().clamp(min=1)
            assert off < TOLERANCE[dtype], (shape, float(off))


def test_a_map_far_from_zero_keeps_its_deviation(on_kernels):
    """Squares of 1000 would leave nothing of a deviation of 0.1 in fp32."""
    x = (1000 + 0.1 * numbers(1, 2, 16, 16)).float()
    y, *_ = norms.normalized(x, torch.ones(1, 2), torch.zeros(1, 2), 2, 1e-8)
    exact = F.instance_norm(x.double(), eps=1e-8)
    assert (y - exact).abs().max() < 1e-2  # x is rounded to 6e-5


def test_a_residual_block_on_kernels_is_one_without(on_kernels):
    torch.manual_seed(0)
    block = diffusion_networks.ResidualBlock(32, 64, 8, 0.0)
    torch.nn.init.normal_(block.conv2.weight, std=0.1)
    found = []
    for dtype in (torch.float32, torch.float64):
        x = numbers(2, 32, 4, 6).float().to(dtype).requires_grad_()
        y = block.to(dtype)(x, numbers(2, 8, seed=1).float().to(dtype))
        found.append((y, *grad(y.pow(2).sum(), [x, *block.parameters()])))
    for low, exact in zip(*found, strict=True):
        assert (low.double() - exact).abs().max() < 1e-4 * exact.abs().max().clamp(min=1)


def test_a_unet_on_kernels_is_one_without(on_kernels):
    torch.manual_seed(0)
    network = build("unet", 1, 2, 16, base_filters=2, depth=3)
    found = []
    for dtype in (torch.float32, torch.float64):
        levels = network.to(dtype)(numbers(2, 1, 16, 16).float().to(dtype))
        found.append((*levels, *grad(sum(y.pow(2).sum() for y in levels), list(network.parameters()))))
    for low, exact in zip(*found, strict=True):
        assert (low.double() - exact).abs().max() < 1e-3 * exact.abs().max().clamp(min=1)


@pytest.mark.parametrize("name", ["denoiser", "unet"])
def test_networks_on_kernels_trace_without_a_graph_break(on_kernels, name):
    torch.manual_seed(0)
    if name == "unet":
        network, inputs = build("unet", 1, 2, 8, base_filters=2, depth=2), (torch.randn(1, 1, 8, 8),)
    else:
        network = diffusion_networks.Denoiser(1, 8, width=32, multipliers=[1], blocks=1, attention=())
        inputs = torch.randn(1, 1, 8, 8), torch.zeros(1)
    plain = network(*inputs)
    traced = torch.compile(network, fullgraph=True, backend="eager")(*inputs)
    torch.testing.assert_close(traced, plain)
    own, other = (
        grad(sum(y.square().sum() for y in out), list(network.parameters()), retain_graph=True)
        for out in (traced, plain)
    )
    torch.testing.assert_close(own, other)
