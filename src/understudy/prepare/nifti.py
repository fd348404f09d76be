"""Reads one NIfTI file, safely and fast.

The header is checked before anything is allocated, and the voxels come through voxel_bytes.py. Whether a file is
compressed is decided by its first bytes, not by its name.
"""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from .volume import Stored, check_affine, check_indices, check_size
from .voxel_bytes import VoxelBytes, read_within

_HEADER, _FIRST_VOXEL = 348, 352  # bytes: the header, and the earliest place of the voxels in a single file
_MAX_OFFSET = 2**24  # header extensions larger than 16 MB are a broken vox_offset
_ABSURD = 1e9  # no scanner needs a larger slope or intercept, and no smaller slope than its inverse


def read_nifti(path: Path, indices: Sequence[int | None]) -> Stored:
    """Some volumes of a 4D file, or with indices [None] the only volume of a 3D file; read and decompressed once.

    Raises:
        ValueError: the file is damaged, or is not what was asked for; found and expected.
    """
    content = read_within(path)
    source = VoxelBytes(content, compressed=content[:2] == b"\x1f\x8b")
    header = _parse_header(source.read(_HEADER))
    shape, dtype, affine = _shape(header, indices), header.get_data_dtype(), _affine(header)
    source.read(int(header["vox_offset"]) - _HEADER)
    voxels = source.read(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    crc32 = f"{source.finish():08x}"
    data_XYZN = np.frombuffer(voxels, dtype).reshape(shape, order="F")
    scale = _scaling(header)
    return Stored([scale(data_XYZN[..., i or 0]) for i in indices], affine, crc32)


def _parse_header(block: bytes) -> nibabel.Nifti1Header:
    """A header whose magic, data type and voxel offset make sense; of either byte order."""
    # left to itself, nibabel guesses the byte order from dim, which may be what is broken
    order = ">" if int.from_bytes(block[:4], "big") == _HEADER else "<"
    header = nibabel.Nifti1Header(block, order, check=False)
    magic = header["magic"].item()
    if header["sizeof_hdr"] != _HEADER or magic != b"n+1":
        known = {b"ni1": "a header with a separate .img file", b"n+2": "NIfTI-2"}.get(magic, "no NIfTI-1 header")
        raise ValueError(f"found {known} ({magic!r}), expected a single-file NIfTI-1 volume. Convert it to .nii.gz.")
    try:
        dtype = header.get_data_dtype()
    except (KeyError, HeaderDataError) as error:
        raise ValueError(f"found data type code {header['datatype']}, expected an integer or float type.") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ValueError(f"found voxels of type {dtype}, expected integers or floats of at most 64 bits.")
    if header["bitpix"] != 8 * dtype.itemsize:
        raise ValueError(
            f"found bitpix {header['bitpix']}, expected {8 * dtype.itemsize} for {dtype}: a broken header."
        )
    offset = float(header["vox_offset"])
    if not (_FIRST_VOXEL <= offset <= _MAX_OFFSET and offset == int(offset)):  # also refuses NaN
        raise ValueError(f"found vox_offset {offset}, expected {_FIRST_VOXEL} or a little more: a broken header.")
    return header


def _shape(header: nibabel.Nifti1Header, indices: Sequence[int | None]) -> tuple[int, int, int, int]:
    """(X, Y, Z, number of volumes), checked before anything of that size is allocated."""
    dim = [int(n) for n in header["dim"]]
    shape = dim[1 : dim[0] + 1]
    if not 3 <= dim[0] <= 7 or min(shape) < 1:
        raise ValueError(f"found dimensions {shape}, expected at least three, all of them positive: a broken header.")
    check_size(shape, header.get_data_dtype().itemsize)
    if any(n != 1 for n in shape[4:]):
        raise ValueError(f"found dimensions {shape}, expected one 3D volume, or several along the fourth dimension.")
    volumes = shape[3] if len(shape) > 3 else 1
    check_indices(indices, volumes, shape, "images/{subject}.nii.gz[0]")
    return *shape[:3], volumes


def _affine(header: nibabel.Nifti1Header) -> np.ndarray:
    """(4, 4) voxel -> mm, RAS+; sform before qform, as nibabel chooses."""
    try:
        affine = header.get_best_affine()
    except (HeaderDataError, ValueError) as error:
        raise ValueError(
            f"found no valid orientation in the header ({error}), expected an sform or a qform."
        ) from error
    check_affine(affine)
    return affine


def _scaling(header: nibabel.Nifti1Header):
    """The function that applies scl_slope and scl_inter; NIfTI says that a slope of 0 (or NaN) means no scaling."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope) or (slope, inter) == (1, 0):
        return lambda stored: stored
    if not 1 / _ABSURD < abs(slope) < _ABSURD or not abs(inter) < _ABSURD:  # also refuses NaN and infinity
        raise ValueError(f"found scl_slope {slope:g} and scl_inter {inter:g}, expected usual numbers: a broken header.")
    return lambda stored: stored * np.float64(slope) + inter
