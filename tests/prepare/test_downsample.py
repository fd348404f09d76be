"""`images.downsample`: areas that become a pixel, by hand, and what a stack says of its pixels."""

import numpy as np
import pytest

from understudy.prepare.downsample import area_majority, area_sums
from understudy.prepare.index import index_subjects
from understudy.prepare.slices import slice_volumes
from understudy.stack import Stack

GREY = np.array([0, 51, 102, 0, 204])  # of the raw label values


def test_sums_of_areas():
    x_HW = np.array([[1, 2, 250, 250], [3, 4, 250, 250]], np.uint8)
    assert area_sums(x_HW, 2, np.uint32).tolist() == [[10, 1000]]


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ([0, 0, 0, 204], 0),
        ([0, 0, 204, 204], 204),  # half is enough beside the background
        ([51, 51, 102, 102], 102),  # of two labels the higher level
        ([204, 51, 51, 0], 51),  # the commonest, not the highest
        ([0, 51, 102, 204], 204),  # all alike
        ([0, 0, 51, 204], 0),
    ],
)
def test_majority_of_an_area(area, expected):
    assert area_majority(np.array(area, np.uint8).reshape(2, 2), 2).tolist() == [[expected]]


def test_a_rim_is_kept_where_it_fills_half_an_area():
    """A rim of two pixels on areas of four: wherever it lies, the areas that it fills to a half keep it."""
    for shift in range(4):
        grey_HW = np.zeros((16, 16), np.uint8)
        grey_HW[:, 4 + shift : 6 + shift] = 204
        columns = area_majority(grey_HW, 4)[0].tolist()
        assert columns == ([0, 204, 0, 0] if shift < 3 else [0, 0, 0, 0])  # 3: a quarter of two areas


def study(raw, images, folder, shape=(24, 24, 24), spacing=(1, 1, 1), hounsfield=False):
    """(train, test, subject -> arrays) of three subjects; `hounsfield`: their T1 is a CT."""
    names = {f"BraTS20_Training_00{i}": raw.arrays(i, shape) for i in range(3)}
    if hounsfield:
        for arrays in names.values():
            arrays["t1"] = (arrays["t1"].astype(np.int16) * 3 - 300).astype(np.int16)
    for name, arrays in names.items():
        for channel, voxels in arrays.items():
            raw.save(raw.path(name, channel), voxels, np.diag([-spacing[0], -spacing[1], spacing[2], 1]))
    return *cut(raw, images, folder), names


def cut(raw, images, folder):
    """(train, test)"""
    options = {"layout": "brats2020", "test_subjects": 1, "draw": "seed"}
    index = folder / "subjects.csv"
    index_subjects("data", raw.root, options, images, 1, index, folder / "index")
    outputs = [folder / name for name in ("train.zip", "test.zip", "stacks.json")]
    slice_volumes("data", raw.root, options, images, index, *outputs, folder / "work")
    return Stack.open(outputs[0]), Stack.open(outputs[1])


def expected(v_XYZ, k, size, z):
    """A modality's image: the mean of the voxels of every area, in grey, rounded half up once."""
    width, height, _ = v_XYZ.shape
    padded, full = np.zeros((size * k, size * k)), size * k
    top, left = (full - height) // 2, (full - width) // 2
    padded[top : top + height, left : left + width] = v_XYZ[:, :, z].T
    areas = padded.reshape(size, k, size, k).mean(axis=(1, 3))
    return np.floor(areas * 255 / v_XYZ.max() + 0.5)


# an even and an odd number of pixels, of areas that fit and that do not: a slice is padded to size x downsample
@pytest.mark.parametrize(("shape", "k", "size"), [((24, 24, 8), 2, 16), ((23, 21, 8), 3, 16), ((32, 30, 8), 2, 16)])
def test_stacks_hold_the_means(raw, images, tmp_path, shape, k, size):
    images |= {"size": size, "downsample": k, "area_fraction": 0.05}
    train, test, names = study(raw, images, tmp_path, shape)
    for stack in (train, test):
        assert stack.shape_CHW == (5, size, size) and len(stack)
        for name, x_CHW in zip(stack.names, stack, strict=True):
            arrays, z = names[name.split("/")[0]], int(name[-7:-4])
            for channel in range(4):
                np.testing.assert_array_equal(x_CHW[channel], expected(arrays[raw.channels[channel]], k, size, z))
            assert set(np.unique(x_CHW[4])) <= {0, 51, 102, 204}


def test_a_ct_has_the_mean_in_hu_and_black_around_it(raw, images, tmp_path):
    """23 voxels and areas of 3: the areas at the border hold padding, which is as black as air, not grey as water."""
    images |= {"size": 16, "downsample": 3, "area_fraction": 0.05, "windows": {"t1": [-160, 240]}}
    train, test, names = study(raw, images, tmp_path, (23, 21, 8), hounsfield=True)
    for stack in (train, test):
        for name, x_CHW in zip(stack.names, stack, strict=True):
            hu_XYZ, z = names[name.split("/")[0]]["t1"], int(name[-7:-4])
            padded = np.pad(hu_XYZ[:, :, z].T.astype(float), ((13, 14), (12, 13)), constant_values=-160)
            means = padded.reshape(16, 3, 16, 3).mean(axis=(1, 3))
            grey = np.floor((np.clip(means, -160, 240) + 160) / 400 * 255 + 0.5)
            np.testing.assert_array_equal(x_CHW[0], grey)
            assert grey[0, 0] == 0


def test_the_same_slices_are_kept_and_pixels_are_larger(raw, images, tmp_path):
    whole = study(raw, images, tmp_path / "whole", spacing=(1, 2, 3))
    small = study(raw, images | {"size": 8, "downsample": 4}, tmp_path / "small", spacing=(1, 2, 3))
    for before, after in zip(whole[:2], small[:2], strict=True):
        assert before.names == after.names
        for name, about in before.meta["subjects"].items():
            assert about["spacing_mm"] == [3, 2, 1]
            assert after.meta["subjects"][name] == about | {"spacing_mm": [3, 8, 4]}


def test_labels_of_a_stack_are_by_majority(raw, images, tmp_path):
    _, test, names = study(raw, images | {"size": 16, "downsample": 2}, tmp_path)
    subject = test.names[0].split("/")[0]
    grey_ZYX = np.pad(GREY[names[subject]["seg"]].transpose(2, 1, 0), ((0, 0), (4, 4), (4, 4))).astype(np.uint8)
    found_ZYX = np.stack([x_CHW[4] for x_CHW in test])
    np.testing.assert_array_equal(found_ZYX, [area_majority(grey_HW, 2) for grey_HW in grey_ZYX])
    assert set(np.unique(found_ZYX)) == {0, 51, 102, 204}


def test_a_slice_larger_than_the_padding_is_refused(raw, images, tmp_path):
    with pytest.raises(
        ValueError, match=r"found slices of 24 x 24 pixels, expected at most 22 x 22. Raise images.size"
    ):
        study(raw, images | {"size": 11, "downsample": 2}, tmp_path)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.float32])
def test_every_type_of_voxels_gives_the_same_image(raw, images, tmp_path, dtype):
    images |= {"size": 16, "downsample": 2}
    once, _, _ = study(raw, images, tmp_path / "once")
    for path in raw.root.rglob("*_t1.nii.gz"):
        seed = int(path.parent.name[-1])
        raw.save(path, raw.arrays(seed)["t1"].astype(dtype))
    again, _ = cut(raw, images, tmp_path / "again")
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
