"""Known values (facts of the metrics, computed with several libraries) and equality with MONAI."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree

from understudy.evaluate import dice, hausdorff

SHAPE_ZYX = (155, 240, 240)


def voxel(*at: int, shape=SHAPE_ZYX) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[at] = True
    return mask


def ball(radius: float, centre=(77, 120, 120), shape=SHAPE_ZYX) -> np.ndarray:
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) <= radius**2


def monai_mm(a: np.ndarray, b: np.ndarray, spacing_mm) -> float:
    """MONAI's distance; from its edges where float32, in which it answers, is too coarse to compare 1e-6 mm."""
    import torch
    from monai.metrics import compute_hausdorff_distance
    from monai.metrics.utils import get_mask_edges

    edges = [np.argwhere(e) * np.array(spacing_mm) for e in get_mask_edges(a, b)]
    exact = max(cKDTree(edges[1]).query(edges[0])[0].max(), cKDTree(edges[0]).query(edges[1])[0].max())
    one_hot = (torch.from_numpy(x[None, None]) for x in (a, b))
    rounded = compute_hausdorff_distance(*one_hot, include_background=True, spacing=list(spacing_mm)).item()
    assert rounded == np.float32(exact)
    return exact


KNOWN_MM = {
    "voxels offset (3, 4, 12)": (voxel(10, 10, 10), voxel(13, 14, 22), 13),
    "ball shifted by 5": (ball(20), ball(20, (77, 120, 125)), 5),
    "nested balls": (ball(30), ball(20), 10.3441),
    "ball and stray voxel": (ball(20) | voxel(10, 10, 10), ball(20), 149.5894),
    "opposite corners": (voxel(0, 0, 0), voxel(154, 239, 239), 371.4270),
    "shell and filled ball": (ball(20) & ~ball(10), ball(20), 9.3808),
}


@pytest.mark.parametrize("a, b, mm", KNOWN_MM.values(), ids=KNOWN_MM.keys())
def test_known_distances(a, b, mm):
    assert hausdorff(a, b) == hausdorff(b, a) == pytest.approx(mm, abs=5e-5)


def test_distance_is_in_millimetres():
    a, b = voxel(10, 10, 10), voxel(13, 14, 22)
    assert hausdorff(a, b, (2, 2, 2)) == 26
    assert hausdorff(a, b, (1, 3, 0.5)) == pytest.approx(np.sqrt(3**2 + 12**2 + 6**2))


def test_two_dimensions():
    square = np.zeros((20, 20), bool)
    square[5:10, 5:10] = True
    assert hausdorff(square, np.roll(square, (3, 4), (0, 1))) == 5
    assert hausdorff(voxel(0, 0, shape=(9, 9)), voxel(0, 2, shape=(9, 9)), (1, 3)) == 6


def test_border_of_the_volume_is_an_edge():
    full, hollow = np.ones((9, 9, 9), bool), np.ones((9, 9, 9), bool)
    hollow[1:-1, 1:-1, 1:-1] = False
    assert hausdorff(full, hollow) == 0


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 24)] * 3) | st.tuples(*[st.integers(1, 40)] * 2),
    smooth=st.sampled_from([0, 1, 2.5]),
    share=st.sampled_from([0.02, 0.3, 0.7]),
    spacing=st.tuples(*[st.sampled_from([0.5, 1.0, 1.7, 3.75])] * 3),
)
def test_equal_to_monai(seed, shape, smooth, share, spacing):
    rng = np.random.default_rng(seed)
    spacing = spacing[: len(shape)]

    def blobs():
        x = ndimage.gaussian_filter(rng.standard_normal(shape), smooth)
        return x >= np.quantile(x, 1 - share)

    a, b = blobs(), blobs()
    assert hausdorff(a, b, spacing) == pytest.approx(monai_mm(a, b, spacing), abs=1e-6)
    assert hausdorff(a, b, spacing) == hausdorff(b, a, spacing)
    shared = (a & b).sum()
    assert dice(a, b) == pytest.approx(2 * shared / (a.sum() + b.sum()), abs=1e-12)


def test_does_not_depend_on_where_the_masks_lie():
    rng = np.random.default_rng(1)
    a, b = (ndimage.binary_opening(rng.random((20, 20, 20)) > 0.3) for _ in range(2))
    near = [np.pad(x, [(1, 30), (1, 9), (1, 9)]) for x in (a, b)]
    far = [np.pad(x, [(25, 6), (5, 5), (9, 1)]) for x in (a, b)]
    assert hausdorff(*near) == hausdorff(*far)


def test_memory_order_does_not_matter():
    a, b = ball(9, (20, 30, 30), (40, 60, 60)), ball(7, (22, 33, 30), (40, 60, 60))
    assert hausdorff(np.asfortranarray(a), b) == hausdorff(a, b) == hausdorff(a, np.asfortranarray(b))


def test_empty_masks():
    something, nothing = voxel(1, 1, 1, shape=(4, 4, 4)), np.zeros((4, 4, 4), bool)
    assert dice(something, nothing) == dice(nothing, something) == 0
    assert np.isnan(dice(nothing, nothing))
    for pair in ((something, nothing), (nothing, something), (nothing, nothing)):
        assert np.isnan(hausdorff(*pair))


def test_dice_of_known_masks():
    a, b = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    a[0], b[:, 0] = True, True
    assert dice(a, b) == 0.5 and dice(a, a) == 1 and dice(a, ~a) == 0


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        dice(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="3 positive numbers"):
        hausdorff(np.ones((2, 2, 2)), np.ones((2, 2, 2)), (1, 1))
