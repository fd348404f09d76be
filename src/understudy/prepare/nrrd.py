"""Reads one NRRD file: .nrrd with its voxels, or .nhdr beside the file that has them.

pynrrd parses the header. It would follow any path in `data file` and unpack without a limit, so voxels come through
voxel_bytes.py, after the declared size has been checked, and a data file must lie beside its header.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
from isal import isal_zlib

from understudy.files.outside import regular_file, shortened

from .optional_package import optional_package
from .volume import Stored, check_affine, check_indices, check_size
from .voxel_bytes import VoxelBytes, read_within

_MOST_HEADER = 2**20  # bytes; 3D Slicer writes some lines for each segment
_TO_RAS = {  # names of the space (NRRD format, section 4) -> signs of its axes in RAS+
    "left-posterior-superior": (-1, -1, 1),
    "LPS": (-1, -1, 1),
    "right-anterior-superior": (1, 1, 1),
    "RAS": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "LAS": (-1, 1, 1),
}
_COMPRESSED = {"raw": False, "gzip": True, "gz": True}
_SKIPS = ("line skip", "lineskip", "byte skip", "byteskip")


def read_nrrd(path: Path, indices: Sequence[int | None]) -> Stored:
    """Some volumes of a 4D file, or with indices [None] the only volume of a 3D file.

    Raises:
        ValueError: the file is damaged, or is not what was asked for; found and expected.
    """
    lines, rest = _split(read_within(path))
    header = _parse_header(lines)
    dtype = _dtype(header)
    sizes, volume_axis = _sizes(header, dtype)
    affine = _affine(header, volume_axis)
    check_indices(indices, 1 if volume_axis is None else sizes[volume_axis], sizes, "images/{subject}.nrrd[0]")
    source = VoxelBytes(_voxels_of(path, header, rest), _COMPRESSED[header["encoding"]])
    voxels = source.read(int(np.prod(sizes, dtype=np.int64)) * dtype.itemsize)
    source.finish()
    crc32 = isal_zlib.crc32(voxels, isal_zlib.crc32(lines))  # the header says where they lie
    data = np.frombuffer(voxels, dtype).reshape(sizes, order="F")
    if volume_axis is None:
        return Stored([data for _ in indices], affine, f"{crc32:08x}")
    return Stored([np.take(data, i or 0, volume_axis) for i in indices], affine, f"{crc32:08x}")


def _split(content: bytes) -> tuple[bytes, bytes]:
    """The header's lines, and what comes behind the empty line that ends them."""
    if content[:4] != b"NRRD":
        raise ValueError(f"found {content[:8]!r} at the beginning, expected an NRRD file.")
    ends = [(content.find(end, 0, _MOST_HEADER), end) for end in (b"\n\n", b"\r\n\r\n")]
    at, end = min(((place, end) for place, end in ends if place >= 0), default=(-1, b""))
    if at < 0:
        if len(content) > _MOST_HEADER:
            raise ValueError(f"found a header of more than {_MOST_HEADER} bytes, expected an empty line after it.")
        return content, b""  # of a .nhdr
    return content[:at], content[at + len(end) :]


def _parse_header(lines: bytes) -> Mapping:
    pynrrd = optional_package("nrrd", "nrrd", "an NRRD file")
    try:
        with np.errstate(invalid="ignore"):  # a size of forty digits becomes a negative one, which is refused
            header = pynrrd.read_header(lines.splitlines())
    except (ValueError, OverflowError, pynrrd.NRRDError) as error:
        raise ValueError(
            f"found a header that cannot be read ({shortened(str(error))}), expected one of NRRD."
        ) from error
    missing = [name for name in ("type", "dimension", "sizes", "encoding", "space directions") if name not in header]
    if missing:
        raise ValueError(
            f"found no {missing[0]!r} in the header, expected it. Write the file again, by 3D Slicer or ITK."
        )
    if header["encoding"] not in _COMPRESSED:
        raise ValueError(
            f"found the encoding {shortened(header['encoding'])}, expected one of {', '.join(_COMPRESSED)}. "
            "Write the file again, compressed or raw."
        )
    if skipped := [name for name in _SKIPS if header.get(name)]:
        raise ValueError(f"found {skipped[0]!r}, expected voxels right behind the header. Write the file again.")
    return header


def _dtype(header: Mapping) -> np.dtype:
    """Of the voxels, as pynrrd knows their names: it reads none of them."""
    pynrrd = optional_package("nrrd", "nrrd", "an NRRD file")
    about = {name: header[name] for name in ("type", "endian") if name in header}
    try:
        empty = pynrrd.read_data({**about, "encoding": "raw", "dimension": 1, "sizes": np.zeros(1, int)}, io.BytesIO())
    except (KeyError, ValueError, pynrrd.NRRDError) as error:  # ValueError: a block of no size
        raise ValueError(
            f"found voxels of type {shortened(header['type'])}, byte order {shortened(header.get('endian'))}, expected "
            "integers or floats, little or big endian."
        ) from error
    if empty.dtype.kind not in "iuf":
        raise ValueError(f"found voxels of type {shortened(header['type'])}, expected integers or floats.")
    return empty.dtype


def _sizes(header: Mapping, dtype: np.dtype) -> tuple[list[int], int | None]:
    """Sizes of the axes, and which of four is no axis of space, checked before anything of that size is allocated."""
    sizes, directions = header["sizes"].tolist(), header["space directions"]
    if not sizes or min(sizes) < 1 or not len(sizes) == header["dimension"] == len(directions):
        raise ValueError(
            f"found {len(directions)} space directions and sizes {sizes[:9]} for dimension {header['dimension']}, "
            "expected as many of each, all sizes positive: a broken header."
        )
    check_size(sizes, dtype.itemsize)
    nowhere = [axis for axis, direction in enumerate(directions) if direction is None or np.isnan(direction).all()]
    if len(sizes) - len(nowhere) != 3 or len(nowhere) > 1:
        raise ValueError(f"found dimensions {sizes}, expected three axes of space, and at most one of volumes.")
    return sizes, nowhere[0] if nowhere else None


def _affine(header: Mapping, volume_axis: int | None) -> np.ndarray:
    """(4, 4) voxel -> mm, RAS+."""
    space, units = header.get("space"), header.get("space units", [])
    if space not in _TO_RAS:
        raise ValueError(
            f"found the space {shortened(space)}, expected one of {', '.join(_TO_RAS)}: nothing else says where the "
            "patient's left is."
        )
    if any(unit not in ("mm", "millimeter") for unit in units):
        raise ValueError(f"found space units {shortened(units)}, expected mm.")
    directions = [direction for axis, direction in enumerate(header["space directions"]) if axis != volume_axis]
    origin = header.get("space origin", np.zeros(3))
    if any(np.shape(vector) != (3,) for vector in (*directions, origin)):
        raise ValueError("found directions or an origin that are not of three numbers, expected those of space.")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.transpose(directions), origin
    affine = np.diag([*_TO_RAS[space], 1]) @ affine
    check_affine(affine)
    return affine


def _voxels_of(path: Path, header: Mapping, rest: bytes) -> bytes:
    """What is behind the header, or in the file beside it that a detached header names."""
    name = header.get("data file", header.get("datafile"))
    if name is None:
        return rest
    if not _is_beside(name):
        raise ValueError(
            f"found the data file {shortened(name)}, expected the name of one file beside this header. "
            "Write the volume again, as one .nrrd file."
        )
    data = regular_file(path.with_name(name), f"the voxels of {path.name}")
    if data.resolve().parent != path.resolve().parent:
        raise ValueError(f"found the data file {name}, a link to another folder, expected a file beside this header.")
    return read_within(data)


def _is_beside(name: str) -> bool:
    return PurePath(name).name == name and name != ".." and "%" not in name and not name.startswith("LIST")


def header_and_voxels(path: Path) -> list[Path]:
    """The file, and the one beside it that a detached header names, where it is there."""
    if path.suffix != ".nhdr" or not path.is_file():
        return [path]
    with path.open("rb") as file:
        named = re.search(rb"^data ?file: *(.+?)\s*$", file.read(_MOST_HEADER), re.MULTILINE)
    name = named[1].decode("ascii", "ignore") if named else ""
    return [path, path.with_name(name)] if name and _is_beside(name) and path.with_name(name).is_file() else [path]
