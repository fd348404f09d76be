"""The pixels of a PNG, its filters undone.

Of the filters None, Sub and Up a row is one large int with 16 bits for each pixel, in which no sum of pixels runs over.
Average and Paeth need each pixel before the next one.
"""

from .png_pixels import rows_of


def pixels_of(png, width):
    """As many bytes, row after row, of a PNG that png_problem takes."""
    rows, ones, above, decoded = rows_of(png), spread(b"\1" * width), bytes(width), []
    for start in range(0, len(rows), width + 1):
        above = unfiltered(rows[start], rows[start + 1 : start + 1 + width], above, ones)
        decoded.append(above)
    return b"".join(decoded)


def unfiltered(kind, row, above, ones):
    """A row, of what filter `kind` made of it and the row above (PNG, clause 9)."""
    if kind == 4:
        return paeth(row, above)
    if kind == 3:
        return average(row, above)
    if kind == 2:
        return gathered((spread(row) + spread(above)) & ones * 255, len(row))
    return gathered(sums(spread(row), len(row), ones * 255), len(row)) if kind == 1 else row


def spread(row):
    """Bytes as one int, the first in the lowest 16 bits."""
    wide = bytearray(2 * len(row))
    wide[::2] = row
    return int.from_bytes(wide, "little")


def gathered(wide, width):
    return wide.to_bytes(2 * width, "little")[::2]


def sums(wide, width, bytes_alone):
    """Each pixel and all to its left: after a step it is the sum of twice as many."""
    step = 1
    while step < width:
        wide = (wide + (wide << 16 * step)) & bytes_alone
        step *= 2
    return wide


def average(row, above):
    done, left = bytearray(len(row)), 0
    for x, byte in enumerate(row):
        done[x] = left = (byte + ((left + above[x]) >> 1)) & 255
    return bytes(done)


def paeth(row, above):
    """To each pixel is added its neighbour that is nearest to left + up - corner; of equally near ones the first."""
    done, left, corner = bytearray(len(row)), 0, 0
    for x, byte in enumerate(row):
        up = above[x]
        from_left, from_up, from_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        near = up if from_up <= from_corner else corner
        near = left if from_left <= min(from_up, from_corner) else near
        done[x] = left = (byte + near) & 255
        corner = up
    return bytes(done)
