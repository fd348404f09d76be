"""Hundreds of broken folders, made by crossing formats, files and ways to break them: one clear line each.

The steps of `understudy init` are called without its command line, which tests/begin/test_broken_folders.py has.
"""

import gzip
import shutil
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from understudy.begin.recognise import recognise
from understudy.begin.survey import survey

pytestmark = pytest.mark.filterwarnings("error")  # a warning would be one more line
SHAPE = (12, 10, 4)
IMAGE, MASK = "image", "mask"


class Nifti:
    """`names` are those of the files of one subject and kind; the last is the one that is broken."""

    ending, other_ending = ".nii.gz", ".nii"

    @classmethod
    def names(cls, seed, kind):
        return [f"p{seed}_{kind}{cls.ending}"]

    @staticmethod
    def write(path, voxels, spacing=(1, 1, 1), flipped=False):
        affine = np.diag([*(mm * sign for mm, sign in zip(spacing, (1 if flipped else -1, -1, 1), strict=True)), 1.0])
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


class Nrrd(Nifti):
    ending, other_ending = ".nrrd", None
    types = {"i2": "short", "u1": "uchar", "f4": "float", "f8": "double"}

    @classmethod
    def write(cls, path, voxels, spacing=(1, 1, 1), flipped=False):
        x, y, z = spacing
        lines = [
            "NRRD0004", f"type: {cls.types[voxels.dtype.str[1:]]}", "dimension: 3", "space: left-posterior-superior",
            f"sizes: {' '.join(map(str, voxels.shape))}", "endian: little", "encoding: gzip", "space origin: (0,0,0)",
            f"space directions: ({-x if flipped else x},0,0) (0,{y},0) (0,0,{z})",
        ]  # fmt: skip
        path.write_bytes("\n".join(lines).encode() + b"\n\n" + gzip.compress(voxels.tobytes(order="F")))


class Png(Nifti):
    ending, other_ending = ".png", ".tif"

    @staticmethod
    def write(path, voxels):
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), voxels[:, :, 1].T.astype(np.uint16))


class SeveralPng(Png):
    @staticmethod
    def names(seed, kind):
        return [f"p{seed}/{number}_{kind}.png" for number in (1, 2)]


FORMATS = {"NIfTI": Nifti, "NRRD": Nrrd, "PNG": Png, "several PNG": SeveralPng}


def arrays(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:8, 3:6, 1:3] = 1
    return {IMAGE: rng.integers(1, 900, SHAPE).astype(np.int16), MASK: mask}


class Folder:
    def __init__(self, root: Path, form, subjects=3):
        self.root, self.form = root, form
        root.mkdir()
        for seed in range(subjects):
            for kind, voxels in arrays(seed).items():
                for name in form.names(seed, kind):
                    form.write(root / name, voxels)

    def path(self, seed, kind):
        return self.root / self.form.names(seed, kind)[-1]


# ---------------------------------------------------------------- one file of a subject, whatever is in it
def replaced(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def in_place(make):
    def change(path):
        path.unlink()
        make(path)

    return change


def linked(target):
    return in_place(lambda path: path.symlink_to(target))


def linked_out(path):
    outside = path.parent.parent / f"secret{path.suffix}"
    outside.write_text("root:x:0:0:root:/root:/bin/bash\n" * 40)
    path.unlink()
    path.symlink_to(outside)


OTHER = {Path(f"a{form.ending}").suffix: form.other_ending for form in FORMATS.values()}
FILES = {
    "empty": replaced(lambda content: b""),
    "a byte": replaced(lambda content: content[:1]),
    "the beginning": replaced(lambda content: content[:40]),
    "half": replaced(lambda content: content[: len(content) // 2]),
    "without its end": replaced(lambda content: content[:-4]),
    "without its beginning": replaced(lambda content: content[9:]),
    "zeros": replaced(lambda content: bytes(len(content))),
    "text": replaced(lambda content: b"a page that says 404\n" * 30),
    "another end": replaced(lambda content: content[:-40] + b"\xff" * 40),
    "twice": replaced(lambda content: content + content),
    "packed twice": replaced(gzip.compress),
    "no file": lambda path: path.unlink(),
    "a folder": in_place(lambda path: path.mkdir()),
    "a link to nothing": linked("/nowhere/at/all"),
    "a link to itself": in_place(lambda path: path.symlink_to(path)),
    "a link to a device": linked("/dev/zero"),
    "a link to text elsewhere": linked_out,
    "another ending as well": lambda path: shutil.copy(
        path, path.with_name(path.name.split(".")[0] + OTHER[path.suffix])
    ),
}


# ---------------------------------------------------------------- what no image and no mask can be
def kept(voxels):
    return voxels


def part(voxels):
    return voxels[:-1]


def turned(voxels):
    return voxels.transpose(1, 0, 2)


def nan(voxels):
    return np.where(voxels > 0, np.nan, 0.0)


def infinite(voxels):
    return np.where(voxels > 0, np.inf, 0.0)


def negative(voxels):
    return (-voxels.astype(np.int16)).astype(np.int16)


VOXELS = {
    "fewer voxels": (part, {}),
    "axes turned": (turned, {}),
    "another spacing": (kept, {"spacing": (2, 1, 1)}),
    "thicker slices": (kept, {"spacing": (1, 1, 3)}),
    "another orientation": (kept, {"flipped": True}),
    "NaN": (nan, {}),
    "infinity": (infinite, {}),
    "below zero": (negative, {}),
}
OF_IMAGES = {
    "nothing in it": (lambda voxels: 0 * voxels, {}),
    "one value": (lambda voxels: 0 * voxels + np.int16(7), {}),
}
OF_MASKS = {
    "parts of labels": (lambda voxels: voxels * np.float32(0.5), {}),
    "an image as mask": (lambda voxels: np.arange(voxels.size, dtype=np.int16).reshape(voxels.shape), {}),
}
OF_PNG = {"fewer voxels", "axes turned", "one value", "an image as mask"}
OF_SEVERAL = OF_PNG - {"one value"}  # of one image of several
FINE = {
    ("NRRD", "another ending as well"),
    *((form, what) for form in ("PNG", "several PNG") for what in ("twice", "without its end")),
}
CASES = [
    *((form, kind, seed, what) for form in FORMATS for kind in (IMAGE, MASK) for seed in (0, 1, 2) for what in FILES
      if (form, what) not in FINE),
]  # fmt: skip
CHANGED = [
    (form, kind, seed, what)
    for form in FORMATS
    for kind, own in ((IMAGE, OF_IMAGES), (MASK, OF_MASKS))
    for seed in (0, 2)
    for what in {**VOXELS, **own}
    if what in {"PNG": OF_PNG, "several PNG": OF_SEVERAL}.get(form, {what})
]


def said_of(root):
    """What a person is told."""
    with pytest.raises(ValueError) as refused:
        survey(recognise(root, "mine"))
    return str(refused.value)


def assert_clear(said, root):
    assert "\n" not in said and ": found " in said and "expected" in said, said
    assert len(said) < 600 and (str(root) in said or said.startswith("p")), said


@pytest.fixture(autouse=True)
def needs_pynrrd(request):
    if "NRRD" in request.node.name:
        pytest.importorskip("nrrd", reason="pynrrd is an extra of understudy: pip install pynrrd")


@pytest.mark.parametrize(("form", "kind", "seed", "what"), CASES)
def test_a_file_that_is_none(form, kind, seed, what, tmp_path):
    folder = Folder(tmp_path / "raw", FORMATS[form])
    FILES[what](folder.path(seed, kind))
    assert_clear(said_of(folder.root), folder.root)


@pytest.mark.parametrize(("form", "kind", "seed", "what"), CHANGED)
def test_voxels_that_do_not_fit(form, kind, seed, what, tmp_path):
    folder = Folder(tmp_path / "raw", FORMATS[form])
    change, how = {**VOXELS, **OF_IMAGES, **OF_MASKS}[what]
    folder.form.write(folder.path(seed, kind), change(arrays(seed)[kind]), **how)
    said = said_of(folder.root)
    assert_clear(said, folder.root)
    assert f"p{seed}" in said or "shape" in said or "affine" in said, said  # of those of one grid either may be wrong


@pytest.mark.parametrize("form", ["PNG", "several PNG"])
def test_an_image_in_colour(form, tmp_path):
    folder = Folder(tmp_path / "raw", FORMATS[form])
    cv2.imwrite(str(folder.path(1, IMAGE)), np.zeros((10, 12, 3), np.uint8))
    said = said_of(folder.root)
    assert_clear(said, folder.root)
    assert "pixels of mode RGB" in said


def test_the_folders_are_four_hundred():
    assert len(CASES) + len(CHANGED) >= 400


@pytest.mark.parametrize("form", FORMATS)
def test_the_folder_itself_is_fine(form, tmp_path):
    folder = Folder(tmp_path / "raw", FORMATS[form])
    assert survey(recognise(folder.root, "mine")).labels == {1: "label_1"}
