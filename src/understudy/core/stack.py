"""The PNG stack: one uncompressed ZIP that holds every image of a split or of a generator.

A member is one 8-bit grey PNG whose C channels are stacked top to bottom, (C * H, W) pixels: one decode, one inode
for 100 000 images, and any viewer shows it. `stack.json`, the last member, tells channels, label coding, size, count,
source and lineage. Bytes are a function of the content alone (no times, no order of the file system).
"""

import json
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from .files import atomic_path, hash_of

FORMAT = 1
MEMBER = "stack.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can hold: bytes must not depend on the clock
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # 0.66 ms for a 256 x 256 channel; level 6 saves 10 % and costs 20 % more
_LOCAL_HEADER = 30  # bytes before name and extra field of a ZIP member
# what zipfile raises where the bytes of its index have changed, found by flipping each of them
_DAMAGED = (zipfile.BadZipFile, KeyError, ValueError, struct.error, RuntimeError, EOFError, OSError)


class DamagedImageError(ValueError):
    """The bytes of an image are not those that were written."""


def encode_png(x_CHW: np.ndarray) -> bytes:
    """One PNG, (C * H, W) pixels, of a uint8 image (C, H, W)."""
    assert x_CHW.dtype == np.uint8 and x_CHW.ndim == 3, (x_CHW.dtype, x_CHW.shape)
    done, png = cv2.imencode(".png", np.ascontiguousarray(x_CHW).reshape(-1, x_CHW.shape[2]), _PNG)
    assert done
    return png.tobytes()


def decode_png(png: bytes, channels: int) -> np.ndarray:
    """uint8 (C, H, W) of one member. Raises ValueError where the bytes are no 8-bit grey PNG of that many channels."""
    x_HW = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if x_HW is None or x_HW.dtype != np.uint8 or x_HW.ndim != 2 or x_HW.shape[0] % channels:
        found = "no image" if x_HW is None else f"{x_HW.dtype} {x_HW.shape}"
        raise ValueError(f"found {found}, expected an 8-bit grey PNG of {channels} channels stacked top to bottom")
    return x_HW.reshape(channels, -1, x_HW.shape[1])


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
        self.add_png(name, encode_png(x_CHW))

    def add_png(self, name: str, png: bytes) -> None:
        assert name not in self._names, name
        self._names.add(name)
        self._write(name, png)

    def _write(self, name: str, content: bytes) -> None:
        info = zipfile.ZipInfo(name, _LONG_AGO)
        info.external_attr = 0o644 << 16
        self._zip.writestr(info, content)


class Stack:
    """A stack opened for reading: `len(s)`, `s[i]` -> uint8 (C, H, W), `s.names`, `s.meta`, `s.read()`."""

    def __init__(self, path: Path, members: list[zipfile.ZipInfo], meta: dict, content: mmap.mmap):
        self.path, self.meta = path, meta
        self.names = [m.filename for m in members]
        self._crcs = [m.CRC for m in members]
        self._spans = [_span(content, m) for m in members]
        self._content = content

    @classmethod
    def open(cls, path: str | Path) -> "Stack":
        """Raises ValueError where the file is missing, is no stack, or is of a format that this version cannot read."""
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"{path}: no such stack. Run the rule that makes it: snakemake {path}")
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                meta = json.loads(archive.read(MEMBER))
        except _DAMAGED as error:
            raise ValueError(f"{path}: found {error}, expected a ZIP with a member {MEMBER}. Make it again.") from error
        if meta["format"] != FORMAT:
            raise ValueError(f"{path}: found stack format {meta['format']}, expected {FORMAT}. Make it again.")
        images = [m for m in members if m.filename != MEMBER]
        if any(m.compress_type != zipfile.ZIP_STORED for m in images) or len(images) != meta["count"]:
            raise ValueError(f"{path}: found {len(images)} images, expected {meta['count']} uncompressed ones.")
        with open(path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            return cls(path, images, meta, content)
        except struct.error as error:
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
        """16 hex digits of the content, from the CRCs that the ZIP index holds: no image is read."""
        return hash_of({"meta": self.meta, "names": self.names, "crcs": self._crcs})

    def png(self, i: int) -> bytes:
        start, stop = self._spans[i]
        return self._content[start:stop]

    def checked_png(self, i: int) -> bytes:
        """As `png`, compared with its checksum. Raises DamagedImageError where they differ."""
        png = self.png(i)
        if zlib.crc32(png) != self._crcs[i]:
            raise DamagedImageError(f"image {self.names[i]} does not have its CRC-32")
        return png

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._decoded(i, self.png)

    def _decoded(self, i: int, png: Callable[[int], bytes]) -> np.ndarray:
        try:
            x_CHW = decode_png(png(i), len(self.channels))
        except ValueError as error:
            raise ValueError(f"{self.path}, image {self.names[i]}: {error}") from error
        if x_CHW.shape != self.shape_CHW:
            raise ValueError(f"{self.path}, image {self.names[i]}: found {x_CHW.shape}, expected {self.shape_CHW}")
        return x_CHW

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def subjects(self) -> list[str] | None:
        """Of each image; None where its images are of nobody (synthetic ones)."""
        return [name.split("/")[0] for name in self.names] if "subjects" in self.meta else None

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


def _span(content: mmap.mmap, member: zipfile.ZipInfo) -> tuple[int, int]:
    """First byte and end of a stored member: the local header's own lengths count, not the index's."""
    name_length, extra_length = struct.unpack_from("<HH", content, member.header_offset + 26)
    name = member.header_offset + _LOCAL_HEADER
    if content[name : name + name_length] != member.filename.encode():
        raise ValueError(f"{member.filename}: found another name before its bytes; the file is damaged. Make it again.")
    start = name + name_length + extra_length
    return start, start + member.file_size
