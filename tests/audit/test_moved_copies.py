"""Candidates are moved to where they fit best: as trying every shift would, and with the same for everybody."""

import numpy as np
import pytest
import torch

from understudy.audit.moved_copies import reach_of, registered, shifted
from understudy.audit.search import search
from understudy.audit.views import VARIANTS, View, exact, moments

from .test_search import images
from .test_views import CHANNELS, brains


@pytest.mark.parametrize("name", ["all", "t2"])
def test_the_best_shift_is_that_of_trying_all(name):
    view, x, y = View.of(name, CHANNELS), brains(6, 1), brains(1, 2)[0]
    steps = range(-2, 3)
    tried = torch.stack([exact(view, x.roll((i, j), (2, 3)), y) for i in steps for j in steps]).amax(0)
    for known in (None, moments(view, x)):
        assert torch.allclose(shifted(view, x, y, known, 2), tried, atol=1e-12)


def test_moved_copies_are_recognised_and_others_are_moved_alike():
    view, x, y = View.of("all", CHANNELS), brains(5, 3), brains(12, 4)
    group = np.repeat(np.arange(6), 2)
    x[1], x[3] = y[4].roll((2, -1), (1, 2)), y[9].roll((1, 2), (1, 2)).flip(2)
    references, kinds = images(y, group), VARIANTS["flip"]
    plain = search(view, x.numpy(), references, k=12, kinds=kinds)
    found = registered(plain, view, x.numpy(), references, kinds, 2, 3)
    assert found.index.shape == (5, 3) and found.index[[1, 3], 0].tolist() == [4, 9]
    assert found.r[[1, 3], 0] == pytest.approx([1, 1], abs=1e-12) and found.variant[3, 0] == 1
    assert (found.r[:, 0] >= plain.r[:, 0]).all() and (np.diff(found.r, axis=1) <= 0).all()
    assert (group[found.other] != group[found.index[:, 0]]).all() and (found.other_r <= found.r[:, 0]).all()
    assert found.group_r[2] == pytest.approx(1) and found.group_query[2] == 1
    assert (found.group_r >= plain.group_r).all()


def test_reach_is_in_proportion_to_the_size_compared():
    places = {"all": 4, "t1ce": 4, "coarse": 0, "brain": 0}
    assert {name: reach_of(View.of(name, CHANNELS), 256, 4) for name in places} == places
    assert reach_of(View.of("all", CHANNELS), 32, 4) == 0 and reach_of(View.of("tiles", CHANNELS), 32, 16) == 0
