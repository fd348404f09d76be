"""The convolution whose gradients are convolutions: of second order against finite differences, in the sizes that GANs
use; and what it keeps."""

import pytest
import torch
import torch.nn.functional as F
from made import rng
from torch.autograd import grad, gradcheck, gradgradcheck

from understudy.generate import kernels
from understudy.generate.convolution import Geometry, _Conv, conv


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (1, 1, 0), (4, 2, 1), (3, 2, 0)])
def test_it_has_gradients_of_second_order(kernel, stride, padding):
    x, w = numbers(1, 2, 5, 5), numbers(2, 2, kernel, kernel, seed=1)

    def function(x, w):
        return _Conv.apply(x, w, Geometry(stride, padding, 1))

    torch.testing.assert_close(function(x, w), F.conv2d(x, w, stride=stride, padding=padding))
    assert gradcheck(function, (x, w))
    assert gradgradcheck(function, (x, w))


@pytest.mark.parametrize("fused", [False, True])
def test_a_penalty_is_that_of_torchs_convolution(monkeypatch, fused):
    monkeypatch.setattr(kernels, "fused", lambda x: fused)
    found = []
    for function in (conv, F.conv2d):
        x, w = numbers(2, 3, 6, 6), numbers(4, 3, 4, 4, seed=1)
        (first,) = grad(function(x, w, padding=1, stride=2).pow(3).sum(), x, create_graph=True)
        found.append((first, *grad(first.square().sum(), (x, w))))
    for own, torchs in zip(*found, strict=True):
        torch.testing.assert_close(own, torchs, rtol=1e-12, atol=1e-12)


def test_frozen_weights_keep_no_maps():
    kept, x, w = [], numbers(1, 2, 5, 5), numbers(3, 2, 3, 3, seed=1).detach()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        conv(x, w)
    assert kept == [w.shape]
