"""Intervals of Frechet distances hold the truth as often as they say, where images come from few people."""

import numpy as np
import pytest
import torch

from understudy.evaluate.frechet import frechet_distance
from understudy.evaluate.frechet_interval import _distance, _moments, frechet_interval


def people(rng, subjects, slices=8, shift=0.0):
    """Features of slices that are alike within a person; the Gaussian of all is N(shift, 1.25)."""
    own = rng.standard_normal((subjects, 1, 3))
    x = own + 0.5 * rng.standard_normal((subjects, slices, 3)) + shift
    return x.reshape(-1, 3).astype(np.float32), [f"s{i}" for i in range(subjects) for _ in range(slices)]


def test_the_interval_holds_the_true_distance():
    """Of means that differ by 1 in three features and equal covariances: 3."""
    held = by_image = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        a, of_a = people(rng, 60, shift=1.0)
        b, of_b = people(rng, 60)
        distance = frechet_distance(a, b)
        low, high = frechet_interval(distance, a, b, of_a, of_b, draws=60, seed=seed)
        held += low <= 3 <= high
        low, high = frechet_interval(distance, a, b, None, None, draws=60, seed=seed)
        by_image += low <= 3 <= high
    assert 88 <= held <= 100
    assert by_image < 75  # slices are not people


def test_a_draw_is_the_distance_of_the_images_that_were_drawn():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((20, 4)), rng.standard_normal((30, 4)) + 1
    weights = rng.integers(0, 3, 20)
    moments = _moments(torch.from_numpy(a), weights), _moments(torch.from_numpy(b), np.ones(30, int))
    assert _distance(*moments) == pytest.approx(frechet_distance(np.repeat(a, weights, axis=0), b))


def test_one_person_has_no_interval():
    a = np.random.default_rng(0).standard_normal((10, 3))
    assert np.isnan(frechet_interval(1.0, a, a, ["s"] * 10, None)).all()
    assert np.isnan(frechet_interval(1.0, a, a, None, None, draws=0)).all()
