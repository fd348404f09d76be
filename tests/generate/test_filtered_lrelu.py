"""The filtered activation: the reference against NumPy and SciPy, the fast path against the reference."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch.autograd import grad, gradcheck, gradgradcheck

from understudy.generate import filtered_lrelu as module
from understudy.generate.filtered_lrelu import Form, filtered_lrelu, filtered_lrelu_reference
from understudy.generate.filters import lowpass, radial_lowpass


def form(up=2, padding=(9, 8), down=2, radial=False, clamp=None, taps=6):
    down_f = (radial_lowpass if radial else lowpass)(taps * down, 4, 4, 32)
    down_taps = tuple(map(tuple, down_f.tolist())) if radial else tuple(down_f.tolist())
    return Form(up, down, padding, tuple(lowpass(taps * up, 4, 4, 16 * up).tolist()), down_taps, clamp=clamp)


FORMS = {
    "same rate": form(),
    "doubled rate": form(4, (-6, -9)),
    "cropped": form(2, (-2, -1)),
    "clamped": form(clamp=0.7),
    "radial": form(2, (11, 10), radial=True),
    "radial, doubled, clamped": form(4, (-2, -5), radial=True, clamp=0.7),
    "no resampling": Form(1, 1, (0, 0), (1.0,), (1.0,)),
}
every_form = pytest.mark.parametrize("f", FORMS.values(), ids=FORMS.keys())


def inputs(N=2, C=3, H=16, W=14, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(N, C, H, W, dtype=torch.float64, generator=rng).requires_grad_()
    return x, torch.randn(C, dtype=torch.float64, generator=rng).requires_grad_()


def by_hand(x_HW, f):
    up, down = np.array(f.up_taps), np.array(f.down_taps)
    spread = np.zeros((x_HW.shape[0] * f.up, x_HW.shape[1] * f.up))
    spread[:: f.up, :: f.up] = x_HW
    before, after = f.padding
    spread = np.pad(spread, (max(before, 0), max(after, 0)))
    spread = spread[max(-before, 0) : spread.shape[0] - max(-after, 0), max(-before, 0) :]
    spread = spread[:, : spread.shape[1] - max(-after, 0)]
    u = correlate2d(spread, f.up**2 * np.outer(up, up), "valid")
    u = np.where(u > 0, u, 0.2 * u) * math.sqrt(2)
    u = u if f.clamp is None else u.clip(-f.clamp, f.clamp)
    return correlate2d(u, down if down.ndim == 2 else np.outer(down, down), "valid")[:: f.down, :: f.down]


@every_form
def test_reference_is_the_definition(f):
    x, bias = (t.detach() for t in inputs())
    shifted = (x + bias[:, None, None]).numpy()
    expected = np.array([[by_hand(x_HW, f) for x_HW in x_CHW] for x_CHW in shifted])
    np.testing.assert_allclose(filtered_lrelu_reference(x, bias, f), expected, atol=1e-12)
    assert expected.shape[2:] == (f.size(16)[1], f.size(14)[1])


@every_form
@pytest.mark.parametrize("chunk", [1, 2**18])
def test_fast_path_is_the_reference_with_its_derivatives(f, chunk, monkeypatch):
    """Value, gradients by x and bias, and the gradient of those by what came in; radial to 1e-6."""
    monkeypatch.setitem(module.CHUNKS, "cpu", chunk)
    module._maps.cache_clear()
    results = []
    for function in (filtered_lrelu, filtered_lrelu_reference):
        x, bias = inputs()
        y = function(x, bias, f)
        g, h = (torch.randn(t.shape, dtype=t.dtype, generator=torch.Generator().manual_seed(1)) for t in (y, x))
        g.requires_grad_()
        gx, gb = grad(y, (x, bias), g, create_graph=True)
        (hg,) = grad((gx * h).sum() + gb.square().sum(), g, create_graph=True)
        results.append((y, gx, gb, hg))
    module._maps.cache_clear()
    tolerance = 1e-5 if isinstance(f.down_taps[0], tuple) else 1e-12
    for fast, reference in zip(*results, strict=True):
        torch.testing.assert_close(fast, reference, rtol=tolerance, atol=tolerance)


def test_a_scale_is_part_of_it_with_gradients_of_second_order():
    x, bias = inputs(1, 2, 6, 7)
    scale = torch.tensor([[1.5, -0.5]], dtype=torch.float64, requires_grad=True)
    f = FORMS["clamped"]
    torch.testing.assert_close(filtered_lrelu(x, bias, f, scale), filtered_lrelu(x * scale[..., None, None], bias, f))
    assert gradcheck(lambda *a: filtered_lrelu(a[0], a[1], f, a[2]), (x, bias, scale), eps=1e-7, atol=1e-6)
    assert gradgradcheck(lambda *a: filtered_lrelu(a[0], a[1], f, a[2]), (x, bias, scale), eps=1e-7, atol=1e-6)


@every_form
def test_gradients_match_finite_differences(f):
    x, bias = inputs(1, 2, 6, 7) if f.size(6)[1] > 0 else inputs(1, 1, 14, 13)
    assert gradcheck(lambda x, b: filtered_lrelu(x, b, f), (x, bias), eps=1e-7, atol=1e-6)
    assert gradgradcheck(lambda x, b: filtered_lrelu(x, b, f), (x, bias), eps=1e-7, atol=1e-6)


def test_bands_are_exact_where_they_have_many_blocks():
    """200 pixels: seven blocks at the higher rate."""
    x, bias = (t.detach() for t in inputs(1, 1, 200, 70))
    for f in (FORMS["same rate"], FORMS["doubled rate"]):
        torch.testing.assert_close(filtered_lrelu(x, bias, f), filtered_lrelu_reference(x, bias, f))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_lower_precision_stays_near(dtype, tolerance):
    x, bias = (t.detach() for t in inputs())
    f = FORMS["radial, doubled, clamped"]
    low = filtered_lrelu(x.to(dtype), bias.to(dtype), f)
    assert low.dtype == dtype
    torch.testing.assert_close(low.double(), filtered_lrelu_reference(x, bias, f), rtol=tolerance, atol=tolerance)


def test_only_the_input_is_kept_for_the_backward_pass():
    """Not the up-sampled activation, four to sixteen times as large."""
    kept = []
    x, bias = inputs()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        filtered_lrelu(x, bias, FORMS["doubled rate"])
    assert kept == [x.numel(), bias.numel()]


def test_matrices_are_made_once():
    x, bias = inputs()
    filtered_lrelu(x, bias, FORMS["same rate"])
    misses = module._maps.cache_info().misses
    grad(filtered_lrelu(x, bias, form()).sum(), x)  # an equal form
    assert module._maps.cache_info().misses == misses


@every_form
@pytest.mark.parametrize("size", [(16, 14), (61, 35)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_the_kernel_is_the_plain_form(f, size, dtype, tolerance):
    """Value, tangent and cotangent, run by Triton's interpreter: sizes of one tile and of several."""
    after = [f.size(n)[1] for n in size]
    tensors = (*inputs(1, 2, *size), inputs(1, 2, *size, seed=1)[0], inputs(1, 2, *after, seed=2)[0])
    x, bias, g, h = (t.detach().to(dtype) for t in tensors)
    scale = torch.tensor([[1.5, -0.5]], dtype=dtype)
    exact = [t.double() for t in (x, scale, bias)]
    pairs = [
        (module._fused("value", x, None, scale, bias, f), module._plain_value(*exact, f)),
        (module._fused("tangent", x, g, scale, bias, f), module._plain_linear(g.double(), *exact, f, False)),
        (module._fused("cotangent", x, h, scale, bias, f), module._plain_linear(h.double(), *exact, f, True)),
    ]
    for fused, plain in pairs:
        assert fused.dtype == dtype and fused.shape == plain.shape
        torch.testing.assert_close(fused.double(), plain, rtol=tolerance, atol=tolerance)


def test_gradients_of_every_order_on_the_kernel(monkeypatch):
    f, results = FORMS["radial, doubled, clamped"], []
    for fused in (True, False):
        monkeypatch.setattr(module, "fused", lambda x, fused=fused: fused)
        x, bias = (t.detach().float().requires_grad_() for t in inputs(1, 2))
        (gx,) = grad(filtered_lrelu(x, bias, f).pow(2).sum(), x, create_graph=True)
        results.append((gx, *grad(gx.pow(2).sum(), (x, bias))))
    for fused, plain in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("f", [FORMS["doubled rate"], FORMS["radial, doubled, clamped"]])
def test_a_backward_pass_is_one_kernel_with_all_sums(f, monkeypatch):
    monkeypatch.setattr(module, "fused", lambda x: x.dtype == torch.float32)
    leaves = [t.detach().float() for t in inputs(2, 2, 61, 35)] + [torch.tensor([[1.5, -0.5], [0.3, 1.0]])]
    results = []
    for dtype in (torch.float32, torch.float64):
        x, bias, scale = (t.to(dtype).requires_grad_() for t in leaves)
        results.append(grad(filtered_lrelu(x, bias, f, scale).pow(2).sum(), (x, bias, scale)))
    for fused, plain in zip(*results, strict=True):
        torch.testing.assert_close(fused.double(), plain, rtol=1e-5, atol=1e-5)


def test_a_form_is_what_its_text_says():
    for f in FORMS.values():
        assert Form.of(f.text) == f


def test_it_runs_without_numbers():
    y = filtered_lrelu(torch.empty(2, 3, 16, 14, device="meta"), torch.empty(3, device="meta"), FORMS["radial"])
    assert y.shape == (2, 3, *(FORMS["radial"].size(n)[1] for n in (16, 14)))
