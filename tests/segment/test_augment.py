"""Augmentation on the device does what it says: known geometry, ranges, and the same numbers for the same keys."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from understudy.segment import build
from understudy.segment.augment import (
    Augmentation,
    _blur,
    _brightness,
    _contrast,
    _gamma,
    _low_resolution,
    normalised,
    prepare,
)
from understudy.segment.draws import Draws
from understudy.segment.geometry import Moves, moved
from understudy.segment.loss import IGNORE

OFF = {
    "probability": 1, "rotation": [-30, 30], "rotation_probability": 0, "scale": [0.9, 1.1], "scale_probability": 0,
    "flip_probability": 0, "elastic": 2, "elastic_points": 3, "elastic_probability": 0, "interpolation": "cubic",
    "noise": [0, 0.05], "noise_probability": 0, "blur": [0.5, 1.0], "blur_probability": 0,
    "zoom": [0.75, 1.0], "zoom_probability": 0, "gamma": [0.8, 1.2], "gamma_probability": 0,
    "inverted_gamma_probability": 0, "gamma_keeps_moments": True, "channel_probability": 0.5,
}  # fmt: skip
ALL_ON = {k: 1 if k.endswith("probability") else v for k, v in OFF.items()}
SOMETIMES = {k: 0.5 if k.endswith("probability") else v for k, v in OFF.items()}


def batch(n=4, size=32):
    host = torch.Generator().manual_seed(0)
    x_NCHW = torch.zeros(n, 4, size, size, dtype=torch.uint8)
    x_NCHW[:, :, 6:-6, 6:-6] = torch.randint(20, 250, (n, 4, size - 12, size - 12), generator=host, dtype=torch.uint8)
    classes = torch.zeros(n, size, size, dtype=torch.int64)
    classes[:, 10:20, 12:24] = torch.randint(0, 4, (n, 10, 12), generator=host)
    return x_NCHW, classes


def test_nothing_on_is_the_plain_preparation():
    x_NCHW, classes = batch()
    x, y = Augmentation(OFF)(x_NCHW, classes, 1, range(4))
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


def released(x_NCHW, size):
    """The released code's order, step by step: zeros around the image, then the z-score over all that is not the
    channel's minimum, which the background gets as well."""
    n, channels, height, _ = x_NCHW.shape
    padded = np.zeros((n, channels, size, size))
    start = (size - height) // 2
    padded[:, :, start : start + height, start : start + height] = x_NCHW.numpy() / 256
    for plane in padded.reshape(-1, size, size):
        foreground = plane[plane != plane.min()]
        plane[:] = (plane - foreground.mean()) / foreground.std(ddof=1)
    return padded


def test_zeros_around_an_image_come_before_the_z_score():
    x_NCHW, classes = batch()
    x_NCHW[0, 0] += 3  # a synthetic image whose background is not 0: zeros around it are the minimum then
    network = build("unet", channels=4, classes=4, size=32, depth=3, base_filters=2, padding="valid")
    expected = released(x_NCHW, network.input_size)
    np.testing.assert_allclose(prepare(x_NCHW, pad=network.pad_to_input).numpy(), expected, atol=2e-5)
    x, _ = Augmentation(OFF, pad=network.pad_to_input)(x_NCHW, classes, 1, range(4))
    np.testing.assert_allclose(x.numpy(), expected, atol=2e-5)
    assert abs(x[0, 1, 0, 0]) > 1  # no brain at its mean around the image


NNUNET = OFF | {
    "mirror_probability": 0, "brightness": [0.75, 1.25], "brightness_probability": 0,
    "contrast": [0.75, 1.25], "contrast_probability": 0,
}  # fmt: skip


def test_what_nnunet_adds_is_off_until_it_is_asked_for():
    x_NCHW, classes = batch()
    for options in (OFF, SOMETIMES):
        more = NNUNET | options  # an image draws the same numbers as without
        ours, theirs = (Augmentation(o)(x_NCHW, classes, 1, range(4)) for o in (options, more))
        assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])


def test_mirroring_turns_each_axis_by_itself():
    x_NCHW, classes = batch()
    x, y = Augmentation(NNUNET | {"mirror_probability": 1}, "raw")(x_NCHW, classes, 1, range(4))
    assert torch.equal(y, classes.flip(1, 2))
    np.testing.assert_allclose(x.numpy(), x_NCHW.flip(2, 3).float().numpy(), atol=0.01)
    x_NCHW, classes = batch(400)
    _, y = Augmentation(NNUNET | {"mirror_probability": 0.5})(x_NCHW, classes, 1, range(400))
    kinds = [classes, classes.flip(1), classes.flip(2), classes.flip(1, 2)]
    shares = [torch.tensor([torch.equal(a, b) for a, b in zip(y, kind, strict=True)]).float().mean() for kind in kinds]
    assert all(0.18 < share < 0.32 for share in shares)


def test_brightness_and_contrast():
    x_MHW = torch.rand(3, 8, 8) + 0.1
    x_MHW[:, 0] = 0  # background
    assert torch.allclose(_brightness(x_MHW, [0.75, 1, 1.25])[2], 1.25 * x_MHW[2])
    bent = _contrast(x_MHW, [0.5, 1, 1.25])
    mean = x_MHW[0].mean()
    assert torch.allclose(bent[0], (x_MHW[0] - mean) * 0.5 + mean) and torch.allclose(bent[1], x_MHW[1], atol=1e-6)
    assert bent[2].max() <= x_MHW[2].max() and bent[2].min() == x_MHW[2].min() == 0  # within its range
    assert all((plane[0] == plane.min()).all() for plane in bent)  # the background stays the minimum
    x_NCHW, classes = batch()
    options = NNUNET | {"brightness_probability": 1, "contrast_probability": 1}
    x, _ = Augmentation(options, "raw")(x_NCHW, classes, 1, range(4))
    assert not torch.equal(x, x_NCHW.float()) and x.isfinite().all()


def test_bytes_as_they_are():
    x_NCHW, classes = batch()
    assert torch.equal(prepare(x_NCHW, "raw"), x_NCHW.float())
    x, _ = Augmentation(OFF, "raw")(x_NCHW, classes, 1, range(4))
    assert torch.equal(x, x_NCHW.float())


def test_the_same_keys_give_the_same_batch_and_others_do_not():
    augmentation = Augmentation(ALL_ON)
    first, again, other = (augmentation(*batch(), 1, range(seen, seen + 4)) for seen in (0, 0, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].isfinite().all() and first[0].shape == (4, 4, 32, 32)


@pytest.mark.parametrize("options", [ALL_ON, SOMETIMES])
def test_an_image_is_augmented_alike_whatever_its_batch(options):
    """One batch of twelve, four of three, and the shares of two processes."""
    x_NCHW, classes = batch(12)
    augmentation = Augmentation(options)
    x, y = augmentation(x_NCHW, classes, 7, range(100, 112))
    threes = [augmentation(x_NCHW[i : i + 3], classes[i : i + 3], 7, range(100 + i, 103 + i)) for i in (0, 3, 6, 9)]
    torch.testing.assert_close(torch.cat([part for part, _ in threes]), x, atol=1e-4, rtol=0)
    assert torch.equal(torch.cat([part for _, part in threes]), y)
    odd, odd_classes = augmentation(x_NCHW[1::2], classes[1::2], 7, range(101, 113, 2))
    torch.testing.assert_close(odd, x[1::2], atol=1e-4, rtol=0)
    assert torch.equal(odd_classes, y[1::2])


def blobs(size=65, seed=0):
    """A smooth image, dark at its borders, on which all interpolations agree."""
    rows, columns = np.mgrid[:size, :size] - size // 2
    image = ndimage.gaussian_filter(np.random.default_rng(seed).random((size, size)), 4)
    image = (image - image.min()) / np.ptp(image)
    return (image * np.exp(-(rows**2 + columns**2) / (0.2 * size) ** 2)).astype(np.float32)


@pytest.mark.parametrize("cubic", [True, False])
@pytest.mark.parametrize(
    ("degrees", "scale", "flip"),
    [(0, (1.1, 1.1), (0, 0)), (20, (1, 1), (0, 0)), (-30, (0.9, 1.2), (0, 0)), (25, (1.1, 0.8), (1, 0)),
     (0, (1, 1), (0, 1))],
)  # fmt: skip
def test_rotation_scaling_and_flips_equal_scipy(degrees, scale, flip, cubic):
    """About the image's centre, images and labels alike."""
    image, size, angle = blobs(), 65, np.deg2rad(degrees)
    moves = Moves(np.array([angle]), np.array([scale]), np.array([flip], bool))
    classes = (image > 0.4).astype(np.int64)
    x, y = moved(torch.from_numpy(image)[None, None], torch.from_numpy(classes)[None], moves, cubic)
    sign_y, sign_x = (-1 if f else 1 for f in flip[::-1])
    c, s = np.cos(angle), np.sin(angle)
    # input (row, column) of output (row, column): turn back, then shrink, then flip
    inverse = np.diag([sign_y / scale[1], sign_x / scale[0]]) @ np.array([[c, -s], [s, c]])
    offset = size // 2 - inverse @ [size // 2, size // 2]
    expected = ndimage.affine_transform(image, inverse, offset, order=3 if cubic else 1)
    np.testing.assert_allclose(x[0, 0].numpy(), expected.clip(0), atol=0.01)
    labels = ndimage.affine_transform(classes, inverse, offset, order=0, mode="grid-constant", cval=IGNORE)
    assert (y[0].numpy() == labels).mean() > 0.995  # a few lie on the edge between two pixels
    assert ((y[0].numpy() == 1) != (labels == 1)).sum() < 0.02 * (labels == 1).sum()


def test_elastic_deformation_equals_scipy():
    """As the package elasticdeform, deform_random_grid: random shifts on a 3 x 3 grid, a cubic spline between them."""
    image, size = blobs(), 65
    shift = np.random.default_rng(3).normal(0, 2, (2, 3, 3))  # x, y
    moves = Moves(np.zeros(1), np.ones((1, 2)), np.zeros((1, 2), bool), shift[None])
    classes = (image > 0.4).astype(np.int64)
    x, y = moved(torch.from_numpy(image)[None, None], torch.from_numpy(classes)[None], moves, cubic=True)
    rows, columns = np.mgrid[:size, :size].astype(float)
    grid = np.stack([rows, columns]) * 2 / (size - 1)
    by_x, by_y = (ndimage.map_coordinates(values, grid, order=3, mode="mirror") for values in shift)
    places = np.stack([rows + by_y, columns + by_x])
    expected = ndimage.map_coordinates(image, places, order=3)
    np.testing.assert_allclose(x[0, 0].numpy(), expected.clip(0), atol=0.01)
    labels = ndimage.map_coordinates(classes, places, order=0, mode="grid-constant", cval=IGNORE)
    assert (y[0].numpy() == labels).mean() > 0.995
    assert 0.5 < np.abs(places - np.stack([rows, columns])).max() < 8


def test_what_is_drawn_has_the_distribution_that_is_asked_for():
    draws = Draws(5, np.arange(4000), {"angle": 1, "shift": 8, "turned": 1})
    angles, shifts = draws.between("angle", -30, 30)[:, 0], draws.normal("shift", 2)
    assert stats.kstest(angles, stats.uniform(-30, 60).cdf).pvalue > 0.01
    assert stats.kstest(shifts.ravel(), stats.norm(0, 2).cdf).pvalue > 0.01
    assert draws.happens("turned", 0.3).mean() == pytest.approx(0.3, abs=0.03)


def test_the_numbers_of_an_operation_do_not_depend_on_those_behind_it():
    """Every recipe draws the same numbers, whatever it makes of them; a further operation changes none before it."""
    few, more = (Draws(5, np.arange(9), counts) for counts in ({"angle": 2}, {"angle": 2, "new": 7}))
    np.testing.assert_array_equal(few.numbers["angle"], more.numbers["angle"])


def test_pixels_from_outside_are_ignored():
    x_NCHW = torch.full((8, 4, 32, 32), 100, dtype=torch.uint8)
    options = OFF | {"rotation_probability": 1, "scale_probability": 1, "scale": [0.7, 0.7]}
    _, y = Augmentation(options)(x_NCHW, torch.zeros(8, 32, 32, dtype=torch.int64), 3, range(8))
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
    bent = _gamma(x_MHW, [0.8, 1.2], inverted, keep_moments=True)
    inside = x_MHW > 0
    assert torch.equal(bent[~inside], x_MHW[~inside]) and not torch.equal(bent, x_MHW)
    for before, after, mask in zip(x_MHW, bent, inside, strict=True):
        assert after[mask].mean().item() == pytest.approx(before[mask].mean().item(), abs=0.01)
        assert after[mask].std().item() == pytest.approx(before[mask].std().item(), abs=0.01)


def test_gamma_alone_is_a_power():
    x_MHW = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.1
    x_MHW[:, :5] = 0
    bent = _gamma(x_MHW, [0.8, 1.2], inverted=False, keep_moments=False)
    high = x_MHW.amax((1, 2), keepdim=True)
    expected = high * (x_MHW / high) ** torch.tensor([0.8, 1.2])[:, None, None]
    torch.testing.assert_close(bent, expected)


def test_half_of_the_images_are_left_alone_if_asked():
    x_NCHW, classes = batch(200)
    x, _ = Augmentation(ALL_ON | {"probability": 0.5})(x_NCHW, classes, 1, range(200))
    changed = (x != prepare(x_NCHW)).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.5, abs=0.1)


def test_operations_happen_as_often_as_asked():
    """With probability 0.5 and every channel touched, about half of 400 images are noisy."""
    x_NCHW, classes = batch(400)
    options = OFF | {"noise_probability": 0.5, "channel_probability": 1, "noise": [0.05, 0.05]}
    x, _ = Augmentation(options)(x_NCHW, classes, 1, range(400))
    changed = (x != prepare(x_NCHW)).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.5, abs=0.08)
