"""Numbers from a hash: the published stream, the same in every batch and on every device, and as random as they say."""

import numpy as np
import pytest
import torch
from scipy import stats

from understudy.run.counter_random import _GOLDEN, _mixed, bits, normal, uniform

PLACES = torch.arange(2000)
KINDS = ("noise", "background", "augmentation")
SMALLEST = 1e-3  # p-value: what is tested is the same in every run


def test_the_stream_is_splitmix64():
    """The first numbers of seed 1234567, as published with the algorithm's ports."""
    stream = _mixed(1234567 + torch.arange(1, 6) * _GOLDEN)
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [int(x) % 2**64 for x in stream] == [*published, 16408922859458223821]


def test_a_number_is_a_function_of_seed_kind_and_place():
    whole = bits(3, "noise", PLACES[:12], 40)
    assert torch.equal(bits(3, "noise", PLACES[[7, 2]], 40), whole[[7, 2]])
    assert torch.equal(bits(3, "noise", PLACES[:12], 7), whole[:, :7])
    others = [bits(4, "noise", PLACES[:12], 40), bits(3, "background", PLACES[:12], 40), whole]
    assert len(torch.cat(others).unique()) == 3 * whole.numel()
    assert len(bits(3, "noise", torch.arange(20_000_000, 20_000_500), 2000).unique()) == 500 * 2000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_has_the_same_bits():
    assert torch.equal(bits(3, "noise", PLACES.cuda(), 99).cpu(), bits(3, "noise", PLACES, 99))
    assert torch.equal(uniform(3, "noise", PLACES.cuda(), 99).cpu(), uniform(3, "noise", PLACES, 99))
    torch.testing.assert_close(normal(3, "noise", PLACES.cuda(), 99).cpu(), normal(3, "noise", PLACES, 99))


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_distributed_as_they_say(kind):
    """By place for a single number, and by number for a single place."""
    for drawn, law in ((uniform, stats.uniform), (normal, stats.norm)):
        x_NK = drawn(5, kind, PLACES, 1001).double().numpy()
        assert x_NK.shape == (2000, 1001)
        for x in (x_NK.ravel(), x_NK[:, 0], x_NK[:, 1], x_NK[:, -1], x_NK[0], x_NK[-1]):
            assert stats.kstest(x, law.cdf).pvalue > SMALLEST
    assert uniform(5, kind, PLACES, 1001).min() >= 0 and uniform(5, kind, PLACES, 1001).max() < 1
    assert normal(5, kind, torch.arange(20), 262144).abs().max() < 5.5


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_is_a_fair_coin_and_every_byte_equally_frequent(kind):
    words = bits(5, kind, PLACES, 250).numpy()
    ones = np.array([((words >> bit) & 1).mean() for bit in range(64)])
    assert np.abs(ones - 0.5).max() < 4.5 * 0.5 / words.size**0.5
    for byte in range(8):
        counts = np.bincount(((words >> 8 * byte) & 255).ravel(), minlength=256)
        assert stats.chisquare(counts).pvalue > SMALLEST


def test_neighbours_and_kinds_are_independent():
    """Of the next place, the next number, the next seed, another kind: no correlation, and all pairs as frequent."""
    x_NK = uniform(5, "noise", PLACES, 1000).double().numpy()
    pairs = {
        "next place": (x_NK[:-1], x_NK[1:]),
        "next number": (x_NK[:, :-1], x_NK[:, 1:]),
        "number after it": (x_NK[:, :-2], x_NK[:, 2:]),
        "next seed": (x_NK, uniform(6, "noise", PLACES, 1000).double().numpy()),
        "another kind": (x_NK, uniform(5, "background", PLACES, 1000).double().numpy()),
    }
    for name, (a, b) in pairs.items():
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / a.size**0.5, name
        cells = np.bincount((16 * (16 * a).astype(int) + (16 * b).astype(int)).ravel(), minlength=256)
        assert stats.chisquare(cells).pvalue > SMALLEST, name
