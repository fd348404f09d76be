"""The Frechet distance: Gaussians whose distance is known, peers on the same features, an order anybody would give."""

import numpy as np
import pytest
import torch.nn.functional as F
from torch import from_numpy

from understudy.evaluate import frechet_distance
from understudy.evaluate.frechet import Moments, root_trace
from understudy.evaluate.random_network import features


def sample(seed, n, d, spread=1.0, shift=0.0):
    """Correlated features, float32 as a network gives them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
    return (spread * rng.normal(size=(n, d)) @ mixing + shift).astype(np.float32)


def test_commuting_covariances_have_a_closed_form():
    """Diagonal: |m - n|^2 + sum (s - t)^2 of standard deviations."""
    s, t = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
    a, b = Moments(np.zeros(3), np.diag(s**2)), Moments(np.array([1.0, -2.0, 0.0]), np.diag(t**2))
    assert frechet_distance(a, b) == pytest.approx(5 + np.square(s - t).sum())
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


def test_samples_of_known_gaussians_come_to_the_distance_of_theory():
    """N(0, 1) and N(m, s^2) in each of 8 dimensions: 8 (m^2 + (s - 1)^2), up to the error of 200 000 samples."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200_000, 8)), 0.5 + 1.5 * rng.normal(size=(200_000, 8))
    assert frechet_distance(a, b) == pytest.approx(8 * (0.25 + 0.25), rel=0.01)


@pytest.mark.parametrize(("n", "m", "d"), [(900, 700, 64), (400, 400, 192), (100, 80, 192)])
def test_it_is_pytorch_fids(n, m, d):
    """Of the same features, to 1e-6; the last one has fewer features than dimensions."""
    fid = pytest.importorskip("pytorch_fid.fid_score")
    a, b = sample(1, n, d), sample(2, m, d, 1.3, 0.2)
    moments = [(f.astype(np.float64).mean(0), np.cov(f.astype(np.float64), rowvar=False)) for f in (a, b)]
    theirs = fid.calculate_frechet_distance(*moments[0], *moments[1])
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)


def test_it_is_torch_fidelitys():
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    sides = [Moments.of(sample(1, 900, 128)), Moments.of(sample(2, 700, 128, 1.3, 0.2))]
    theirs = fid_statistics_to_metric(*({"mu": s.mean, "sigma": s.covariance} for s in sides), verbose=False)
    assert frechet_distance(*sides) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_the_trace_is_that_of_a_general_matrix_root():
    from scipy.linalg import sqrtm

    a, b = (Moments.of(sample(seed, 600, 150, spread)).covariance for seed, spread in ((1, 1), (2, 2)))
    assert root_trace(a, b) == pytest.approx(np.trace(sqrtm(a @ b)).real, rel=1e-9)


def test_moments_are_numpys_whatever_the_blocks(monkeypatch):
    f = sample(3, 500, 20)
    monkeypatch.setattr("understudy.evaluate.frechet.BLOCK", 64)
    found = Moments.of(f)
    np.testing.assert_allclose(found.mean, f.astype(np.float64).mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(f.astype(np.float64), rowvar=False))


def test_rotations_change_nothing_and_a_low_rank_is_no_trouble():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 8)), rng.normal(size=(6, 8)) + 1  # fewer vectors than dimensions
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(x @ turn, y @ turn))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_it_is_biased_upwards_where_images_are_few():
    """Two samples of one distribution: why values of other numbers of images do not compare."""
    few, many = (frechet_distance(sample(1, n, 64), sample(2, n, 64)) for n in (100, 1600))
    assert few > 8 * many > 0


def images(seed, n=200):
    """Smooth images with a bright square, uint8 (n, 2, 32, 32)."""
    rng = np.random.default_rng(seed)
    x = F.interpolate(from_numpy(rng.random((n, 2, 5, 5))), size=32, mode="bilinear").numpy()
    for i, (row, column) in enumerate(rng.integers(0, 24, (n, 2))):
        x[i, :, row : row + 8, column : column + 8] = 1
    return (255 * x).astype(np.uint8)


def test_of_random_features_it_grows_with_the_damage():
    real = Moments.of(features(images(0)))
    noise = np.random.default_rng(1).integers(-1, 2, (200, 2, 32, 32))

    def distance(x_NCHW):
        return frechet_distance(features(x_NCHW), real)

    noisy = [distance((images(2) + level * noise).clip(0, 255).astype(np.uint8)) for level in (0, 20, 60)]
    one_mode = distance(np.repeat(images(2)[:2], 100, 0))
    assert noisy[0] < noisy[1] < noisy[2] and noisy[0] < one_mode
    assert features(images(3)).shape == (200, 352)


def test_what_is_no_set_of_features_is_refused():
    with pytest.raises(ValueError, match=r"found features of shape \(1, 352\), expected \(N, D\), N at least 2"):
        Moments.of(features(images(0, 1)))
    with pytest.raises(ValueError, match="no finite numbers"):
        frechet_distance(np.full((4, 2), np.nan), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="found 2 and 3 features"):
        frechet_distance(np.eye(4, 2), np.eye(4, 3))
