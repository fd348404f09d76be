"""One DICOM file, read within limits: its header, and the pixels of it.

pydicom parses it, from bytes that were read before: asked for four gigabytes, a file would allocate them. It would
also inflate without a limit, so deflated files are refused.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from understudy.files.outside import regular_file, shortened
from understudy.prepare.optional_package import optional_package
from understudy.prepare.volume import check_size
from understudy.prepare.voxel_bytes import read_within

_DEFLATED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.8.1")  # transfer syntaxes: of the file, of its frames
_UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_LARGEST = 1e9
_BROKEN = (  # what pydicom raises of broken files, beside its own
    ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError, OverflowError, RecursionError,
    EOFError, OSError, RuntimeError, struct.error,
)  # fmt: skip


def _broken() -> tuple[type[Exception], ...]:
    errors = optional_package("pydicom", "dicom", "a DICOM file").errors
    return errors.InvalidDicomError, errors.BytesLengthException, *_BROKEN


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Puts the file or folder in front of what is said against it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def is_dicom(path: Path) -> bool:
    """By its first bytes. Raises ValueError where the name says so and they do not."""
    with open(regular_file(path, "a DICOM file"), "rb") as file:
        found = file.read(132)[128:] == b"DICM"
    if not found and path.suffix.lower() == ".dcm":
        raise ValueError(f"{path}: found no DICM behind the first 128 bytes, expected a DICOM file. Copy it again.")
    return found


def read_dicom(path: Path, only: list[str] | None = None):
    """A pydicom Dataset.

    Args:
        only: keywords; the pixels are left out as well.

    Raises:
        ValueError: a file that cannot be read; found and expected, without its name.
    """
    pydicom = optional_package("pydicom", "dicom", "a DICOM file")
    content = read_within(path)
    if any(syntax in content for syntax in _DEFLATED):
        raise ValueError("found a deflated file, expected one of another transfer syntax. Write it uncompressed.")
    try:
        with warnings.catch_warnings(action="ignore"):
            return pydicom.dcmread(io.BytesIO(content), stop_before_pixels=only is not None, specific_tags=only)
    except _broken() as error:
        raise ValueError(
            f"found no DICOM ({shortened(str(error))}), expected an intact file. Copy it again."
        ) from error


def value(dataset, keyword: str):
    """Of an element; none where it is missing or empty. Raises ValueError where it cannot be parsed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = dataset.get(keyword)
            return None if found is None or found == "" else found
    except _broken() as error:
        raise ValueError(f"found {keyword} that cannot be read ({shortened(str(error))}), expected a value.") from error


def text(dataset, keyword: str) -> str:
    return str(value(dataset, keyword) or "").strip()


def numbers(dataset, keyword: str, count: int) -> np.ndarray:
    """float64 (count,), within a thousand million, so that sums stay finite. Raises ValueError."""
    found = value(dataset, keyword)
    try:
        array = np.asarray(found, np.float64).ravel()
    except (TypeError, ValueError):
        array = np.empty(0)
    if len(array) != count or not (np.abs(array) < _LARGEST).all():  # also refuses NaN
        raise ValueError(f"found {keyword} {shortened(found)}, expected {count} usual number(s).")
    return array


def whole(dataset, keyword: str, least: int, most: int) -> int:
    """Raises ValueError: no number, or one that is not within these."""
    (number,) = numbers(dataset, keyword, 1)
    if not least <= number <= most or number != int(number):
        raise ValueError(f"found {keyword} {number:g}, expected a whole number from {least} to {most}.")
    return int(number)


def items(dataset, keyword: str) -> list:
    """The datasets of a sequence; empty where it is missing. Raises ValueError where it is none."""
    found = value(dataset, keyword)
    if found is not None and type(found).__name__ != "Sequence":
        raise ValueError(f"found {keyword} of another kind, expected a sequence.")
    return list(found or [])


def pixels(dataset, frames: int, colours: tuple[str, ...] = ("MONOCHROME2",)) -> np.ndarray:
    """(frames, rows, columns), as stored. colours: values of PhotometricInterpretation that are read.

    Raises ValueError: too large, damaged, or in a form that nothing here decodes.
    """
    shape = (frames, whole(dataset, "Rows", 1, 65535), whole(dataset, "Columns", 1, 65535))
    check_size(shape, max(1, whole(dataset, "BitsAllocated", 1, 16) // 8))
    if value(dataset, "SamplesPerPixel") != 1 or text(dataset, "PhotometricInterpretation") not in colours:
        raise ValueError(
            f"found {shortened(value(dataset, 'SamplesPerPixel'))} samples per pixel, "
            f"{shortened(text(dataset, 'PhotometricInterpretation'))}, expected one of {' or '.join(colours)}."
        )
    try:
        with warnings.catch_warnings(action="ignore"):
            found = dataset.pixel_array
    except _broken() as error:
        syntax = text(dataset.file_meta, "TransferSyntaxUID")
        if syntax not in _UNCOMPRESSED:
            name = optional_package("pydicom", "dicom", "a DICOM file").uid.UID(syntax).name
            raise ValueError(
                f"found pixels compressed as {shortened(name)}, which pydicom cannot decode here, expected "
                "uncompressed ones. Decompress the file (gdcmconv --raw, dcmdjpeg), or install a plugin of pydicom."
            ) from error
        raise ValueError(f"found damaged pixels ({shortened(str(error))}). Copy the file again.") from error
    if found.size != np.prod(shape):
        raise ValueError(f"found {found.size} pixels, expected {[*shape]}: a broken file.")
    return found.reshape(shape)
