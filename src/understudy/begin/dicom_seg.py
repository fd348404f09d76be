"""A DICOM segmentation object (SEG) as one annotation in the grid of the images that it was drawn on.

Frames are placed by their positions and must fall on the slices of the grid: nothing is resampled. Of the three types a
BINARY one has a frame for each slice and segment; a FRACTIONAL one, too, and a voxel is in a segment of which it holds
more than half; a LABELMAP has a frame for each slice, whose pixels are the numbers of segments (DICOM PS3.3 C.8.20.2).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.files.outside import shortened

from .dicom_file import items, named, numbers, pixels, read_dicom, text, value, whole
from .dicom_labels import MOST_LABELS, add_label, check_images, label_name
from .dicom_series import MM, Grid

BINARY, FRACTIONAL, LABELMAP = "BINARY", "FRACTIONAL", "LABELMAP"
_MOST_FRAMES = 100_000
_ALL = -1  # in place of a segment's number: a frame of all of them


def label_names(dataset) -> dict[int, str]:
    """Segment number -> name of its label: SegmentLabel in small letters; without the background of a LABELMAP. Raises
    ValueError: no SEG that is read."""
    kind = _kind(dataset)
    segments = items(dataset, "SegmentSequence")
    if not 1 <= len(segments) <= MOST_LABELS:
        raise ValueError(f"found {len(segments)} segments, expected 1 to {MOST_LABELS}.")
    names = {}
    for segment in segments:
        number = whole(segment, "SegmentNumber", 0 if kind == LABELMAP else 1, 65535)
        if kind == LABELMAP and number == _background(dataset):
            continue
        if number in names:
            raise ValueError(f"found the segment {number} twice, expected each once. Write the SEG again.")
        names[number] = label_name(text(segment, "SegmentLabel"), number)
    if not names:
        raise ValueError("found a LABELMAP of the background alone, expected a segment. Leave out this SEG.")
    return names


def _kind(dataset) -> str:
    kind = text(dataset, "SegmentationType")
    if kind not in (BINARY, FRACTIONAL, LABELMAP):
        raise ValueError(f"found a SEG of type {shortened(kind)}, expected {BINARY}, {FRACTIONAL} or {LABELMAP}.")
    return kind


def _background(dataset) -> int:
    """The pixel of a LABELMAP that is no segment."""
    if value(dataset, "PixelPaddingValue") is None:
        return 0
    return whole(dataset, "PixelPaddingValue", 0, 65535)


def check_references(dataset, images: Mapping[str, set[str]]) -> None:
    """`images`: series -> its images, as UIDs. Raises ValueError: the SEG was drawn on some that are not there."""
    for series in items(dataset, "ReferencedSeriesSequence"):
        check_images("a SEG", series, "ReferencedInstanceSequence", images)


def read_annotation(path: Path, grid: Grid, values: Mapping[str, int]) -> np.ndarray:
    """uint8 (X, Y, Z): the value of the label of each voxel, 0 where there is none of `values`.

    Raises:
        ValueError: the SEG is damaged, lies on another grid, or has a voxel in two labels.
    """
    with named(path):
        dataset = read_dicom(path)
        names = label_names(dataset)
        if text(dataset, "FrameOfReferenceUID") != grid.frame_of_reference:
            raise ValueError("found another frame of reference than that of the images, expected the same.")
        groups = items(dataset, "PerFrameFunctionalGroupsSequence")
        frames = whole(dataset, "NumberOfFrames", 1, _MOST_FRAMES)
        shape = (whole(dataset, "Columns", 1, 65535), whole(dataset, "Rows", 1, 65535))
        if shape != grid.shape_XYZ[:2]:
            raise ValueError(f"found {[*shape]} pixels in a frame, expected {[*grid.shape_XYZ[:2]]} as of the images.")
        if len(groups) != frames:
            raise ValueError(f"found {len(groups)} descriptions of {frames} frames, expected one each: a broken SEG.")
        shared = (items(dataset, "SharedFunctionalGroupsSequence") or [None])[0]
        kind = _kind(dataset)
        placed = [
            (_slice(own, shared, grid), _ALL if kind == LABELMAP else _segment(own, shared, names)) for own in groups
        ]
        if len(set(placed)) < frames:
            raise ValueError("found two frames of one segment at one place, expected one. Write the SEG again.")
        colours = ("MONOCHROME2", "PALETTE COLOR") if kind == LABELMAP else ("MONOCHROME2",)
        stored_NYX = pixels(dataset, frames, colours)
        if kind == LABELMAP:
            _check_numbers(stored_NYX, {_background(dataset), *names})
        elif kind == FRACTIONAL:
            stored_NYX = 2 * stored_NYX.astype(np.int32) > whole(dataset, "MaximumFractionalValue", 1, 255)
        return _joined(stored_NYX, placed, grid, names, values)


def _check_numbers(stored_NYX: np.ndarray, known: set[int]) -> None:
    if unknown := set(np.unique(stored_NYX).tolist()) - known:
        raise ValueError(f"found a pixel of segment {min(unknown)}, expected one of {', '.join(map(str, known))}.")


def _segment(own, shared, names: Mapping[int, str]) -> int:
    number = whole(_group(own, shared, "SegmentIdentificationSequence"), "ReferencedSegmentNumber", 1, 65535)
    if number not in names:
        raise ValueError(f"found a frame of segment {number}, expected one of {', '.join(map(str, names))}.")
    return number


def _slice(own, shared, grid: Grid) -> int:
    """The slice of the grid that a frame lies on."""
    columns = [grid.affine[:3, axis] for axis in range(3)]
    spacing = [float(np.linalg.norm(column)) for column in columns]
    cosines = numbers(_group(own, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6).reshape(2, 3)
    found = numbers(_group(own, shared, "PixelMeasuresSequence"), "PixelSpacing", 2)
    same = np.allclose(cosines, [columns[0] / spacing[0], columns[1] / spacing[1]], rtol=0, atol=1e-4)
    if not same or not np.allclose(found, spacing[1::-1], rtol=0, atol=1e-4):
        raise ValueError(
            f"found frames of orientation {cosines.ravel().tolist()} and {found.tolist()} mm, expected those of the "
            "images. Resample the SEG to their grid."
        )
    from_first = numbers(_group(own, shared, "PlanePositionSequence"), "ImagePositionPatient", 3) - grid.affine[:3, 3]
    k = round(float(from_first @ columns[2]) / spacing[2] ** 2)
    if not 0 <= k < grid.shape_XYZ[2] or np.linalg.norm(from_first - k * columns[2]) > MM:
        raise ValueError(
            f"found a frame {np.round(from_first, 3).tolist()} mm from the first pixel of the images, expected each on "
            "a slice of them. Resample the SEG to their grid."
        )
    return k


def _group(own, shared, keyword: str):
    """A group of a frame's, or else of all frames'."""
    for groups in (own, shared):
        if groups is not None and (found := items(groups, keyword)):
            return found[0]
    raise ValueError(f"found no {keyword} of a frame, expected it: a broken SEG.")


def _joined(frames_NYX: np.ndarray, placed, grid: Grid, names: Mapping[int, str], values: Mapping[str, int]):
    joined = np.zeros(grid.shape_XYZ, np.uint8)
    for frame_YX, (k, number) in zip(frames_NYX, placed, strict=True):
        here = {of: frame_YX == of for of in names} if number == _ALL else {number: frame_YX != 0}
        for of, here_YX in here.items():
            if names[of] in values:
                add_label(joined[:, :, k], here_YX.T, names[of], values)
    return joined
