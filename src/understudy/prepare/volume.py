"""A volume as a file stores it, and turned to a fixed orientation: axes are permuted and flipped, never resampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel import orientations

MAX_BYTES = 2**31  # of voxels in one file: four 512^3 volumes of float32 in one, and no surprise for the memory


@dataclass(frozen=True)
class Stored:
    """What a file holds: volumes of one grid, as they lie in it.

    affine is (4, 4), voxel -> mm, RAS+. crc32 covers all bytes that decide the voxels and their place, 8 hex digits.
    names are those of the 2D images along the third axis, where a volume consists of such.
    """

    volumes_XYZ: Sequence[np.ndarray]  # noqa: N815  (shapes in names)
    affine: np.ndarray
    crc32: str
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Volume:
    """One volume, its axes permuted and flipped to a fixed orientation.

    data_XYZ is a read-only view of the stored type (float64 where the header scales it); affine and spacing_mm belong
    to it. stored_* describe the file as it was. crc32 and names are Stored's.
    """

    data_XYZ: np.ndarray  # noqa: N815  (shapes in names)
    affine: np.ndarray
    spacing_mm: tuple[float, float, float]
    crc32: str
    names: tuple[str, ...]
    path: Path
    stored_shape: tuple[int, int, int]
    stored_affine: np.ndarray
    stored_axcodes: str


def check_affine(affine: np.ndarray) -> None:
    """Raises ValueError: an affine (4, 4) that gives voxels no place."""
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= 1e-9
    if not usable or np.isnan(orientations.io_orientation(affine)).any():
        raise ValueError(f"found the affine {affine[:3].tolist()}, expected finite numbers and three independent axes.")


def check_indices(indices: Sequence[int | None], volumes: int, shape: Sequence[int], example: str) -> None:
    """Raises ValueError: a file of several volumes and none is named, or one that is not there.

    Args:
        shape: as a person sees it. example: a pattern with a number behind it.
    """
    if volumes > 1 and None in indices:
        raise ValueError(
            f"found dimensions {[*shape]}, expected one 3D volume. For one volume of a 4D file add its number to the "
            f"pattern, e.g. {example}."
        )
    outside = [i for i in indices if i is not None and not 0 <= i < volumes]
    if outside:
        raise ValueError(f"found {volumes} volume(s), expected one with number {outside[0]} (counted from 0).")


def check_size(shape: Sequence[int], itemsize: int) -> None:
    """Raises ValueError before anything of that size is allocated."""
    if np.prod([float(n) for n in shape]) * itemsize > MAX_BYTES:
        raise ValueError(
            f"found dimensions {[*shape]}, expected a volume of at most {MAX_BYTES >> 20} MB: a broken header?"
        )


def oriented(stored_XYZ: np.ndarray, file: Stored, axcodes: str, path: Path) -> Volume:
    """`axcodes` names where the three axes of the result point to."""
    affine = file.affine
    stored = orientations.io_orientation(affine)
    change = orientations.ornt_transform(stored, orientations.axcodes2ornt(axcodes))
    new_affine = affine @ orientations.inv_ornt_aff(change, stored_XYZ.shape)
    return Volume(
        data_XYZ=orientations.apply_orientation(stored_XYZ, change),  # a view: transposed and flipped
        affine=new_affine,
        spacing_mm=tuple(float(mm) for mm in nibabel.affines.voxel_sizes(new_affine)),
        crc32=file.crc32,
        names=tuple(file.names),
        path=path,
        stored_shape=stored_XYZ.shape,
        stored_affine=affine,
        stored_axcodes="".join(orientations.ornt2axcodes(stored)),
    )
