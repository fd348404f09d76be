"""The Frechet distance: Gaussians whose distance is known, and an order on images that anybody would give."""

import numpy as np
import pytest
import torch.nn.functional as F
from torch import from_numpy

from understudy.evaluate.frechet import Moments, features, frechet_distance


def test_commuting_covariances_have_a_closed_form():
    """Diagonal: |m - n|^2 + sum (s - t)^2 of standard deviations."""
    s, t = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
    a, b = Moments(np.zeros(3), np.diag(s**2)), Moments(np.array([1.0, -2.0, 0.0]), np.diag(t**2))
    assert frechet_distance(a, b) == pytest.approx(5 + np.square(s - t).sum())
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


def test_rotations_change_nothing_and_a_low_rank_is_no_trouble():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 8)), rng.normal(size=(6, 8)) + 1  # fewer vectors than dimensions
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    plain, turned = (
        [Moments(z.mean(0), np.cov(z, rowvar=False)) for z in pair] for pair in ((x, y), (x @ turn, y @ turn))
    )
    assert frechet_distance(*plain) == pytest.approx(frechet_distance(*turned))
    assert frechet_distance(plain[0], plain[0]) == pytest.approx(0, abs=1e-6)


def images(seed, n=200):
    """Smooth images with a bright square, uint8 (n, 2, 32, 32)."""
    rng = np.random.default_rng(seed)
    x = F.interpolate(from_numpy(rng.random((n, 2, 5, 5))), size=32, mode="bilinear").numpy()
    for i, (row, column) in enumerate(rng.integers(0, 24, (n, 2))):
        x[i, :, row : row + 8, column : column + 8] = 1
    return (255 * x).astype(np.uint8)


def test_it_grows_with_the_damage():
    real = Moments.of([images(0)])
    noise = np.random.default_rng(1).integers(-1, 2, (200, 2, 32, 32))

    def distance(x_NCHW):
        return frechet_distance(Moments.of([x_NCHW]), real)

    noisy = [distance((images(2) + level * noise).clip(0, 255).astype(np.uint8)) for level in (0, 20, 60)]
    one_mode = distance(np.repeat(images(2)[:2], 100, 0))
    assert noisy[0] < noisy[1] < noisy[2] and noisy[0] < one_mode


def test_blocks_and_the_order_of_images_do_not_matter():
    x = images(3)
    whole, parts = Moments.of([x]), Moments.of([x[150:], x[:150]])
    np.testing.assert_allclose(whole.mean, parts.mean)
    np.testing.assert_allclose(whole.covariance, parts.covariance, atol=1e-9)
    assert features(x).shape == (200, 352)


def test_one_image_is_no_distribution():
    with pytest.raises(ValueError, match="found 1 images, expected at least 2"):
        Moments.of([images(0, 1)])
