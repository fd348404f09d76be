"""The PNG stack: one uncompressed ZIP that holds every image of a split or of a generator.

A member is one 8-bit grey PNG whose C channels are stacked top to bottom, (C * H, W) pixels: one decode, one inode
for 100 000 images, and any viewer shows it. `stack.json`, the last member, tells channels, label coding, size, count,
source and lineage. Bytes are a function of the content alone (no times, no order of the file system).

Somebody else's stack is opened by the same code as ours: nothing is allocated, decoded or used as a name before the
index, stack.json (json_forms.py) and the header of an image agree.
"""

import hashlib
import json
import mmap
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from pydantic import TypeAdapter, ValidationError

from understudy.files.atomic import atomic_path, hash_of, known_sha256
from understudy.files.json_forms import ImageName, StackForm
from understudy.files.outside import JSON_BYTES, checked, first_twice, parse_json, regular_file, shortened

FORMAT = 1
MEMBER = "stack.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can hold: bytes must not depend on the clock
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # 0.66 ms for a 256 x 256 channel; level 6 saves 10 % and costs 20 % more
_LOCAL_HEADER = 30  # bytes before name and extra field of a ZIP member
# what zipfile raises where the bytes of its index have changed, found by flipping each of them
_DAMAGED = (zipfile.BadZipFile, KeyError, ValueError, struct.error, RuntimeError, EOFError, OSError, zlib.error)
_HEADER = struct.Struct(">8sI4sIIBB")  # of a PNG: signature, IHDR, width, height, bits, colour type
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EXPECTED = "a stack: an uncompressed ZIP of PNGs with a member stack.json. Make it again"
_NAMES = TypeAdapter(list[ImageName])
_SLICE = re.compile(r"\d{1,6}\.png", re.ASCII)


class DamagedImageError(ValueError):
    """The bytes of an image are not those that were written."""


def encode_png(x_CHW: np.ndarray) -> bytes:
    """One PNG, (C * H, W) pixels, of a uint8 image (C, H, W)."""
    assert x_CHW.dtype == np.uint8 and x_CHW.ndim == 3, (x_CHW.dtype, x_CHW.shape)
    done, png = cv2.imencode(".png", np.ascontiguousarray(x_CHW).reshape(-1, x_CHW.shape[2]), _PNG)
    assert done
    return png.tobytes()


def decode_png(png: bytes, shape_CHW: tuple[int, int, int]) -> np.ndarray:
    """uint8 (C, H, W) of one member. Raises ValueError where the bytes are no 8-bit grey PNG of that shape; the header
    is read first, so that a small file cannot ask for much memory."""
    channels, height, width = shape_CHW
    expected = f"an 8-bit grey PNG of {width} x {channels * height} pixels, {channels} channels stacked top to bottom"
    rows, columns = png_shape(png, expected)
    if (rows, columns) != (channels * height, width):
        raise ValueError(f"found {columns} x {rows} pixels, expected {expected}")
    x_HW = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if x_HW is None or x_HW.dtype != np.uint8 or x_HW.shape != (rows, columns):
        raise ValueError(f"found damaged pixels, expected {expected}")
    return x_HW.reshape(shape_CHW)


def png_shape(png: bytes, expected: str) -> tuple[int, int]:
    """(rows, columns) as the header of a PNG says. Raises ValueError where it is none with 8 bits and grey."""
    if len(png) < _HEADER.size or not png.startswith(_SIGNATURE):
        raise ValueError(f"found no image, expected {expected}")
    _, _, kind, columns, rows, bits, colour = _HEADER.unpack_from(png)
    if (kind, bits, colour) != (b"IHDR", 8, 0):
        raise ValueError(f"found {bits} bits and colour type {colour}, expected {expected}")
    return rows, columns


class StackWriter:
    """A context manager that writes a stack; its file appears when the block ends well, and not at all otherwise.

    `meta` names at least channels (in order), labels ({name: grey level}), height, width, source and lineage.
    Raises ValueError where the disk is full.
    """

    def __init__(self, path: str | Path, meta: dict):
        missing = {"channels", "labels", "height", "width", "source", "lineage"} - meta.keys()
        assert not missing, missing
        self._file = atomic_path(path)
        self._meta = meta
        self._names: set[str] = set()

    def __enter__(self) -> "StackWriter":
        self._zip = zipfile.ZipFile(self._file.__enter__(), "w", zipfile.ZIP_STORED, allowZip64=True)
        return self

    def __exit__(self, kind, error, trace) -> bool | None:
        if error is None:
            try:
                meta = {**self._meta, "format": FORMAT, "count": len(self._names)}
                self._write(MEMBER, json.dumps(meta, sort_keys=True, indent=1).encode())
                self._zip.close()
            except OSError as failure:
                kind, error, trace = type(failure), failure, failure.__traceback__
        if error is not None:
            file, self._zip.fp = self._zip.fp, None  # ZipFile.close would write an index to a disk that may be full,
            with suppress(OSError):  # and the flush of this close may meet the full disk once more
                file.close()
        return self._file.__exit__(kind, error, trace)

    def add(self, name: str, x_CHW: np.ndarray) -> None:
        """An image, uint8 (C, H, W); a synthetic one is called 000000.png and so on, a real one SUBJECT/000.png."""
        self.add_png(name, encode_png(x_CHW))

    def add_png(self, name: str, png: bytes) -> None:
        assert name not in self._names, name
        self._names.add(name)
        self._write(name, png)

    def _write(self, name: str, content: bytes) -> None:
        info = zipfile.ZipInfo(name, _LONG_AGO)
        info.external_attr, info.create_system = 0o644 << 16, 3  # as Unix does, wherever this runs
        self._zip.writestr(info, content)


class Stack:
    """A stack opened for reading: `len(s)`, `s[i]` -> uint8 (C, H, W), `s.names`, `s.meta`, `s.read()`."""

    def __init__(
        self, path: Path, members: list[zipfile.ZipInfo], meta: dict, content: mmap.mmap, stat: os.stat_result
    ):
        self.path, self.meta, self._stat = path, meta, stat
        self.names = [m.filename for m in members]
        self._crcs = [m.CRC for m in members]
        self._spans = [_span(content, m) for m in members]
        self._content = content

    @classmethod
    def open(cls, path: str | Path) -> "Stack":
        """Raises ValueError where the file is missing, is no stack, or is of a format that this version cannot read."""
        path = Path(path)
        if not path.exists():
            raise ValueError(
                f"{path}: no such stack. Look at the path; a stack of a study is made by: snakemake {path}"
            )
        regular_file(path, _EXPECTED)
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                text = _meta_text(archive)
        except _DAMAGED as error:
            raise ValueError(f"{path}: found {error}, expected {_EXPECTED}") from error
        where = f"{path}, {MEMBER}"
        meta = parse_json(text, where, _EXPECTED)
        if isinstance(meta, dict) and meta.get("format") != FORMAT:
            found = shortened(meta.get("format"))
            raise ValueError(f"{path}: found stack format {found}, expected {FORMAT}. Make it again.")
        meta = checked(StackForm, meta, where, _EXPECTED)
        images = [m for m in members if m.filename != MEMBER]
        if any(m.compress_type != zipfile.ZIP_STORED for m in images) or len(images) != meta["count"]:
            raise ValueError(f"{path}: found {len(images)} images, expected {meta['count']} uncompressed ones.")
        _check_names(path, [m.orig_filename for m in images], meta)
        with open(path, "rb") as file:
            content, stat = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), os.fstat(file.fileno())
        try:
            return cls(path, images, meta, content, stat)
        except (struct.error, ValueError) as error:
            raise ValueError(
                f"{path}: found {error}, expected the images that its index lists. Make it again."
            ) from error

    @property
    def channels(self) -> list[str]:
        return self.meta["channels"]

    @property
    def shape_CHW(self) -> tuple[int, int, int]:
        return len(self.channels), self.meta["height"], self.meta["width"]

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the content, from the CRCs that the ZIP index holds: no image is read. It names caches and
        run directories; it proves nothing, as a CRC can be made to fit."""
        return hash_of({"meta": self.meta, "names": self.names, "crcs": self._crcs})

    @cached_property
    def sha256(self) -> str:
        """Of the file, computed from the bytes that images are read from."""
        return known_sha256(self._stat, lambda: hashlib.sha256(self._content).hexdigest())

    def png(self, i: int) -> bytes:
        start, stop = self._spans[i]
        return self._content[start:stop]

    def checked_png(self, i: int) -> bytes:
        """As `png`, compared with its checksum. Raises DamagedImageError where they differ."""
        png = self.png(i)
        if zlib.crc32(png) != self._crcs[i]:
            raise DamagedImageError(f"{self.path}: image {self.names[i]} does not have its CRC-32")
        return png

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._decoded(i, self.png)

    def _decoded(self, i: int, png: Callable[[int], bytes]) -> np.ndarray:
        try:
            return decode_png(png(i), self.shape_CHW)
        except ValueError as error:
            raise ValueError(f"{self.path}, image {self.names[i]}: {error}") from error

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def included(self) -> list[int]:
        """Places of the images that pass the slice rule, in their order; of synthetic ones all."""
        if "subjects" not in self.meta:
            return list(range(len(self)))
        kept = {name: set(subject["included"]) for name, subject in self.meta["subjects"].items()}
        return [i for i, name in enumerate(self.names) if slice_of(name) in kept[name.split("/")[0]]]

    def subjects(self) -> list[str] | None:
        """Of each image; None where its images are of nobody (synthetic ones)."""
        return [name.split("/")[0] for name in self.names] if "subjects" in self.meta else None

    def people(self) -> list[str] | None:
        """Of each image the name of the person: that of the first subject who has the same identity, as several visits
        of one person have. None where its images are of nobody."""
        names = self.subjects()
        if names is None:
            return None
        first: dict[str, str] = {}
        return [first.setdefault(self.meta["subjects"][name]["identity"], name) for name in names]

    def read(self, indices: Sequence[int] | None = None, threads: int = 4, checked: bool = False) -> np.ndarray:
        """uint8 (N, C, H, W) of the given images, or of all; decoding releases the GIL, so threads help.

        `checked` compares each with its checksum and raises a ValueError that names the damaged one.
        """
        png = self.checked_png if checked else self.png
        indices = range(len(self)) if indices is None else indices
        x_NCHW = np.empty((len(indices), *self.shape_CHW), np.uint8)

        def decode(position: int) -> None:
            x_NCHW[position] = self._decoded(indices[position], png)

        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(decode, range(len(indices))):
                pass
        return x_NCHW


def slice_of(name: str) -> int:
    """The number of a slice, from the name of its image."""
    return int(name.split("/")[1].removesuffix(".png"))


def _meta_text(archive: zipfile.ZipFile) -> bytes:
    """The bytes of stack.json, no more than a stack.json may have."""
    with archive.open(MEMBER) as file:
        text = file.read(JSON_BYTES + 1)
    if len(text) > JSON_BYTES:
        raise ValueError(f"more than {JSON_BYTES} bytes in {MEMBER}")
    return text


def _check_names(path: Path, names: list[str], meta: dict) -> None:
    """Raises ValueError where a name is no name of an image, is there twice, or of no subject that stack.json has."""
    try:
        _NAMES.validate_python(names)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        raise ValueError(
            f"{path}: found an image called {shortened(wrong['input'])}, expected names such as 000001.png or "
            "subject/001.png. Rename it."
        ) from error
    if twice := first_twice(names):
        raise ValueError(f"{path}: found two images called {twice}, expected one. Make it again.")
    if "subjects" not in meta:
        return
    for name in names:
        subject, _, number = name.partition("/")
        if subject not in meta["subjects"] or not _SLICE.fullmatch(number):
            raise ValueError(
                f"{path}: found the image {name}, expected subject/number.png with a subject of its stack.json. "
                "Make it again."
            )


def _span(content: mmap.mmap, member: zipfile.ZipInfo) -> tuple[int, int]:
    """First byte and end of a stored member: the local header's own lengths count, not the index's."""
    name_length, extra_length = struct.unpack_from("<HH", content, member.header_offset + 26)
    name = member.header_offset + _LOCAL_HEADER
    if content[name : name + name_length] != member.orig_filename.encode():
        raise ValueError(f"another name than {member.filename} before its bytes")
    start = name + name_length + extra_length
    if start + member.file_size > len(content) or member.compress_size != member.file_size:
        raise ValueError(f"fewer bytes than {member.filename} has")
    return start, start + member.file_size
