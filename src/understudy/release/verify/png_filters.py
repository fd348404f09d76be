"""Whether a PNG holds given pixels, or a part of another PNG.

Undoing its filters needs each pixel before the next one, which takes Python long. So pixels are filtered as the PNG
says, a row at a time: a row is one large int with 16 bits for each pixel, and no sum of pixels is larger than these.
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


def holds_part(whole, part, first, width):
    """Whether the rows of a PNG from `first` on begin with those of another, pixel by pixel; both as of rows_of.

    Where equal rows follow on equal ones, a program filters them alike: then only the first of each is undone.
    """
    size = width + 1
    mine = whole[first * size : first * size + len(part)]
    if mine[size:] == part[size:]:
        return unfiltered(whole, first, first + 1, width) == unfiltered(part, 0, 1, width)
    last = len(part) // size
    return unfiltered(whole, first, first + last, width) == unfiltered(part, 0, last, width)


def unfiltered(rows, first, last, width):
    """The pixels of the rows from `first` up to `last`, of what rows_of gives."""
    size, above, pixels = width + 1, bytes(width), b""
    begin = first
    while begin and rows[begin * size] > 1:  # which needs the row above
        begin -= 1
    for place in range(begin, last):
        above = undone(rows[place * size], rows[place * size + 1 : (place + 1) * size], above)
        pixels += above if place >= first else b""
    return pixels


def undone(kind, row, above):
    """A row, of what filter `kind` made of it and the row above (PNG, clause 9)."""
    pixels, left, corner = bytearray(), 0, 0
    for byte, up in zip(row, above):  # noqa: B905 (strict is younger than Python 3.8)
        near = (0, left, up, (left + up) >> 1)[kind] if kind < 4 else nearest(left, up, corner)
        left, corner = (byte + near) & 255, up
        pixels.append(left)
    return bytes(pixels)


def nearest(left, up, corner):
    """Paeth's: to left + up - corner; of equally near ones the first."""
    return min((left, up, corner), key=lambda one: abs(left + up - corner - one))
