"""2D images: pixels as they lie, paired by name, and one clear error for what is no grey image."""

import cv2
import numpy as np
import pytest
from PIL import Image

from understudy.prepare.index import Settings, check_subject
from understudy.prepare.layouts import find_subjects, layouts_of
from understudy.prepare.read_volumes import read_volume

PIXELS = np.random.default_rng(0).integers(0, 60_000, (5, 7)).astype(np.uint16)
LAYOUT = {"xray": "{subject}/view_{image}.png", "seg": "{subject}/view_{image}_mask.png"}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels(dtype, ending, tmp_path):
    volume = read_volume(save(tmp_path / f"a.{ending}", PIXELS.astype(dtype)))
    np.testing.assert_array_equal(volume.data_XYZ[:, :, 0].T, PIXELS.astype(dtype))
    assert (volume.data_XYZ.dtype, volume.spacing_mm, volume.stored_axcodes) == (dtype, (1, 1, 1), "LPS")


def test_floats_and_masks_of_one_bit(tmp_path):
    Image.fromarray(PIXELS.astype(np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").data_XYZ[:, :, 0].T, PIXELS)
    Image.fromarray(PIXELS > 30_000).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "b.png").data_XYZ[:, :, 0].T, (PIXELS > 30_000) * 1)


def subject(root, images=("1", "2", "10"), masks=("1", "2", "10")):
    for name in images:
        save(root / f"p/view_{name}.png", PIXELS + np.uint16(int(name)))
    for name in masks:
        save(root / f"p/view_{name}_mask.png", (PIXELS > 30_000).astype(np.uint8))


def checked(root, work):
    """The problems of the one subject there, as `prepare` would tell them."""
    layouts = layouts_of(LAYOUT, {1: "fracture"})
    subjects, problems = find_subjects(root, layouts, list(LAYOUT))
    settings = Settings(root, tuple(LAYOUT), 16, "LPS", ("fracture",), (), work)
    return problems + [line for one in subjects for line in check_subject(settings, one)["problems"]]


def test_images_of_a_subject_are_its_slices(tmp_path):
    """In the order of their numbers."""
    subject(tmp_path / "raw")
    volume = read_volume(tmp_path / "raw/p/view_{image}.png")
    assert volume.names == ("1", "2", "10")
    for k, number in enumerate((1, 2, 10)):
        np.testing.assert_array_equal(volume.data_XYZ[:, :, k].T, PIXELS + number)
    assert checked(tmp_path / "raw", tmp_path) == []


def test_a_changed_image_is_checked_again(tmp_path):
    subject(tmp_path / "raw")
    assert checked(tmp_path / "raw", tmp_path) == []
    (tmp_path / "raw/p/view_2_mask.png").write_bytes(b"no image")
    (line,) = checked(tmp_path / "raw", tmp_path)
    assert "found a damaged image, view_2_mask.png" in line


def test_images_pair_by_name(tmp_path):
    subject(tmp_path / "raw", masks=("1", "2", "11"))
    (line,) = checked(tmp_path / "raw", tmp_path)
    assert "found ['10', '11'] in one alone, expected the same images as in view_{image}.png" in line


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: save(path, np.dstack([PIXELS] * 3)), "found pixels of mode .*expected grey levels"),
        (lambda path: Image.fromarray(PIXELS.astype(np.uint8)).convert("P").save(path), "found pixels of mode P"),
        (lambda path: path.write_bytes(b""), "found a damaged image, view_2.png"),
        (lambda path: path.write_bytes(path.with_name("view_1.png").read_bytes()[:-30]), "found a damaged image"),
        (lambda path: Image.fromarray(PIXELS.astype(np.uint8)).save(path, format="JPEG"), "found a damaged image"),
        (lambda path: save(path, PIXELS[:, 1:]), "found 6 x 5 pixels of uint16 in view_2.png, expected 7 x 5"),
        (lambda path: save(path, PIXELS.astype(np.uint8)), "found 7 x 5 pixels of uint8"),
        (lambda path: Image.new("1", (20_000, 20_000)).save(path), "found more than [0-9]+ pixels in view_2.png"),
    ],
)  # fmt: skip
def test_what_is_no_grey_image(make, message, tmp_path):
    subject(tmp_path / "raw")
    make(tmp_path / "raw/p/view_2.png")
    with pytest.raises(ValueError, match=message):
        read_volume(tmp_path / "raw/p/view_{image}.png")


def test_pages(tmp_path):
    pages = [Image.fromarray(PIXELS.astype(np.uint8))] * 2
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="a.tif: found 2 pages in a.tif, expected one"):
        read_volume(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "pattern", ["{image}/{subject}.png", "{subject}_{image}_{image}.png", "{subject}_{image}*.png"]
)
def test_a_pattern_that_pairs_nothing(pattern):
    with pytest.raises(ValueError, match="expected {image} once, in the file's name, without a star"):
        layouts_of({"xray": pattern, "seg": "{subject}.png"}, {1: "a"})
