"""Reads volumes of every known format. The ending of a file's name says its format."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.files.outside import regular_file

from .images_2d import images_of, read_images_2d
from .nifti import read_nifti
from .nrrd import header_and_voxels, read_nrrd
from .volume import Stored, Volume, oriented


@dataclass(frozen=True)
class Format:
    """`endings` are those of file names, the same to a pattern; `read` raises ValueError (found, expected). `files`
    lists the files that are read for one volume."""

    name: str
    endings: Sequence[str]
    read: Callable[[Path, Sequence[int | None]], Stored]
    files: Callable[[Path], Sequence[Path]] = lambda path: [path]  # noqa: E731

    @property
    def regex(self) -> str:
        return f"(?P<ending>{'|'.join(map(re.escape, self.endings))})"


NIFTI = Format("NIfTI", (".nii.gz", ".nii"), read_nifti)
IMAGES_2D = Format("2D image", (".png", ".tif", ".tiff"), read_images_2d, images_of)
FORMATS = (NIFTI, Format("NRRD", (".nrrd", ".nhdr"), read_nrrd, header_and_voxels), IMAGES_2D)
KNOWN = ", ".join(f"{one.name} ({', '.join(one.endings)})" for one in FORMATS)


def split_ending(name: str) -> tuple[str, Format | None]:
    """("a/b", NIfTI) of "a/b.nii.gz"; ("a/b", None) of "a/b"."""
    for one in FORMATS:
        for ending in one.endings:
            if name.endswith(ending):
                return name.removesuffix(ending), one
    return name, None


def files_of(path: Path) -> Sequence[Path]:
    """All files that hold a volume; none where it is not there."""
    _, form = split_ending(path.name)
    return form.files(path)


def read_volume(path: str | Path, index: int | None = None, axcodes: str = "LPS") -> Volume:
    """The volume of a 3D file, or volume `index` of a 4D one. Raises as read_volumes does."""
    return read_volumes(path, [index], axcodes)[0]


def read_volumes(path: str | Path, indices: Sequence[int | None], axcodes: str = "LPS") -> list[Volume]:
    """Some volumes of a 4D file, or with indices [None] the only volume of a 3D file; read and decompressed once.

    `axcodes` names where the three axes of the result point to. Nothing is interpolated.

    Raises:
        ValueError: the file cannot be read, is damaged, or is not what was asked for; names file, found and expected.
    """
    _, form = split_ending(str(path))
    if form is None:
        raise ValueError(f"{path}: found a file of another format, expected {KNOWN}.")
    path, expected = Path(path), f"a readable {form.name} file"
    try:
        files = form.files(path)
    except OSError as error:
        raise ValueError(f"{path}: found {error.strerror}, expected {expected}.") from error
    for file in files:
        regular_file(file, expected)
    try:
        stored = form.read(path, indices)
    except OSError as error:
        raise ValueError(f"{path}: found {error.strerror}, expected {expected}.") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return [oriented(x_XYZ, stored, axcodes, path) for x_XYZ in stored.volumes_XYZ]
