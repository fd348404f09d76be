"""All distances at once: known values, equality with MONAI on random and on real masks, every empty case."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from understudy.evaluate import dice, hausdorff, hausdorff95, surface_dice
from understudy.evaluate.scores import score_volume
from understudy.evaluate.surface import surface

LABELS = ["ncr_net", "ed", "et"]
REGIONS = {"whole_tumor": LABELS, "tumor_core": ["ncr_net", "et"], "enhancing": ["et"]}
# any folder with BraTS segmentations below it; they may not be handed on, so they are no part of the project
BRATS = Path(os.environ.get("UNDERSTUDY_BRATS", Path(__file__).parents[3] / "shared/data/brats"))


def ball(radius, centre=(40, 40, 40), shape=(80, 80, 80)):
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) <= radius**2


def monai(a, b, spacing_mm, tolerance_mm):
    """(Dice, Hausdorff distance, 95th percentile, surface Dice) of MONAI, in its float32."""
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    p, r = (torch.from_numpy(np.stack([~x, x])[None]) for x in (a, b))
    space = {"spacing": list(spacing_mm)}
    return [
        value.item()
        for value in (
            compute_dice(p, r, include_background=False, ignore_empty=False),
            compute_hausdorff_distance(p, r, **space),
            compute_hausdorff_distance(p, r, percentile=95, **space),
            compute_surface_dice(p, r, [tolerance_mm], **space),
        )
    ]


def assert_equal_to_monai(a, b, spacing_mm, tolerance_mm):
    found = surface(a, b, spacing_mm)
    ours = dice(a, b), found.hausdorff_mm, found.hausdorff95_mm, found.dice(tolerance_mm)
    assert_equal(ours, monai(a, b, spacing_mm, tolerance_mm), max(a.sum(), b.sum()))


def assert_equal(ours, theirs, count):
    """MONAI finds the percentile's rank among at most `count` distances in float32, and interpolates by its rest."""
    rank = 2.0**-23 * count
    atol = [1e-6, 1e-6, 1e-6 + rank * np.nan_to_num(ours[1]), 1e-6]
    for a, b, tolerance in zip(ours, theirs, atol, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=tolerance)


# MONAI, medpy and MetricsReloaded agree on the distances; their 95th percentiles of balls are MONAI's
@pytest.mark.parametrize(
    "a, b, mm, mm95, share",
    [
        (ball(20), ball(20, (40, 40, 45)), 5, 4.5826, None),
        (ball(30), ball(20), 10.3441, 10.2470, 0),
        (ball(20) | ball(0, (5, 5, 5)), ball(20), 41, 0, None),  # to (28, 29, 29)
        (ball(0), ball(0, (40, 40, 42)), 2, 2, 0),
        (ball(0), ball(0, (40, 40, 41)), 1, 1, 1),
        (ball(20), ball(20), 0, 0, 1),
    ],
    ids=["shifted", "nested", "stray", "two apart", "neighbours", "same"],
)
def test_known_values(a, b, mm, mm95, share):
    assert surface(a, b).hausdorff_mm == hausdorff(a, b) == pytest.approx(mm, abs=5e-5)
    assert hausdorff95(a, b) == hausdorff95(b, a) == pytest.approx(mm95, abs=5e-5)
    if share is not None:
        assert surface_dice(a, b) == share


def test_tolerance_and_spacing_are_in_millimetres():
    a, b = ball(0), ball(0, (40, 40, 42))
    assert surface_dice(a, b, tolerance_mm=2) == 1 and surface_dice(a, b, tolerance_mm=1.99) == 0
    assert surface_dice(a, b, (1, 1, 0.5), 1) == 1 and hausdorff95(a, b, (1, 1, 3)) == 6
    assert surface_dice(a, ball(0, (41, 41, 41)), (0.6, 0.6, 0.6), np.sqrt(3) * 0.6) == 1  # rounding is no distance


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(2, 20)] * 3),
    smooth=st.sampled_from([0, 1, 2.5]),
    share=st.sampled_from([0.02, 0.3, 0.7]),
    spacing=st.tuples(*[st.sampled_from([0.5, 1.0, 1.7, 3.75])] * 3),
    tolerance=st.sampled_from([0.3, 1.05, 2.6]),  # none is a distance between voxels, which float32 would round
)
def test_equal_to_monai_on_random_masks(seed, shape, smooth, share, spacing, tolerance):
    rng = np.random.default_rng(seed)

    def blobs():
        x = ndimage.gaussian_filter(rng.standard_normal(shape), smooth)
        return x >= np.quantile(x, 1 - share)

    assert_equal_to_monai(blobs(), blobs(), spacing, tolerance)


def test_equal_to_monai_on_real_masks():
    """Labels and regions of real tumors, against the same of another patient and a shifted copy."""
    files = sorted(BRATS.glob("**/*seg.nii.gz"))
    if not files:
        pytest.skip(f"no BraTS segmentations below {BRATS}; UNDERSTUDY_BRATS names another folder")
    import nibabel

    volumes = []
    for path in files[:3]:
        raw = np.asarray(nibabel.load(path).dataobj).astype(np.uint8)
        volumes.append(np.ascontiguousarray(np.where(raw == 4, 3, raw).transpose(2, 1, 0)))
    pairs = [(volumes[0], np.roll(volumes[0], (1, -2, 1), (0, 1, 2))), (volumes[1], volumes[-1])]
    for prediction, reference in pairs:
        rows = score_volume(prediction, reference, LABELS, (1, 1, 1), REGIONS, 1)
        for row in rows:
            members = [LABELS.index(m) + 1 for m in REGIONS.get(row["label"], [row["label"]])]
            a, b = np.isin(prediction, members), np.isin(reference, members)
            names = "dice", "hausdorff_mm", "hausdorff95_mm", "surface_dice"
            assert_equal([row[n] for n in names], monai(a, b, (1, 1, 1), 1), max(a.sum(), b.sum()))


def test_every_empty_case():
    something, nothing = ball(2), np.zeros((80, 80, 80), bool)
    for a, b in ((something, nothing), (nothing, something)):
        assert surface_dice(a, b) == 0 and np.isnan(hausdorff95(a, b)) and np.isnan(surface(a, b).hausdorff_mm)
    assert np.isnan(surface_dice(nothing, nothing)) and np.isnan(hausdorff95(nothing, nothing))
