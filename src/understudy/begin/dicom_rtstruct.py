"""The contours of an RTSTRUCT as one annotation in the grid of the images that they were drawn on.

Each contour must lie on a slice of the grid: nothing is resampled, and slices between contours stay empty. Several
contours of a region on one slice are combined by even-odd, as CLOSEDPLANAR_XOR says and as programs do that draw holes
as contours within contours.

Source: DICOM PS3.3, C.8.8.5 Structure Set and C.8.8.6 ROI Contour.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from understudy.files.outside import shortened

from .dicom_file import items, named, read_dicom, text, whole
from .dicom_labels import MOST_LABELS, add_label, check_images, label_name
from .dicom_series import MM, Grid
from .fill_polygons import crossings, filled

_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}
_MOST_ROIS, _MOST_CONTOURS, _MOST_POINTS = 1000, 100_000, 2_000_000
_MOST_CROSSINGS = 50_000_000  # of rows by edges, of a file
_FARTHEST, _LARGEST_NUMBER = 1e6, 10**9 - 1  # mm; of a region


def label_names(dataset) -> dict[int, str]:
    """ROI number -> name of its label: ROIName in small letters. Those without a closed contour are left out, such as
    the points of an isocentre.

    Raises:
        ValueError: no regions, too many, or broken ones.
    """
    rois = items(dataset, "StructureSetROISequence")
    if not 1 <= len(rois) <= _MOST_ROIS:
        raise ValueError(f"found {len(rois)} regions (StructureSetROISequence), expected 1 to {_MOST_ROIS}.")
    names = {}
    for roi in rois:
        number = whole(roi, "ROINumber", 0, _LARGEST_NUMBER)
        if number in names:
            raise ValueError(f"found the region {number} twice, expected each once. Write the RTSTRUCT again.")
        names[number] = label_name(text(roi, "ROIName"), number)
    drawn = {number for number, contour in _contours(dataset, names) if _is_closed(contour)}
    if not drawn:
        raise ValueError("found no closed contour (CLOSED_PLANAR), expected some. Draw them, or take another file.")
    if len(drawn) > MOST_LABELS:
        raise ValueError(f"found {len(drawn)} regions with contours, expected at most {MOST_LABELS}.")
    return {number: name for number, name in names.items() if number in drawn}


def check_references(dataset, images: Mapping[str, set[str]]) -> None:
    """`images`: series -> its images, as UIDs. Raises ValueError: the contours were drawn on some that are not
    there."""
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in items(frame, "RTReferencedStudySequence"):
            for series in items(study, "RTReferencedSeriesSequence"):
                check_images("an RTSTRUCT", series, "ContourImageSequence", images)


def read_annotation(path: Path, grid: Grid, values: Mapping[str, int]) -> np.ndarray:
    """uint8 (X, Y, Z): the value of the label of each voxel whose centre lies in a region, 0 where there is none of
    `values`.

    Raises:
        ValueError: the RTSTRUCT is damaged, lies on another grid, or has a voxel in two labels.
    """
    with named(path):
        dataset = read_dicom(path)
        names = {number: name for number, name in label_names(dataset).items() if name in values}
        for roi in items(dataset, "StructureSetROISequence"):
            frame = text(roi, "ReferencedFrameOfReferenceUID")
            if whole(roi, "ROINumber", 0, _LARGEST_NUMBER) in names and frame != grid.frame_of_reference:
                raise ValueError("found another frame of reference than that of the images, expected the same.")
        joined = np.zeros(grid.shape_XYZ, np.uint8)
        for (number, k), polygons in _polygons(dataset, names, grid).items():
            add_label(joined[:, :, k], filled(polygons, grid.shape_XYZ[:2]), names[number], values)
        return joined


def _polygons(dataset, names: Mapping[int, str], grid: Grid) -> dict[tuple[int, int], list[np.ndarray]]:
    """(ROI number, slice) -> its polygons there, each (N, 2) in pixels."""
    to_voxels = np.linalg.inv(grid.affine)
    step_mm = float(np.linalg.norm(grid.affine[:3, 2]))
    found, points, rows = defaultdict(list), 0, 0
    for number, contour in _contours(dataset, names):
        if not _is_closed(contour):
            raise ValueError(
                f"found a contour of {names[number]} of type {shortened(text(contour, 'ContourGeometricType'))} beside "
                "closed ones, expected CLOSED_PLANAR. Remove it."
            )
        voxels = _points(contour) @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        k = round(float(voxels[0, 2]))
        farthest_mm = np.abs(voxels[:, 2] - k).max() * step_mm
        if not 0 <= k < grid.shape_XYZ[2] or farthest_mm > MM:
            raise ValueError(
                f"found a contour of {names[number]} {farthest_mm:.3g} mm beside slice {k} of {grid.shape_XYZ[2]} "
                "(counted from 0), expected each on a slice of the images. Resample the contours to their grid."
            )
        points, rows = points + len(voxels), rows + crossings(voxels[:, :2], grid.shape_XYZ[1])
        if points > _MOST_POINTS or rows > _MOST_CROSSINGS:
            raise ValueError(
                f"found contours of more than {_MOST_POINTS} points or {_MOST_CROSSINGS} rows, expected usual ones. "
                "Simplify them, or take some of them with --labels."
            )
        found[number, k].append(voxels[:, :2])
    return found


def _contours(dataset, names: Mapping[int, str]) -> Iterator[tuple[int, object]]:
    """(ROI number, contour) of the regions that have these names."""
    count = 0
    for roi in items(dataset, "ROIContourSequence"):
        number, contours = whole(roi, "ReferencedROINumber", 0, _LARGEST_NUMBER), items(roi, "ContourSequence")
        count += len(contours)
        if count > _MOST_CONTOURS:
            raise ValueError(f"found more than {_MOST_CONTOURS} contours, expected at most as many.")
        if number in names:
            yield from ((number, contour) for contour in contours)


def _is_closed(contour) -> bool:
    return text(contour, "ContourGeometricType") in _CLOSED


def _points(contour) -> np.ndarray:
    """(N, 3), mm. Of the stored text: as values of pydicom, a million points would take gigabytes."""
    count = whole(contour, "NumberOfContourPoints", 1, _MOST_POINTS)
    raw = contour.get_item("ContourData") if "ContourData" in contour else None
    stored = getattr(raw, "value", None)
    if not isinstance(stored, bytes):
        stored = b"\\".join(str(one).encode() for one in np.ravel(stored)) if stored is not None else b""
    try:
        found = np.array([float(one) for one in stored.rstrip(b"\0 ").split(b"\\")])
    except ValueError:
        found = np.empty(0)
    if len(found) != 3 * count or not (np.abs(found) < _FARTHEST).all():  # also refuses NaN
        raise ValueError(
            f"found ContourData of {len(found)} usual numbers, expected x, y and z of {count} points: a broken contour."
        )
    return found.reshape(count, 3)
