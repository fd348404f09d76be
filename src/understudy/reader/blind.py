"""Images without anything but their content: same grey levels, same background, same bytes in length, same encoder.

What would tell a real image from a synthetic one without being seen in it, and what is done about it, to both alike:

- outside the head real images are exactly 0 and synthetic ones nearly: there, both become 0;
- volumes of few intensities leave gaps in the histogram: both are dithered to the same few grey levels;
- how bright the whole panel is: both are stretched to their own range;
- compressed bytes are fewer where an image is smooth: every image is a PNG of the same chunks and the same length.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

WHITE = 99.5  # percentile of the head that becomes white where a panel is stretched
_EMPTY_5 = b"\x00\x00\x00\xff\xff"  # deflate: a stored block of nothing
_EMPTY_6 = b"\x02\x00\x00\x00\xff\xff"  # a Huffman block of nothing, then a stored one
_LAST = b"\x03\x00"  # the final block, of nothing
LEAST_PADDING = 20  # from here on every number is a sum of fives and sixes


def outside(x_CHW: np.ndarray, background: int) -> np.ndarray:
    """bool (H, W): what is at most `background` in all channels and hangs together with the edge of the image."""
    dark = (x_CHW.max(axis=0) <= background).astype(np.uint8)
    _, piece_HW = cv2.connectedComponents(np.pad(dark, 1, constant_values=1), connectivity=4)
    return (piece_HW == piece_HW[0, 0])[1:-1, 1:-1]


def blinded(x_CHW: np.ndarray, options: Mapping, noise: np.random.Generator) -> np.ndarray:
    """uint8 (C, H, W) of modalities, with `grey_levels` evenly spaced grey levels and 0 outside the head.

    `options` has background (grey level), grey_levels, contrast ("own": each channel is stretched; "stored": as it is).
    The dither is triangular, two levels wide: the average is what was there, the error has one size everywhere, and the
    histogram keeps nothing of the steps in which an image was stored.
    """
    outside_HW = outside(x_CHW, options["background"])
    y_CHW = x_CHW.astype(np.float64)
    if options["contrast"] == "own":
        for channel_HW in y_CHW:
            head = channel_HW[~outside_HW]
            channel_HW *= 255 / max(np.percentile(head, WHITE), 1) if head.size else 1
    steps = options["grey_levels"] - 1
    dither = noise.random(y_CHW.shape) + noise.random(y_CHW.shape) - 1
    level = np.floor(np.clip(y_CHW, 0, 255) / 255 * steps + dither + 0.5)
    y_CHW = np.floor(np.clip(level, 0, steps) * 255 / steps + 0.5).astype(np.uint8)
    y_CHW[:, outside_HW] = 0
    return y_CHW


def encode_alike(images: Sequence[np.ndarray]) -> list[bytes]:
    """PNGs of uint8 images (H, W) of one shape: three chunks each (IHDR, IDAT, IEND), all of the same lengths.

    The compressed data of the shorter ones is filled up with blocks of nothing, which every decoder skips.
    """
    blocks = [_deflated(_rows(x_HW)) for x_HW in images]
    length = max(map(len, blocks)) + LEAST_PADDING
    return [_png(x_HW, block, length - len(block)) for x_HW, block in zip(images, blocks, strict=True)]


def _rows(x_HW: np.ndarray) -> bytes:
    """The scan lines of a PNG, all without a filter: a chosen one would be another thing that differs."""
    return np.pad(x_HW, ((0, 0), (1, 0))).tobytes()


def _deflated(rows: bytes) -> bytes:
    """Raw deflate blocks that end at a byte, the last one still to come."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(rows) + packer.flush(zlib.Z_SYNC_FLUSH)


def _png(x_HW: np.ndarray, block: bytes, padding: int) -> bytes:
    sixes = padding % 5
    filled = block + _EMPTY_6 * sixes + _EMPTY_5 * ((padding - 6 * sixes) // 5) + _LAST
    data = b"\x78\xda" + filled + struct.pack(">I", zlib.adler32(_rows(x_HW)))
    height, width = x_HW.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits, grey, not interlaced
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
