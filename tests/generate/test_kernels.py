"""The kernels of a GPU, run by Triton's interpreter, against the plain forms in double precision: values, gradients,
and gradients of these. And the plain forms against finite differences."""

import pytest
import torch
from made import real_images, rng
from torch.autograd import grad, gradcheck, gradgradcheck

from understudy.generate import (
    activation,
    adain,
    build,
    kernels,
    layers,
    minibatch_deviation,
    pixel_norm,
    prepared,
    training_step,
    triton_kernels,
)
from understudy.generate.first_gradient import first_gradient, of_parameters
from understudy.generate.minibatch_deviation import append_minibatch_stddev
from understudy.generate.modulation import scaled_1x1, scaled_conv

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 6e-3}
SHAPES = [(2, 3, 5, 7), (1, 2, 1, 1), (3, 5, 40, 33)]


@pytest.fixture
def on_kernels(monkeypatch):
    """Says whether the fused path is taken; doubles are never fused."""
    monkeypatch.setattr(kernels, "fused", lambda x: x.dtype != torch.float64)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def first_and_second(function, inputs, dtype, layout=torch.contiguous_format):
    """The value, its gradients along the first pass alone, and, with a graph, those again and their gradients. Maps
    have the layout, and what comes out of fused ones as well."""
    leaves = [None if t is None else laid(t.to(dtype), layout).requires_grad_() for t in inputs]
    wanted = [t for t in leaves if t is not None]
    y = function(*leaves)
    g = laid(numbers(*y.shape, seed=9).to(dtype), layout).requires_grad_()
    plain = grad(y, wanted, g, retain_graph=True)
    graphed = grad(y, wanted, g, create_graph=True)
    if dtype != torch.float64:
        maps = [t for t in (y, *plain) if t.ndim == 4 and 3 not in t.shape[2:]]  # of weights, 3 x 3 taps
        assert all(t.is_contiguous(memory_format=layout) for t in maps)
    along = sum((t.double() * numbers(*t.shape, seed=5)).sum() for t in graphed)
    return [y, *plain, *graphed, *grad(along, [g, *wanted], allow_unused=True, materialize_grads=True)]


def laid(t, layout):
    return t.contiguous(memory_format=layout) if t.ndim == 4 else t


def agree(function, inputs, dtype, layouts=(torch.contiguous_format, torch.channels_last)):
    """In all layouts in fp32, in the last one in reduced precision. Up to rounding; what rounds to a kink in reduced
    precision, few entries, may be on its other side, so that a mean counts there, and of sums over many the median."""
    rounded = [None if t is None else t.to(dtype).double() for t in inputs]
    expected = first_and_second(function, rounded, torch.float64)
    for layout in layouts if dtype == torch.float32 else layouts[-1:]:
        for low, exact in zip(first_and_second(function, inputs, dtype, layout), expected, strict=True):
            size = exact.abs().max().clamp(min=1)
            off = ((low.double() - exact) / size).abs()
            reduced = off.mean() if off.numel() > 16 else off.median()
            assert (off.max() if dtype == torch.float32 else reduced) < TOLERANCE[dtype]


# ------------------------------------------------------------------------------------------------ activation
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [*SHAPES, (6, 20)])
@pytest.mark.parametrize("limit", [None, 0.9])
def test_fused_activation_is_the_plain_one(on_kernels, shape, dtype, limit):
    def function(x, bias):
        return activation.activate(x, bias, 1.3, limit, x_gain=0.7)

    agree(function, [numbers(*shape), numbers(shape[1], seed=1)], dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("by_channel", "constant"), [(False, True), (True, False)])
@pytest.mark.parametrize("scaled", [False, True])
def test_fused_activation_with_scale_and_noise(on_kernels, shape, by_channel, constant, scaled):
    N, C, H, W = shape
    noise = numbers(H, W, seed=4) if constant else numbers(N, 1, H, W, seed=4)

    def function(x, bias, strength, scale):
        at = {"scale_NC": scale, "noise_N1HW": noise.to(x.dtype), "strength": strength}
        return activation.activate(x, bias, limit=2.0, **at)

    strength = numbers(C, seed=2) if by_channel else numbers(1, seed=2)[0]
    scale = numbers(N, C, seed=3) if scaled else None
    agree(function, [numbers(*shape), numbers(C, seed=1), strength, scale], torch.float32)


def own(*inputs):
    """The Function of a GPU, on a CPU in its plain form."""
    return activation._Activation.apply(*inputs, True)[0]


@pytest.fixture
def own_gradients(monkeypatch):
    """The gradients of a GPU on a CPU, which else takes PyTorch's."""
    monkeypatch.setattr(activation, "composed", own)


@pytest.mark.parametrize("composed", [own, activation.composed])
def test_activation_has_gradients_of_every_order(monkeypatch, composed):
    monkeypatch.setattr(activation, "composed", composed)
    x, bias, scale, strength = (
        t.requires_grad_() for t in (numbers(2, 3, 2, 2), *map(numbers, (3,)), numbers(2, 3), numbers(3))
    )
    noise = numbers(2, 1, 2, 2, seed=1)

    def function(x, bias, scale, strength):
        at = {"scale_NC": scale, "noise_N1HW": noise, "strength": strength}
        return activation.activate(x, bias, 1.4, 1.5, **at).pow(2)

    assert gradcheck(function, (x, bias, scale, strength))
    assert gradgradcheck(function, (x, bias, scale, strength))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_limited_has_no_slope_in_any_precision(own_gradients, dtype):
    """181.02 is no number of half precision: the output is its neighbour, and the limit has to be that one."""
    x = torch.tensor([[1000.0, -1000.0, 10.0]], dtype=dtype, requires_grad=True)
    y = activation.activate(x, torch.zeros(3), 1.0, 256 * 0.5**0.5)
    (g,) = grad(y.sum(), x)
    assert g.tolist()[0] == [0, 0, 1]


def test_an_activation_keeps_its_output_alone(own_gradients):
    kept = []
    x = numbers(2, 3, 4, 4).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        activation.activate(x, numbers(3).requires_grad_(), limit=1.0)
    assert sum(kept) == x.numel()


# ------------------------------------------------------------------------------------------------ FIR, modulation
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "function",
    [
        layers.upsample,
        layers.downsample,
        *(lambda x, p=p, o=o, g=g: layers.blur(x, p, o, g) for p, o, g in [(1, 3, 4.0), (2, 3, 1.0), (1, 2, 1.0)]),
    ],
)
def test_fused_fir_is_the_plain_one(on_kernels, function, dtype):
    agree(function, [numbers(2, 3, 6, 10)], dtype)
    agree(function, [numbers(1, 2, 34, 38)], dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("up", [False, True])
def test_fused_modulation_is_the_plain_one(on_kernels, up, dtype):
    w = numbers(4, 3, 3, 3, seed=2)

    def function(x, s, w):
        return scaled_conv(x, s, w.transpose(0, 1) if up else w, padding=0 if up else 1, up=up)

    agree(function, [numbers(2, 3, 5, 6), numbers(2, 3, seed=1), w], dtype)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_scaled_1x1_of_both_layouts_is_a_convolution(layout):
    def reference(x, s, w, bias):
        return torch.nn.functional.conv2d(x * s[:, :, None, None], w, bias)

    inputs = [numbers(2, 3, 5, 6), numbers(2, 3, seed=1), numbers(2, 3, 1, 1, seed=2), numbers(2, seed=3)]
    ours = first_and_second(scaled_1x1, inputs, torch.float64, layout)
    for found, expected in zip(ours, first_and_second(reference, inputs, torch.float64), strict=True):
        torch.testing.assert_close(found, expected)
    assert ours[0].is_contiguous() and ours[1].is_contiguous(memory_format=layout)


def test_sums_over_chunks_of_pixels_are_those_over_all(on_kernels, monkeypatch):
    """With channels last: scale, noise, bias and AdaIN, each program with a tile of a map."""
    monkeypatch.setattr(triton_kernels, "ENTRIES", 32)
    monkeypatch.setattr(triton_kernels, "CHANNELS", 4)
    monkeypatch.setattr(triton_kernels, "TILES", 1)
    shape = (2, 5, 6, 7)
    inputs, noise = styling(shape)

    def noisy(x, bias, strength, scale):
        at = {"scale_NC": scale, "noise_N1HW": noise.to(x.dtype), "strength": strength}
        return activation.activate(x, bias, limit=2.0, **at)

    def normal(x, *others):
        return adain.styled(x, noise.to(x.dtype), *others, 1.1)

    agree(noisy, [*inputs[:4]], torch.float32, [torch.channels_last])
    agree(normal, inputs, torch.float32, [torch.channels_last])


@pytest.mark.parametrize("shape", SHAPES)
def test_fused_pixel_norm_is_the_plain_one(on_kernels, shape):
    agree(pixel_norm.normalize_second_moment, [numbers(*shape)], torch.float32)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [*SHAPES[:2], (2, 40, 9, 9)])
@pytest.mark.parametrize("limit", [None, 1.1])
def test_fused_activation_and_pixel_norm_is_the_plain_one(on_kernels, shape, limit, dtype):
    def function(x, bias):
        return pixel_norm.activate_and_normalize(x, bias, limit, 0.7)

    agree(function, [numbers(*shape) + 0.5, numbers(shape[1], seed=1)], dtype)


@pytest.mark.parametrize("activated", [False, True])
def test_pixel_norm_has_gradients_of_second_order(activated):
    """Of the formulas that a gradient takes which is differentiated again, on a GPU as well."""
    x, bias, g = (t.requires_grad_() for t in (numbers(2, 3, 2, 2), numbers(3, seed=1), numbers(2, 3, 2, 2, seed=2)))
    inputs = (g, x, bias) if activated else (g, x)

    def gradients(g, x, bias=None):
        return tuple(t for t in pixel_norm._plain_gradients(g, x, bias, 1.5, 0.7) if t is not None)

    assert gradcheck(gradients, inputs)
    assert gradgradcheck(gradients, inputs)


def styling(shape):
    """Inputs of StyleGAN 1's epilogue but noise, which takes no gradient; and the noise."""
    N, C, H, W = shape
    inputs = numbers(*shape), numbers(C, seed=1), numbers(C, seed=2) + 1, numbers(N, C, seed=3), numbers(N, C, seed=4)
    return inputs, numbers(N, 1, H, W, seed=5)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 5, 40, 33)])
@pytest.mark.parametrize("limit", [None, 1.1])
def test_fused_epilogue_is_the_plain_one(on_kernels, shape, limit, dtype):
    inputs, noise = styling(shape)

    def function(x, *others):
        return adain.styled(x.to(dtype if x.dtype != torch.float64 else x.dtype), noise.to(x.dtype), *others, limit)

    agree(function, inputs, dtype)


def test_epilogue_has_gradients_of_second_order():
    """Of the formulas that a gradient takes which is differentiated again, on a GPU as well."""
    inputs, noise = styling((2, 2, 2, 3))
    inputs = [t.requires_grad_() for t in inputs]

    def gradients(g, x, *others):
        return tuple(t for t in adain._plain_gradients(g, [x, noise, *others], 1.5) if t is not None)

    g = numbers(2, 2, 2, 3, seed=6).requires_grad_()
    assert gradcheck(gradients, (g, *inputs))


@pytest.mark.parametrize("norm", [prepared.UNCHANGED, prepared.LARGEST, prepared.LENGTH])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("transposed", [False, True])
def test_prepared_weights_are_the_plain_ones(on_kernels, dtype, norm, layout, transposed):
    w = numbers(3, 20, 3, 3) / 4

    def products(w):
        x = torch.empty(1, 20, 2, 2, dtype=dtype).to(memory_format=layout)
        v, squares_OI = prepared.weights_and_squares(x, w, norm, transposed=transposed)
        assert not kernels.fused(w) or v.is_contiguous(memory_format=layout)
        v = v.transpose(0, 1) if transposed else v
        v = v.to(w.dtype)
        return v * squares_OI[:, :, None, None] + v

    results = []
    for exact in (False, True):
        leaf = (w if exact else w.float()).requires_grad_()
        plain = grad(products(leaf).pow(2).sum(), leaf)
        (graphed,) = grad(products(leaf).pow(2).sum(), leaf, create_graph=True)
        results.append((*plain, graphed, *grad(graphed.pow(2).sum(), leaf)))
    for fused, plain in zip(*results, strict=True):
        size = plain.abs().max()
        torch.testing.assert_close(fused.double() / size, plain / size, rtol=0, atol=TOLERANCE[dtype])
    x = torch.empty(1, 20, 2, 2, dtype=dtype)
    torch.testing.assert_close(prepared.weights_for(x, w.float(), 0.3), (w.float() * 0.3).to(dtype))


@pytest.mark.parametrize("group", [4, 8])
def test_fused_minibatch_deviation_is_the_plain_one(on_kernels, group):
    agree(lambda x: append_minibatch_stddev(x, group), [numbers(8, 3, 2, 5)], torch.float32, [torch.contiguous_format])


def test_minibatch_deviation_has_gradients_of_second_order():
    x = numbers(3, 2, 2, 1, 2).requires_grad_()
    deviation = minibatch_deviation._MeanDeviation.apply
    torch.testing.assert_close(deviation(x)[0], minibatch_deviation._mean_deviation(x))
    assert gradcheck(lambda x: deviation(x)[0], x)
    assert gradgradcheck(lambda x: deviation(x)[0], x)


def test_gradients_are_made_finite_and_counted(on_kernels):
    flat = numbers(3000).float()
    flat[[0, 7, 2999]] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    plain = flat.clone().nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
    assert training_step.make_finite(flat) == 3
    assert torch.equal(flat, plain)


@pytest.mark.parametrize("fused", [False, True])
def test_the_first_of_two_gradients_needs_none_of_parameters(monkeypatch, fused):
    """R1's gradient by the image: what the parameters' own would cost is not computed, and the second one is whole."""
    monkeypatch.setattr(kernels, "fused", lambda x: fused)
    torch.manual_seed(0)
    dense, x = layers.Dense(3, 2, active=True), torch.randn(4, 3, requires_grad=True)
    found = grad(first_gradient(dense(x).sum(), x).square().sum(), [dense.weight])
    (plain,) = grad(dense(x).sum(), x, create_graph=True)
    torch.testing.assert_close(found, grad(plain.square().sum(), [dense.weight]))
    assert of_parameters()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("transposed", [False, True])
def test_fused_shifts_are_the_plain_ones(on_kernels, transposed, layout, dtype):
    w = numbers(3, 20, 3, 3)
    results = []
    for leaf in (w.float().requires_grad_(), w.float().double().requires_grad_()):
        exact = leaf.dtype == torch.float64
        x = torch.empty(1, 20, 2, 2, dtype=leaf.dtype if exact else dtype).to(memory_format=layout)
        v = prepared.four_shifts(x, leaf, 0.3, transposed=transposed)
        assert exact or v.is_contiguous(memory_format=layout)
        (graphed,) = grad(v.double().pow(3).sum(), leaf, create_graph=True)
        results.append((v, graphed, *grad(graphed.pow(2).sum(), leaf)))
    for fused, plain in zip(*results, strict=True):
        size = plain.abs().max()
        torch.testing.assert_close(fused.double() / size, plain / size, rtol=0, atol=TOLERANCE[dtype])


def test_demodulation_has_gradients_of_second_order():
    s, q = numbers(2, 3).requires_grad_(), (1 + numbers(4, 3, seed=1).abs()).requires_grad_()
    assert gradcheck(prepared.demodulation, (s, q))
    assert gradgradcheck(prepared.demodulation, (s, q))
    torch.testing.assert_close(prepared.demodulation(s, q), (s.square() @ q.T + 1e-8).rsqrt())


def test_scaled_conv_has_gradients_of_second_order():
    x, s, w = (t.requires_grad_() for t in (numbers(2, 3, 4, 4), numbers(2, 3, seed=1), numbers(2, 3, 3, 3, seed=2)))
    assert gradcheck(lambda x, s, w: scaled_conv(x, s, w, padding=1), (x, s, w))
    assert gradgradcheck(lambda x, s, w: scaled_conv(x, s, w, padding=1), (x, s, w))


# ------------------------------------------------------------------------------------------------ whole networks
TINY = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "batch": 4}
GROWN = {"first_resolution": 16, "minibatch_std_group": 4}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stylegan2", {"precision": "fp32"}),
        ("stylegan2", {"precision": "bf16"}),
        ("progressive_gan", GROWN),
        ("stylegan1", GROWN),
    ],
)
def test_an_iteration_on_kernels_is_one_without(monkeypatch, name, options):
    """All phases: first order, R1, path length or gradient penalty."""
    if name != "stylegan2":
        options = options | {"mapping_layers": 2} if name == "stylegan1" else options
    monkeypatch.setattr(triton_kernels, "ENTRIES", 2**11)  # the interpreter's time is by program, and by its entries
    taken, size = [], 8 if name == "stylegan2" else 16
    for fused in (False, True):
        monkeypatch.setattr(kernels, "fused", lambda x, fused=fused: fused)
        torch.manual_seed(0)
        known = TINY if name != "progressive_gan" else {k: v for k, v in TINY.items() if k != "mapping_layers"}
        generator = build(name, 2, size, **(known | options))
        if (
            name == "stylegan1"
        ):  # its maps are constant at first: an instance norm divides rounding errors by themselves
            for parameter in generator.networks["generator"].parameters():
                parameter.data.add_(0.1 * torch.randn(parameter.shape))
        taken.append(generator.step(real_images(4, size, 2), 0, rng(1)))
    for key, plain in taken[0].items():
        rough = options.get("precision") == "bf16"
        torch.testing.assert_close(taken[1][key], plain, rtol=5e-2 if rough else 1e-4, atol=1e-2 if rough else 1e-5)
