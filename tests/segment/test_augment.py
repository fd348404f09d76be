"""Augmentation on the device does what it says: known geometry, ranges, and the same numbers for the same keys."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from understudy.segment.augment import Augmentation, _blur, _gamma, _low_resolution, normalised, prepare
from understudy.segment.loss import IGNORE

OFF = {
    "rotation": 30, "rotation_probability": 0, "scale": [0.9, 1.1], "scale_probability": 0,
    "noise": [0, 0.05], "noise_probability": 0, "blur": [0.5, 1.0], "blur_probability": 0,
    "zoom": [0.75, 1.0], "zoom_probability": 0, "gamma": [0.8, 1.2], "gamma_probability": 0,
    "inverted_gamma_probability": 0, "channel_probability": 0.5,
}  # fmt: skip
ALL_ON = {k: 1 if k.endswith("probability") else v for k, v in OFF.items()}


def batch(n=4, size=32):
    host = torch.Generator().manual_seed(0)
    x_NCHW = torch.zeros(n, 4, size, size, dtype=torch.uint8)
    x_NCHW[:, :, 6:-6, 6:-6] = torch.randint(20, 250, (n, 4, size - 12, size - 12), generator=host, dtype=torch.uint8)
    classes = torch.zeros(n, size, size, dtype=torch.int64)
    classes[:, 10:20, 12:24] = torch.randint(0, 4, (n, 10, 12), generator=host)
    return x_NCHW, classes


def test_nothing_on_is_the_plain_preparation():
    x_NCHW, classes = batch()
    x, y = Augmentation(OFF)(x_NCHW, classes, 1, 0)
    assert torch.equal(x, prepare(x_NCHW)) and torch.equal(y, classes)


def test_z_score_is_over_the_foreground():
    x_NCHW, _ = batch()
    z = prepare(x_NCHW)
    inside = x_NCHW[0, 1] > x_NCHW[0, 1].min()
    values = z[0, 1][inside]
    assert values.mean().item() == pytest.approx(0, abs=1e-5)
    assert values.std().item() == pytest.approx(1, abs=1e-5)  # ddof 1
    foreground = x_NCHW[0, 1][inside].float() / 256
    assert z[0, 1, 0, 0].item() == pytest.approx(-(foreground.mean() / foreground.std()).item(), rel=1e-4)
    assert normalised(torch.full((1, 1, 4, 4), 7.0)).isfinite().all()


def test_the_same_keys_give_the_same_batch_and_others_do_not():
    augmentation = Augmentation(ALL_ON)
    first, again, other = (augmentation(*batch(), 1, images_seen) for images_seen in (0, 0, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].isfinite().all() and first[0].shape == (4, 4, 32, 32)


@pytest.mark.parametrize(("degrees", "scale"), [(0.0, 1.1), (20.0, 1.0), (-30.0, 0.9)])
def test_rotation_and_scaling_move_images_and_labels_alike(degrees, scale):
    """Against scipy's affine transform about the image centre, and labels follow the image."""
    size = 65
    angle = np.deg2rad(degrees)
    rows, columns = np.mgrid[:size, :size] - size // 2
    disc = (((rows - 6) / 9) ** 2 + ((columns + 8) / 14) ** 2 < 1).astype(np.uint8)
    x_NCHW = torch.from_numpy(disc * 200)[None, None]
    augmentation = Augmentation(OFF | {"rotation_probability": 1, "scale_probability": 1, "scale": [scale, scale]})

    class Drawn:
        """A host generator whose angle is the one under test."""

        def random(self, n):
            return np.zeros(n)

        def uniform(self, low, high, n):
            return np.full(n, degrees if low < 0 else scale)

    x, y = augmentation._affine(x_NCHW.float(), torch.from_numpy(disc)[None].long(), Drawn())
    c, s = np.cos(angle) / scale, np.sin(angle) / scale
    matrix_yx = np.array([[c, -s], [s, c]])
    offset = size // 2 - matrix_yx @ [size // 2, size // 2]
    expected = ndimage.affine_transform(disc.astype(float), matrix_yx, offset, order=1) > 0.5
    found = y[0].numpy() == 1
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.97
    moved = x[0, 0].numpy() > 100
    assert 2 * (moved & expected).sum() / (moved.sum() + expected.sum()) > 0.97


def test_pixels_from_outside_are_ignored():
    x_NCHW = torch.full((8, 4, 32, 32), 100, dtype=torch.uint8)
    options = OFF | {"rotation_probability": 1, "scale_probability": 1, "scale": [0.7, 0.7]}
    _, y = Augmentation(options)(x_NCHW, torch.zeros(8, 32, 32, dtype=torch.int64), 3, 0)
    assert set(y.unique().tolist()) == {0, IGNORE}
    assert (y[:, 0, 0] == IGNORE).all() and (y[:, 16, 16] == 0).all()


def test_blur_equals_scipy():
    x_MHW = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    sigmas = [0.5, 0.8, 1.0]
    expected = [
        ndimage.gaussian_filter(x, s, mode="nearest", truncate=4) for x, s in zip(x_MHW.numpy(), sigmas, strict=True)
    ]
    np.testing.assert_allclose(_blur(x_MHW, sigmas, 1.0).numpy(), np.stack(expected), atol=2e-4)


def test_low_resolution_has_as_many_different_values_as_coarse_pixels():
    x_MHW = 1 + torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    low = _low_resolution(x_MHW, [0.75, 1.0])
    assert len(low[0].unique()) == 24 * 24
    torch.testing.assert_close(low[1], x_MHW[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_keeps_mean_and_spread_of_the_foreground(inverted):
    x_MHW = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.1
    x_MHW[:, :5] = 0
    bent = _gamma(x_MHW, [0.8, 1.2], inverted)
    inside = x_MHW > 0
    assert torch.equal(bent[~inside], x_MHW[~inside]) and not torch.equal(bent, x_MHW)
    for before, after, mask in zip(x_MHW, bent, inside, strict=True):
        assert after[mask].mean().item() == pytest.approx(before[mask].mean().item(), abs=0.01)
        assert after[mask].std().item() == pytest.approx(before[mask].std().item(), abs=0.01)


def test_operations_happen_as_often_as_asked():
    """With probability 0.5 and every channel touched, about half of 400 images are noisy."""
    x_NCHW, classes = batch(400)
    options = OFF | {"noise_probability": 0.5, "channel_probability": 1, "noise": [0.05, 0.05]}
    x, _ = Augmentation(options)(x_NCHW, classes, 1, 0)
    changed = (x != prepare(x_NCHW)).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.5, abs=0.08)
