"""Reduced precision on a CPU: fp16 as on a GPU, whose default it is, if one insists, and bf16. All phases of a step."""

import pytest
import torch
from made import real_images, rng
from tiny_generators import TINY

from understudy.generate import build, precision

SIZE = 32


@pytest.mark.parametrize("word", ["bf16", "fp16"])
@pytest.mark.parametrize("name", ["stylegan2", "stylegan3", "r3gan"])
def test_steps_in_reduced_precision_stay_near_full(name, word, monkeypatch):
    types = set()

    def insisting(reduced, full):
        types.add(reduced or full.dtype)
        return reduced or full.dtype

    monkeypatch.setattr(precision, "type_of_maps", insisting)
    full, reduced = (build(name, 5, SIZE, **TINY[name] | {"precision": one}) for one in ("fp32", word))
    x_NCHW = real_images(size=SIZE)[: TINY[name]["batch"]]
    for iteration in range(4):  # penalties and path lengths in some, not in others
        statistics = reduced.step(x_NCHW, iteration * len(x_NCHW), rng(iteration))
        assert all(value.isfinite() for value in statistics.values()) and statistics["nonfinite_gradients"] == 0
    assert precision.REDUCED[word] in types
    for network, own in full.networks.items():
        own.load_state_dict(reduced.networks[network].state_dict())
    exact, near = full.sample(8, seed=0), reduced.sample(8, seed=0)
    assert near.dtype == torch.float32 and 0 < (exact - near).abs().max() < 0.15


def test_maps_are_turned_where_their_type_changes_and_gradients_come_back_as_they_were():
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    y = precision.cast(x, torch.bfloat16)
    assert y.is_contiguous(memory_format=torch.channels_last)
    back = precision.cast(y * y, torch.float32)
    (g,) = torch.autograd.grad(back.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(g.sum(), x)
    assert all(t.is_contiguous() and t.dtype == torch.float32 for t in (back, g, second))
    torch.testing.assert_close(g, 2 * x, rtol=1e-2, atol=0)
    torch.testing.assert_close(second, torch.full_like(x, 2.0))
    assert precision.cast(x, torch.float32) is x


def test_a_cpu_computes_fp16_layers_in_fp32_unless_one_insists():
    full = torch.zeros(1)
    assert [precision.type_of_maps(one, full) for one in (None, torch.float16)] == [torch.float32] * 2
    assert precision.type_of_maps(torch.bfloat16, full) == torch.bfloat16
