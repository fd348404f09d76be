"""Whether a PNG holds given pixels.

Undoing its filters would need each pixel before the next one. So the pixels are filtered as the PNG says, a row at a
time: a row is one large int with 16 bits for each pixel, and no sum of pixels is larger than these.
"""

from .png_pixels import rows_of


def holds(png, pixels, width):
    """Of a PNG that png_problem takes; pixels: as many bytes, row after row."""
    rows, ones, above = rows_of(png), spread(b"\1" * width), 0
    for place in range(len(pixels) // width):
        row, start = spread(pixels[place * width : (place + 1) * width]), place * (width + 1)
        filtered = spread(rows[start + 1 : start + 1 + width])
        if (filtered + predicted(rows[start], row, above, ones)) & ones * 255 != row:
            return False
        above = row
    return True


def spread(row):
    """Bytes as one int, the first in the lowest 16 bits."""
    wide = bytearray(2 * len(row))
    wide[::2] = row
    return int.from_bytes(wide, "little")


def predicted(kind, row, above, ones):
    """What filter `kind` takes for a row, of the row itself and the one above (PNG, clause 9)."""
    left, corner = (row << 16) & ones * 255, (above << 16) & ones * 255
    if kind == 3:
        return (left + above) >> 1 & ones * 255
    return paeth(left, above, corner, ones) if kind == 4 else (0, left, above)[kind]


def paeth(left, above, corner, ones):
    """Of three neighbours of each pixel the nearest to left + above - corner; of equally near ones the first."""
    from_left, from_above = distance(above, corner, ones), distance(left, corner, ones)
    from_corner = distance(left + above, 2 * corner, ones)
    is_left = at_least(from_above, from_left, ones) & at_least(from_corner, from_left, ones)
    is_above = at_least(from_corner, from_above, ones) & ~is_left
    return left & is_left | above & is_above | corner & ~(is_left | is_above)


def distance(x, y, ones):
    larger = at_least(x, y, ones)
    return (x & larger | y & ~larger) - (y & larger | x & ~larger)


def at_least(x, y, ones):
    """All 16 bits where x >= y, of numbers below 2**15; else none."""
    return ((x | ones << 15) - y >> 15 & ones) * 0xFFFF
