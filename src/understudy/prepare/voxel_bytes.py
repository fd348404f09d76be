"""The uncompressed bytes of a file of voxels, within limits, and their CRC.

Decompression is capped by what the header declares, and the stream is read to its very end, because only there gzip's
CRC is compared: nibabel stops early and returned wrong voxels without an error for three of four single-bit flips.
"""

from pathlib import Path

from isal import isal_zlib

from .volume import MAX_BYTES

_PROBE = 4096  # compressed bytes that are tried first, enough to hold the header of a NIfTI file


def read_within(path: Path) -> bytes:
    """The bytes of a file. Raises ValueError where they are more than voxels may be."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"found a file of more than {MAX_BYTES >> 20} MB, expected one volume.")
    return path.read_bytes()


class VoxelBytes:
    """The uncompressed bytes of a file, in order, never more than asked for, and their CRC."""

    def __init__(self, content: bytes, compressed: bool):
        self._gzip = isal_zlib.decompressobj(wbits=31) if compressed else None
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
