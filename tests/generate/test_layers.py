"""Shared layers against explicit references in NumPy and SciPy, and gradients of second order."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, correlate2d
from torch.autograd import gradcheck, gradgradcheck

from understudy.generate import layers, modulation, pixel_norm
from understudy.generate.minibatch_deviation import append_minibatch_stddev

FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def image(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_channel(x_NCHW, function):
    return np.stack([[function(x_HW) for x_HW in x_CHW] for x_CHW in x_NCHW.numpy()])


def zero_inserted(x_HW):
    y_HW = np.zeros((2 * x_HW.shape[0], 2 * x_HW.shape[1]))
    y_HW[::2, ::2] = x_HW
    return y_HW


@pytest.mark.parametrize("size", [(4, 4), (6, 10), (2, 8)])
def test_upsample_is_zero_insertion_and_fir(size):
    x = image(2, 3, *size)
    expected = by_channel(x, lambda a: correlate2d(np.pad(zero_inserted(a), (2, 1)), 4 * FIR, "valid"))
    np.testing.assert_allclose(layers.upsample(x), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (6, 10), (2, 8)])
def test_downsample_is_fir_and_every_second_pixel(size):
    x = image(2, 3, *size)
    expected = by_channel(x, lambda a: correlate2d(np.pad(a, 1), FIR, "valid")[::2, ::2])
    np.testing.assert_allclose(layers.downsample(x), expected, atol=1e-12)


@pytest.mark.parametrize("padding", [1, 2])
def test_blur_is_fir_with_zeros_outside(padding):
    x = image(2, 3, 5, 8)
    expected = by_channel(x, lambda a: correlate2d(np.pad(a, padding), FIR, "valid"))
    np.testing.assert_allclose(layers.blur(x, padding), expected, atol=1e-12)


@pytest.mark.parametrize("channels", [3, 16])
def test_blur_of_the_second_order(channels):
    x, kernel = image(2, channels, 6, 6), np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = by_channel(x, lambda a: correlate2d(a, kernel, "same"))
    np.testing.assert_allclose(layers.blur(x, 1, order=2), expected, atol=1e-12)


def test_both_ways_to_filter_agree():
    x = image(2, 16, 9, 7)
    torch.testing.assert_close(layers.blur(x, 1)[:, :5], layers.blur(x[:, :5], 1))
    torch.testing.assert_close(layers.upsample(x)[:, :5], layers.upsample(x[:, :5]))


def test_upsampling_keeps_a_constant_inside():
    y = layers.upsample(torch.ones(1, 1, 8, 8))
    torch.testing.assert_close(y[..., 1:-1, 1:-1], torch.ones(1, 1, 14, 14))


@pytest.mark.parametrize(
    "operation",
    [
        layers.upsample,
        layers.downsample,
        *(lambda x, p=p, o=o: layers.blur(x, p, o) for p, o in [(1, 3), (2, 3), (1, 2)]),
    ],
)
def test_resampling_has_gradients_of_first_and_second_order(operation):
    x = image(1, 2, 4, 6).requires_grad_()
    assert gradcheck(lambda x: operation(x).square(), x)
    assert gradgradcheck(lambda x: operation(x).pow(3), x)


def test_dense_layers_have_gradients_of_second_order():
    x, w, b = image(3, 4), image(2, 4, seed=1), image(2, seed=2)
    inputs = [t.requires_grad_() for t in (x, w, b)]
    assert gradcheck(lambda x, w, b: layers._Affine.apply(x, w, b, 0.3, 0.7), inputs)
    assert gradgradcheck(lambda x, w, b: layers._Affine.apply(x, w, b, 0.3, 0.7), inputs)


def modulated_conv(*inputs, up=False):
    y, d_NO = layers.modulated_conv(*inputs, up=up)
    return y * d_NO.to(y.dtype)[:, :, None, None]


def test_modulated_conv_equals_explicit_weights_per_sample():
    x, w, s = image(3, 4, 6, 6), image(5, 4, 3, 3, seed=1), image(3, 4, seed=2)
    w_NOIKK = w[None] * s[:, None, :, None, None]
    bias_O = image(5, seed=3)
    torch.testing.assert_close(
        modulation.scaled_1x1(x, s, w[..., :1, :1], bias_O),
        torch.einsum("nihw,noi->nohw", x, w_NOIKK[..., 0, 0]) + bias_O[:, None, None],
    )
    w_NOIKK = w_NOIKK / (w_NOIKK.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    expected = [torch.nn.functional.conv2d(x[n : n + 1], w_NOIKK[n], padding=1) for n in range(3)]
    actual = modulated_conv(x, w, s)
    torch.testing.assert_close(actual, torch.cat(expected), rtol=1e-9, atol=1e-9)


def test_upsampling_modulated_conv_is_zero_insertion_conv_and_fir():
    """Full convolutions, then the centre: what the two filters carry beyond the border comes back."""
    x, w, s = image(1, 2, 4, 4), image(1, 2, 3, 3, seed=1), image(1, 2, seed=2)
    w_IKK = (w[0] * s[0, :, None, None]).numpy()
    w_IKK = w_IKK / np.sqrt((w_IKK**2).sum() + 1e-8)
    filters_IKK = [convolve2d(w_KK, 4 * FIR) for w_KK in w_IKK]  # 6 x 6
    full = sum(convolve2d(zero_inserted(a), k) for a, k in zip(x[0].numpy(), filters_IKK, strict=True))
    np.testing.assert_allclose(modulated_conv(x, w, s, up=True)[0, 0], full[2:10, 2:10], atol=1e-9)


def test_modulated_conv_in_half_precision_survives_large_operands():
    x, w, s = image(2, 64, 8, 8).float(), 300 * image(8, 64, 3, 3, seed=1).float(), 1e4 * image(2, 64, seed=2).float()
    reference = modulated_conv(x, w, s)
    half = modulated_conv(x.half(), w, s)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), reference, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_conv_has_double_backward(up):
    x, w, s = image(2, 2, 3, 3), image(2, 2, 3, 3, seed=1), 1 + image(2, 2, seed=2).abs()
    arguments = tuple(a.requires_grad_() for a in (x, w, s))
    assert gradgradcheck(lambda x, w, s: modulated_conv(x, w, s, up=up), arguments)


def test_downsampling_conv_is_fir_and_strided_conv():
    conv = layers.Conv(2, 3, 3, down=True).double()
    x = image(1, 2, 8, 8)
    padded = np.stack([correlate2d(np.pad(a, 2), FIR, "valid") for a in x[0].numpy()])
    w = (conv.weight * conv.weight_gain).detach().numpy()
    y = np.stack([sum(correlate2d(a, k, "valid") for a, k in zip(padded, w_I, strict=True))[::2, ::2] for w_I in w])
    expected = np.where(y > 0, y, 0.2 * y) * np.sqrt(2)
    np.testing.assert_allclose(conv(x)[0].detach(), expected, atol=1e-9)


@pytest.mark.parametrize("bias", [True, False])
def test_resizing_convs_are_a_convolution_after_doubling_or_before_halving(bias):
    torch.manual_seed(0)
    up, down, plain = (layers.ResizingConv(3, 5, 3, bias=bias, resize=r).double() for r in ("up", "down", ""))
    x = image(2, 3, 6, 6)
    plain.load_state_dict(up.state_dict())
    torch.testing.assert_close(up(x), plain(x.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    plain.load_state_dict(down.state_dict())
    torch.testing.assert_close(down(x), plain(x).view(2, 5, 3, 2, 3, 2).mean((3, 5)))
    torch.testing.assert_close(layers.halve(layers.double(x)), x)


def test_equalised_layers_keep_unit_variance():
    torch.manual_seed(0)
    x_NK = torch.randn(512, 256)
    assert layers.Dense(256, 256)(x_NK).std().item() == pytest.approx(1, abs=0.02)
    slow = layers.Dense(256, 256, lr_multiplier=0.01)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.02)
    assert slow(x_NK).std().item() == pytest.approx(1, abs=0.02)
    assert layers.Dense(256, 256, active=True)(x_NK).square().mean().item() == pytest.approx(1, abs=0.06)
    x_NCHW = torch.randn(4, 64, 24, 24)
    y_NCHW = layers.Conv(64, 64, 3, active=False)(x_NCHW)[..., 1:-1, 1:-1]
    assert y_NCHW.std().item() == pytest.approx(1, abs=0.03)
    assert modulated_conv(x_NCHW, torch.randn(64, 64, 3, 3), torch.rand(4, 64)).std().item() == pytest.approx(
        1, abs=0.05
    )


def test_activation_clamp_follows_the_gain():
    y = layers.activate(torch.tensor([[1000.0, -5000.0]]), torch.zeros(2), gain=0.5, clamp=256)
    assert y.tolist() == [[128, -128]]


def test_latents_are_normalised_to_unit_second_moment():
    z = pixel_norm.normalize_second_moment(5 * torch.randn(4, 64))
    torch.testing.assert_close(z.square().mean(1), torch.ones(4))


def test_minibatch_stddev_groups_are_strided():
    x = image(8, 3, 4, 4)
    y = append_minibatch_stddev(x, 4)
    assert y.shape == (8, 4, 4, 4)
    np.testing.assert_array_equal(y[:, :3], x)
    for group in ([0, 2, 4, 6], [1, 3, 5, 7]):
        expected = np.sqrt(x[group].numpy().var(0) + 1e-8).mean()
        np.testing.assert_allclose(y[group, 3], expected, rtol=1e-5)
