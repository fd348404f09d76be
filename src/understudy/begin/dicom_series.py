"""A series of single-frame DICOM images as one volume: where its voxels lie, and their values.

Nothing is resampled. A series whose slices do not form a box of equal voxels is refused, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.files.outside import shortened
from understudy.prepare.volume import check_size

from .dicom_file import named, numbers, pixels, read_dicom, text, value, whole

MM = 0.05  # by which a slice may lie beside its place; scanners write more digits
GEOMETRY = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "FrameOfReferenceUID",
    "NumberOfFrames", "BitsAllocated", "PixelRepresentation",
]  # fmt: skip
_ALIKE = 1e-4  # of cosines, and of mm between pixels
_MOST_WHOLE = (1000, 1_000_000)  # slope and intercept up to which 16 bits stay within int32
Headers = Sequence[tuple[Path, object]]  # file and its header, a pydicom Dataset


@dataclass(frozen=True)
class Grid:
    """affine is (4, 4), voxel (column, row, slice) -> mm, LPS+."""

    shape_XYZ: tuple[int, int, int]  # noqa: N815  (shapes in names)
    affine: np.ndarray
    frame_of_reference: str

    def difference(self, other: "Grid") -> str | None:
        """What differs, in words; none where both are the same."""
        if self.shape_XYZ != other.shape_XYZ:
            return f"{list(self.shape_XYZ)} voxels in place of {list(other.shape_XYZ)}"
        if self.frame_of_reference != other.frame_of_reference:
            return "another frame of reference"
        corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        corners[:, :3] *= np.array(self.shape_XYZ) - 1
        moved = np.linalg.norm(((self.affine - other.affine) @ corners.T)[:3], axis=0).max()
        return f"corners that lie up to {moved:.3g} mm apart" if moved > MM else None


def grid_of(headers: Headers) -> tuple[Grid, list[Path]]:
    """The grid of a series, and its files in the order of the third axis.

    Raises:
        ValueError: slices are missing, twice there, tilted, or not of one size, orientation, spacing or frame of
            reference; or the volume is too large.
    """
    if len(headers) < 2:
        raise ValueError(f"found {len(headers)} slice, expected at least 2.")
    places = [_place(path, header) for path, header in headers]
    _check_alike(headers, places)
    cosines, spacing = numbers(headers[0][1], "ImageOrientationPatient", 6), _spacing(headers[0][1])
    columns, rows = (whole(headers[0][1], keyword, 1, 65535) for keyword in ("Columns", "Rows"))
    check_size((columns, rows, len(headers)), 4)
    normal = np.cross(cosines[:3], cosines[3:])
    order = np.argsort(np.array(places) @ normal, kind="stable")
    places = np.array(places)[order]
    step = _step(places @ normal, [headers[i][0] for i in order])
    _check_tilt(places, normal)
    affine = np.eye(4)
    affine[:3] = np.stack([cosines[:3] * spacing[1], cosines[3:] * spacing[0], normal * step, places[0]], axis=1)
    frame = text(headers[0][1], "FrameOfReferenceUID")
    return Grid((columns, rows, len(headers)), affine, frame), [headers[i][0] for i in order]


def _place(path: Path, header) -> np.ndarray:
    """(3,) of the centre of the first pixel, mm."""
    with named(path):
        if value(header, "NumberOfFrames") not in (None, 1):
            raise ValueError(
                f"found {text(header, 'NumberOfFrames')[:20]} frames in a file, expected a file per slice. "
                "Split it, for example by emf2sf of dcm4che."
            )
        cosines = numbers(header, "ImageOrientationPatient", 6).reshape(2, 3)
        if not np.allclose(cosines @ cosines.T, np.eye(2), atol=1e-3):
            raise ValueError(f"found ImageOrientationPatient {cosines.ravel().tolist()}, expected two unit vectors.")
        _spacing(header)
        return numbers(header, "ImagePositionPatient", 3)


def _spacing(header) -> np.ndarray:
    """(2,): between rows, between columns, mm."""
    found = numbers(header, "PixelSpacing", 2)
    if not ((found > 1e-3) & (found < 1e3)).all():
        raise ValueError(f"found PixelSpacing {found.tolist()}, expected mm.")
    return found


def _check_alike(headers: Headers, places: Sequence[np.ndarray]) -> None:
    first_path, first = headers[0]
    for path, header in headers[1:]:
        for keyword in GEOMETRY[1:]:
            a, b = value(first, keyword), value(header, keyword)
            if keyword in ("ImageOrientationPatient", "PixelSpacing"):
                same = np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=0, atol=_ALIKE)
            else:
                same = a == b
            if not same:
                raise ValueError(
                    f"found {keyword} {shortened(a)} in {first_path.name} and {shortened(b)} in {path.name}, expected "
                    "one in a series. Split the series."
                )


def _step(along: np.ndarray, files: Sequence[Path]) -> float:
    """mm between slices, of their places along the normal, in order."""
    steps = np.diff(along)
    if (steps < MM).any():
        at = int(np.argmax(steps < MM))
        raise ValueError(
            f"found {int((steps < MM).sum())} slice(s) where another one lies, such as {files[at].name} and "
            f"{files[at + 1].name}, expected one at each place. Is a file there twice, or are these several volumes "
            "(times, echoes, b-values)? Keep one."
        )
    step = float(np.median(steps))
    wrong = np.abs(steps - step) > MM
    if wrong.any():
        at = int(np.argmax(wrong))
        missing = round(float(steps[at]) / step) - 1
        what = f": {missing} missing" if missing > 0 and abs(steps[at] - (missing + 1) * step) <= MM else ""
        raise ValueError(
            f"found {steps[at]:.4g} mm between {files[at].name} and {files[at + 1].name}, expected {step:.4g} mm as "
            f"between most slices{what}. Complete the series."
        )
    return float(along[-1] - along[0]) / len(steps)


def _check_tilt(places_N3: np.ndarray, normal: np.ndarray) -> None:
    from_first = places_N3 - places_N3[0]
    beside = from_first - np.outer(from_first @ normal, normal)
    farthest = np.linalg.norm(beside, axis=1).max()
    if farthest > MM:
        raise ValueError(
            f"found slices moved sideways by up to {farthest:.3g} mm, expected each straight above the other: a tilted "
            "gantry. Resample the series."
        )


def read_voxels(files: Sequence[Path], grid: Grid) -> np.ndarray:
    """(X, Y, Z), rescaled: int16 where whole numbers fit, else int32, or float32 where a slope is no whole number.

    Raises:
        ValueError: a file is damaged, or compressed in a form that pydicom cannot decode.
    """
    slices = []
    for path in files:
        with named(path):
            slices.append(_slice(read_dicom(path), grid))
    voxels = np.stack(slices, axis=-1)
    if voxels.dtype.kind == "f":
        return voxels.astype(np.float32)
    small = np.iinfo(np.int16)
    return voxels.astype(np.int16) if small.min <= voxels.min() and voxels.max() <= small.max else voxels


def _slice(dataset, grid: Grid) -> np.ndarray:
    """(X, Y), int32 or float32, rescaled."""
    if value(dataset, "ModalityLUTSequence") is not None:
        raise ValueError("found a ModalityLUTSequence, expected RescaleSlope and RescaleIntercept. Convert the series.")
    stored_XY = pixels(dataset, 1)[0].T
    if stored_XY.shape != grid.shape_XYZ[:2]:
        raise ValueError(f"found {[*stored_XY.shape]} pixels, expected {[*grid.shape_XYZ[:2]]}: it has just changed.")
    keywords = {"RescaleSlope": 1.0, "RescaleIntercept": 0.0}
    slope, intercept = (
        usual if value(dataset, keyword) is None else float(numbers(dataset, keyword, 1)[0])
        for keyword, usual in keywords.items()
    )
    if abs(slope) < 1e-9:
        raise ValueError(f"found RescaleSlope {slope:g}, expected another number than 0.")
    is_whole = slope == int(slope) and intercept == int(intercept)
    if is_whole and abs(slope) <= _MOST_WHOLE[0] and abs(intercept) <= _MOST_WHOLE[1]:
        return stored_XY.astype(np.int32) * np.int32(slope) + np.int32(intercept)
    return (stored_XY * np.float64(slope) + intercept).astype(np.float32)
