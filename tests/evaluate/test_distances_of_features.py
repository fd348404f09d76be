"""Inception Score, kernel distance, precision, recall, density, coverage: known cases, plain definitions, peers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.evaluate import inception_score, kernel_distance
from understudy.evaluate.kernel import squared_mmd
from understudy.evaluate.neighbours import neighbourhoods


def sample(seed, n, d=16, shift=0.0):
    return (np.random.default_rng(seed).normal(size=(n, d)) + shift).astype(np.float32)


# ------------------------------------------------------------------------------------------------ Inception Score
def test_a_classifier_that_knows_nothing_gives_1():
    score = inception_score(np.full((50, 8), 1 / 8))
    assert score == pytest.approx((1, 0))


def test_sure_and_evenly_spread_over_k_classes_gives_k():
    score = inception_score(np.tile(np.eye(5), (20, 1)))  # every split of 10 images has every class twice
    assert score == pytest.approx((5, 0))


def test_sure_of_one_class_gives_1():
    assert inception_score(np.eye(4)[np.zeros(30, int)]).mean == pytest.approx(1)


def test_two_classes_with_given_odds():
    """p = 0.9 for the one or the other, evenly: exp(ln 2 - H(0.9))."""
    p = np.tile([[0.9, 0.1], [0.1, 0.9]], (50, 1))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert inception_score(p).mean == pytest.approx(2 * np.exp(-entropy))


def test_order_matters_as_splits_are_taken_in_order():
    ordered = np.repeat(np.eye(10), 10, 0)
    assert inception_score(ordered).mean == pytest.approx(1)
    assert inception_score(ordered[np.random.default_rng(0).permutation(100)]).mean > 4


def test_it_is_torch_fidelitys():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * sample(0, 503, 40)
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
    ours = inception_score(torch.from_numpy(logits).double().softmax(1).numpy())
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert ours.sd == pytest.approx(theirs["inception_score_std"], rel=1e-6)


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match=r"found shape \(9, 3\), expected \(N, K\) with N at least 10"):
        inception_score(np.full((9, 3), 1 / 3))
    with pytest.raises(ValueError, match="no probabilities"):
        inception_score(np.ones((20, 3)))


# ------------------------------------------------------------------------------------------------ kernel distance
def plain_mmd(x, y):
    """Binkowski et al. 2018, eq. 4, pair by pair."""

    def k(a, b):
        return (float(np.float64(a) @ np.float64(b)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_kernel_estimate_is_its_definition():
    x, y = sample(0, 12, 5), sample(1, 9, 5, 0.3)
    assert squared_mmd(np.float64(x), np.float64(y)) == pytest.approx(plain_mmd(x, y), rel=1e-9)


def test_the_kernel_distance_is_torch_fidelitys():
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = sample(0, 200, 64), sample(1, 200, 64, 0.2)
    theirs = kid_features_to_metric(
        torch.from_numpy(x).double(),
        torch.from_numpy(y).double(),
        kid_subsets=1,
        kid_subset_size=200,
        verbose=False,
    )
    ours = kernel_distance(x, y, subsets=1, subset_images=200)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)


def test_it_is_unbiased():
    """Two samples of one distribution: 0 on average, whatever their size."""
    for size in (20, 100):
        found = kernel_distance(sample(0, 4000), sample(1, 4000), subsets=400, subset_images=size, seed=1)
        assert abs(found.mean) < 3 * found.sd / np.sqrt(400) + 0.01


def test_subsets_follow_the_seed_and_need_enough_images():
    x, y = sample(0, 60), sample(1, 50, shift=0.1)
    assert kernel_distance(x, y, 5, 20, seed=1) == kernel_distance(x, y, 5, 20, seed=1)
    assert kernel_distance(x, y, 5, 20, seed=1) != kernel_distance(x, y, 5, 20, seed=2)
    with pytest.raises(ValueError, match="found 50 images, expected at least 51"):
        kernel_distance(x, y, 5, 51)


# ------------------------------------------------------------------------------------------------ neighbours
def plain_neighbourhoods(fake, real, k, more):
    """The papers' definitions with every distance at once."""

    def distances(a, b):
        return np.sqrt(np.square(np.float64(a)[:, None] - np.float64(b)[None]).sum(2))

    def radius(x, k):
        return np.sort(distances(x, x), 1)[:, k]  # place 0 is the feature itself

    d = distances(fake, real)
    precision = (d <= radius(real, k)[None]).any(1).mean()
    recall = (d <= radius(fake, k)[:, None]).any(0).mean()
    inside = d <= radius(real, more)[None]
    return precision, recall, inside.sum() / (more * len(fake)), inside.any(0).mean()


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(8, 60),
    m=st.integers(8, 60),
    d=st.integers(1, 12),
    shift=st.floats(0, 3),
    block=st.integers(1, 70),
)
def test_neighbourhoods_are_their_definitions_whatever_the_blocks(seed, n, m, d, shift, block):
    fake, real = sample(seed, n, d, shift), sample(seed + 1, m, d)
    assert neighbourhoods(fake, real, 3, 5, block=block) == pytest.approx(plain_neighbourhoods(fake, real, 3, 5))


def test_precision_and_recall_are_torch_fidelitys():
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = sample(0, 300), sample(1, 300, shift=0.5)
    theirs = prc_features_to_metric(*(torch.from_numpy(f).double() for f in (fake, real)), verbose=False)
    ours = neighbourhoods(fake, real)
    assert ours.precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], rel=1e-6)


def test_known_cases():
    real = sample(0, 200)
    copies = neighbourhoods(real, real)
    assert copies.precision == copies.recall == copies.coverage == 1
    assert copies.density == pytest.approx(6 / 5)  # each real ball holds itself and its five neighbours
    far = neighbourhoods(real + 1000, real)
    assert far == (0, 0, 0, 0)
    one_mode = neighbourhoods(np.repeat(real[:1], 200, 0) + sample(1, 200) * 1e-3, real)
    assert one_mode.precision == 1 and one_mode.recall < 0.05 and one_mode.coverage < 0.2


def test_offsets_far_from_zero_lose_nothing():
    """Distances are taken from centred features: inner products of large ones would drown them."""
    fake, real = sample(0, 100).astype(np.float64), sample(1, 100).astype(np.float64)
    assert neighbourhoods(fake + 1e6, real + 1e6) == pytest.approx(neighbourhoods(fake, real), abs=0.02)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="found 5 images, expected more than the 5 neighbours"):
        neighbourhoods(sample(0, 5), sample(1, 50))
