"""Reads 2D images (PNG, TIFF): one, or all those of a subject as the slices of one volume.

Rows of an image count as running from anterior to posterior and columns from the patient's right to left, so slices
look as the images do. Pixel sizes are unknown: a pixel counts as 1 mm, and so does the distance to the next image.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from isal import isal_zlib
from PIL import Image

from understudy.files.outside import shortened

from .volume import Stored, check_indices, check_size

IMAGE = "{image}"
_MOST = 10_000  # images of a subject
_GREY = {"1", "L", "I", "I;16", "I;16B", "I;16L", "F"}  # modes of Pillow
_BROKEN = (  # what Pillow raises for broken files, by its version
    OSError, SyntaxError, EOFError, TypeError, KeyError, IndexError, OverflowError, UserWarning,
    struct.error, zlib.error,
)  # fmt: skip
_LPS = np.diag([-1.0, -1, 1, 1])


def images_of(path: Path) -> list[Path]:
    """The files that `{image}` in a name stands for, 2 before 10; the file itself where there is none."""
    if IMAGE not in path.name:
        return [path]
    before, after = path.name.split(IMAGE)
    name = re.compile(re.escape(before) + "([^_]+)" + re.escape(after), re.DOTALL)
    found = [one for one in path.parent.iterdir() if name.fullmatch(one.name) and not one.name.startswith(".")]
    return sorted(found, key=lambda one: [(len(part), part) for part in re.split(r"(\d+)", one.name)])


def read_images_2d(path: Path, indices: Sequence[int | None]) -> Stored:
    """One volume of shape (X, Y, images).

    Raises:
        ValueError: an image is damaged, in colour, too large, or not as large as the others; found and expected.
    """
    files = images_of(path)
    if not 0 < len(files) <= _MOST:
        raise ValueError(f"found {len(files)} images, expected 1 to {_MOST}.")
    check_indices(indices, 1, [len(files)], "")
    images_YX, crc32 = [], 0
    for file in files:
        x_YX = _grey(file)
        if images_YX and (x_YX.shape, x_YX.dtype) != (images_YX[0].shape, images_YX[0].dtype):
            raise ValueError(
                f"found {_shown(x_YX)} in {file.name}, expected {_shown(images_YX[0])} as in {files[0].name}."
            )
        if not images_YX:
            check_size([*x_YX.shape, len(files)], x_YX.itemsize)
        crc32 = isal_zlib.crc32(np.ascontiguousarray(x_YX), isal_zlib.crc32(file.name.encode(), crc32))
        images_YX.append(x_YX)
    x_XYZ = np.stack([x_YX.T for x_YX in images_YX], axis=2)
    before, _, after = path.name.partition(IMAGE)
    names = [file.name.removeprefix(before).removesuffix(after) for file in files] if IMAGE in path.name else []
    return Stored([x_XYZ for _ in indices], _LPS, f"{crc32:08x}", names)


def _grey(file: Path) -> np.ndarray:
    """(Y, X). The size is looked at before a pixel is decoded."""
    try:
        with warnings.catch_warnings():
            for one in (UserWarning, Image.DecompressionBombWarning):  # a broken tag warns, which would be a line more
                warnings.simplefilter("error", one)
            with Image.open(file, formats=["PNG", "TIFF"]) as image:
                image.verify()  # the checksums of a PNG, which decoding passes over; then it has to be opened anew
            with Image.open(file, formats=["PNG", "TIFF"]) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise ValueError(
                        f"found {image.n_frames} pages in {file.name}, expected one. Write a file for each."
                    )
                if image.mode not in _GREY:
                    raise ValueError(
                        f"found pixels of mode {image.mode} in {file.name}, expected grey levels. Convert it."
                    )
                x_YX = np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"found more than {Image.MAX_IMAGE_PIXELS} pixels in {file.name}, expected a slice."
        ) from error
    except _BROKEN as error:
        raise ValueError(
            f"found a damaged image, {file.name} ({shortened(str(error))}), expected PNG or TIFF."
        ) from error
    return x_YX.astype(np.uint8) if x_YX.dtype == bool else x_YX


def _shown(x_YX: np.ndarray) -> str:
    return f"{x_YX.shape[1]} x {x_YX.shape[0]} pixels of {x_YX.dtype}"
