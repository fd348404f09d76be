"""Nearest images: the correlations are numpy's, blocks do not matter, own groups can be left out."""

import numpy as np
import pytest
import torch

from understudy.generate.nearest_images import nearest, nearest_two_groups, standardised

RNG = np.random.default_rng(0)
QUERIES, REFERENCES = torch.from_numpy(RNG.normal(size=(5, 30))), torch.from_numpy(RNG.normal(size=(17, 30)))


@pytest.mark.parametrize("block", [1, 5, 17])
def test_correlations_are_numpys(block):
    r_N, place_N = nearest(standardised(QUERIES), standardised(REFERENCES).split(block))
    expected_NM = np.corrcoef(QUERIES, REFERENCES)[:5, 5:]
    np.testing.assert_allclose(r_N, expected_NM.max(1), atol=1e-12)
    np.testing.assert_array_equal(place_N, expected_NM.argmax(1))


def test_scale_and_offset_do_not_matter_and_a_copy_is_found():
    r_N, place_N = nearest(standardised(3 * REFERENCES[[7, 2]] - 5), [standardised(REFERENCES)])
    torch.testing.assert_close(r_N, torch.ones(2, dtype=torch.float64))
    assert place_N.tolist() == [7, 2]


def test_a_constant_image_is_near_to_nothing():
    assert nearest(standardised(torch.full((1, 30), 9.0)), [standardised(REFERENCES.float())])[0].tolist() == [0]


def test_the_own_group_does_not_count():
    groups = torch.arange(17) // 4
    own = standardised(REFERENCES)
    r_N, place_N = nearest(own, own.split(6), (groups[:, None], groups))
    assert (groups[place_N] != groups).all() and r_N.max() < 0.9
    lonely = nearest(own[:2], [own[:2]], (groups[:2, None], groups[:2]))
    assert [x.tolist() for x in lonely] == [[-1, -1], [-1, -1]]


def test_the_second_group_is_the_best_of_the_others():
    groups, own = torch.arange(17) // 4, standardised(REFERENCES)
    first_N, second_N = nearest_two_groups(own, lambda: own.split(6), groups)
    torch.testing.assert_close(first_N, torch.ones(17, dtype=torch.float64))
    torch.testing.assert_close(second_N, nearest(own, [own], (groups[:, None], groups))[0])


def test_two_groups_of_others():
    groups, own = torch.arange(17) // 4, standardised(REFERENCES)
    first_N, second_N = nearest_two_groups(own, lambda: own.split(6), groups, groups)
    r_NM = (own @ own.T).masked_fill(groups[:, None] == groups, -2)
    by_group_NG = torch.stack([r_NM[:, groups == g].max(1).values for g in range(5)], 1).sort(1, descending=True).values
    torch.testing.assert_close(first_N, by_group_NG[:, 0])
    torch.testing.assert_close(second_N, by_group_NG[:, 1])
    few = nearest_two_groups(own[:8], lambda: [own[:8]], groups[:8], groups[:8])
    assert (few[1] == -1).all(), "two groups: an image of one has no second one among the others"
