"""What a SEG and an RTSTRUCT have in common: names of labels, and one value a voxel."""

from collections.abc import Mapping

import numpy as np

from understudy.config.images import RESERVED

from .dicom_file import items, text
from .file_words import safe_word

MOST_LABELS = 255


def label_name(found: str, number: int) -> str:
    """Small letters, digits and _; never a word that the config reserves."""
    name = safe_word(found, f"label_{number}")
    return f"label_{name}" if name in RESERVED else name


def check_images(kind: str, series, keyword: str, images: Mapping[str, set[str]]) -> None:
    """Raises ValueError: the annotation was drawn on a series, or on images of it, that are not there.

    Args:
        kind: SEG or RTSTRUCT. series: an item of its references. keyword: of the images that it refers to.
        images: series -> its images, both as UIDs: what the subject has.
    """
    there = images.get(text(series, "SeriesInstanceUID"))
    if there is None:
        raise ValueError(f"found {kind} of a series that is not there, expected it in the subject's folder. Copy it.")
    referred = {text(one, "ReferencedSOPInstanceUID") for one in items(series, keyword)}
    if absent := len(referred - there):
        raise ValueError(
            f"found {absent} of the {len(referred)} images that {kind} refers to missing, expected all. Copy them."
        )


def add_label(slice_XY: np.ndarray, here_XY: np.ndarray, name: str, values: Mapping[str, int]) -> None:
    """Writes the value of a label where it is. Raises ValueError where another one already is."""
    label = values[name]
    twice = here_XY & (slice_XY != 0) & (slice_XY != label)
    if twice.any():
        other = next(other for other, value in values.items() if value == slice_XY[twice][0])
        raise ValueError(
            f"found {int(twice.sum())} voxel(s) of a slice in both {name} and {other}, expected each voxel in one "
            "label. Cut the one out of the other, or take one of them with --labels."
        )
    slice_XY[here_XY] = label
