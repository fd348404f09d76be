"""Reads one NIfTI file, safely and fast.

The header is checked before anything is allocated, decompression is capped by the size that the header declares, and
the stream is read to its very end, because only there gzip's CRC is compared: nibabel stops early and returned wrong
voxels without an error for three of four single-bit flips. Whether a file is compressed is
decided by its first bytes, not by its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from isal import isal_zlib
from nibabel import orientations
from nibabel.spatialimages import HeaderDataError

from understudy.files.outside import regular_file

MAX_BYTES = 2**31  # of voxels in one file: four 512^3 volumes of float32 in one, and no surprise for the memory
_HEADER, _FIRST_VOXEL = 348, 352  # bytes: the header, and the earliest place of the voxels in a single file
_MAX_OFFSET = 2**24  # header extensions larger than 16 MB are a broken vox_offset
_PROBE = 4096  # compressed bytes that are tried first, enough to hold the header
_ABSURD = 1e9  # no scanner needs a larger slope or intercept, and no smaller slope than its inverse


@dataclass(frozen=True)
class Volume:
    """One volume, its axes permuted and flipped to a fixed orientation.

    data_XYZ is a read-only view of the stored type (float64 where the header scales it); affine and spacing_mm belong
    to it. stored_* describe the file as it was. crc32 covers the whole uncompressed file, 8 hex digits.
    """

    data_XYZ: np.ndarray  # noqa: N815  (shapes in names)
    affine: np.ndarray
    spacing_mm: tuple[float, float, float]
    crc32: str
    path: Path
    stored_shape: tuple[int, int, int]
    stored_affine: np.ndarray
    stored_axcodes: str


def read_volume(path: str | Path, index: int | None = None, axcodes: str = "LPS") -> Volume:
    """The volume of a 3D file, or volume `index` of a 4D one. Raises as read_volumes does."""
    return read_volumes(path, [index], axcodes)[0]


def read_volumes(path: str | Path, indices: Sequence[int | None], axcodes: str = "LPS") -> list[Volume]:
    """Some volumes of a 4D file, or with indices [None] the only volume of a 3D file; read and decompressed once.

    `axcodes` names where the three axes of the result point to. Nothing is interpolated.

    Raises:
        ValueError: the file cannot be read, is damaged, or is not what was asked for; names file, found and expected.
    """
    path = regular_file(path, "a readable NIfTI file")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"found a file of more than {MAX_BYTES >> 20} MB, expected one volume.")
        source = _Source(path.read_bytes())
        header = _parse_header(source.read(_HEADER))
        shape, dtype, affine = _shape(header, indices), header.get_data_dtype(), _affine(header)
        source.read(int(header["vox_offset"]) - _HEADER)
        voxels = source.read(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        crc32 = f"{source.finish():08x}"
        data_XYZN = np.frombuffer(voxels, dtype).reshape(shape, order="F")
        scale = _scaling(header)
    except OSError as error:
        raise ValueError(f"{path}: found {error.strerror}, expected a readable NIfTI file.") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return [_oriented(scale(data_XYZN[..., i or 0]), affine, axcodes, crc32, path) for i in indices]


class _Source:
    """The uncompressed bytes of a file, in order, never more than asked for, and their CRC."""

    def __init__(self, content: bytes):
        self._gzip = isal_zlib.decompressobj(wbits=31) if content[:2] == b"\x1f\x8b" else None
        # a small first piece: asked for 348 of 18 million bytes, isal would copy all the rest of its input
        self._input, self._rest = (content[:_PROBE], content[_PROBE:]) if self._gzip else (content, b"")
        self._content, self._size = content, len(content)
        self._at = 0
        self._crc32 = 0

    def read(self, count: int) -> bytes:
        piece = self._inflate(count) if self._gzip else self._input[self._at : self._at + count]
        if len(piece) < count:
            raise ValueError(
                f"found {self._at + len(piece)} bytes, expected {self._at + count}: truncated. Copy the file again."
            )
        self._at += count
        if not self._gzip:
            self._crc32 = isal_zlib.crc32(piece, self._crc32)
        return piece

    def finish(self) -> int:
        """Makes sure that the file ends here, and returns the CRC of all that was read: gzip's own, which isal has
        compared with the data, or of a plain file one that is computed."""
        extra = self._inflate(1) if self._gzip else self._input[self._at :]
        if extra:
            raise ValueError(f"found data after the {self._at} bytes that the header declares, expected the end.")
        if self._gzip and not self._gzip.eof:
            raise ValueError("found the end inside of the gzip stream, expected its CRC: truncated. Copy it again.")
        if not self._gzip:
            return self._crc32
        after = self._gzip.unused_data + self._rest
        if after.strip(b"\0"):
            raise ValueError("found bytes after the gzip stream, expected the end of the file. Copy it again.")
        end = self._size - len(after)
        return int.from_bytes(self._content[end - 8 : end - 4], "little")

    def _inflate(self, count: int) -> bytes:
        pieces, missing = [], count
        while missing and not self._gzip.eof:
            if not self._input or missing > _PROBE:
                self._input, self._rest = self._input + self._rest, b""
            ended = not self._input
            try:
                pieces.append(self._gzip.decompress(self._input, missing))
            except isal_zlib.IsalError as error:
                raise ValueError(
                    f"found a damaged gzip stream ({error}), expected an intact one. Copy it again."
                ) from error
            if ended and not pieces[-1]:
                break
            missing -= len(pieces[-1])
            self._input = self._gzip.unconsumed_tail
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


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
    if np.prod([float(n) for n in shape]) * header.get_data_dtype().itemsize > MAX_BYTES:
        raise ValueError(
            f"found dimensions {shape}, expected a volume of at most {MAX_BYTES >> 20} MB: a broken header?"
        )
    volumes = shape[3] if len(shape) > 3 else 1
    if any(n != 1 for n in shape[4:]) or (volumes > 1 and None in indices):
        raise ValueError(
            f"found dimensions {shape}, expected one 3D volume. For one volume of a 4D file add its number to the "
            "pattern, e.g. images/{subject}.nii.gz[0]."
        )
    outside = [i for i in indices if i is not None and not 0 <= i < volumes]
    if outside:
        raise ValueError(f"found {volumes} volume(s), expected one with number {outside[0]} (counted from 0).")
    return *shape[:3], volumes


def _affine(header: nibabel.Nifti1Header) -> np.ndarray:
    """(4, 4) voxel -> mm, RAS+; sform before qform, as nibabel chooses."""
    try:
        affine = header.get_best_affine()
    except (HeaderDataError, ValueError) as error:
        raise ValueError(
            f"found no valid orientation in the header ({error}), expected an sform or a qform."
        ) from error
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= 1e-9
    if not usable or np.isnan(orientations.io_orientation(affine)).any():
        raise ValueError(f"found the affine {affine[:3].tolist()}, expected finite numbers and three independent axes.")
    return affine


def _scaling(header: nibabel.Nifti1Header):
    """The function that applies scl_slope and scl_inter; NIfTI says that a slope of 0 (or NaN) means no scaling."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope) or (slope, inter) == (1, 0):
        return lambda stored: stored
    if not 1 / _ABSURD < abs(slope) < _ABSURD or not abs(inter) < _ABSURD:  # also refuses NaN and infinity
        raise ValueError(f"found scl_slope {slope:g} and scl_inter {inter:g}, expected usual numbers: a broken header.")
    return lambda stored: stored * np.float64(slope) + inter


def _oriented(stored_XYZ: np.ndarray, affine: np.ndarray, axcodes: str, crc32: str, path: Path) -> Volume:
    stored = orientations.io_orientation(affine)
    change = orientations.ornt_transform(stored, orientations.axcodes2ornt(axcodes))
    new_affine = affine @ orientations.inv_ornt_aff(change, stored_XYZ.shape)
    return Volume(
        data_XYZ=orientations.apply_orientation(stored_XYZ, change),  # a view: transposed and flipped
        affine=new_affine,
        spacing_mm=tuple(float(mm) for mm in nibabel.affines.voxel_sizes(new_affine)),
        crc32=crc32,
        path=path,
        stored_shape=stored_XYZ.shape,
        stored_affine=affine,
        stored_axcodes="".join(orientations.ornt2axcodes(stored)),
    )
