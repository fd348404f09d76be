"""A PNG that is pixels alone."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"IDAT", b"IEND")  # all other parts of a PNG may say who, when and where


def png_problem(png, height, width):
    """What is wrong with the bytes of an 8-bit grey PNG, or is there besides height x width pixels; nothing: None."""
    if png[:8] != SIGNATURE:
        return "is no PNG"
    position, parts = 8, []
    while position < len(png):
        if position + 12 > len(png):
            return "is cut off"
        length, kind = struct.unpack_from(">I4s", png, position)
        content = png[position + 4 : position + 8 + length]
        position += 12 + length
        if position > len(png):
            return "is cut off"
        if png[position - 4 : position] != struct.pack(">I", zlib.crc32(content)):
            return f"has a damaged part {named(kind)}"
        parts.append((kind, content[4:]))
    if others := sorted({kind for kind, _ in parts} - set(PIXELS)):
        return f"carries {', '.join(map(named, others))}, expected pixels alone"
    kinds = [kind for kind, _ in parts]
    if kinds[-1:] != [b"IEND"] or kinds.count(b"IEND") > 1:
        return "does not end where a PNG ends"
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or len(kinds) < 3:
        return "has its parts in another order or number, expected one IHDR, IDAT, one IEND"
    return content_problem([content for _, content in parts], height, width)


def named(kind):
    """The name of a part of a PNG, in letters that can be printed."""
    return ascii(kind.decode("latin-1"))[1:-1]


def content_problem(contents, height, width):
    """As png_problem, of the contents of the parts: header, pixels in one or more, end."""
    header, streams, end = contents[0], contents[1:-1], contents[-1]
    if header != struct.pack(">LL5B", width, height, 8, 0, 0, 0, 0):
        return f"has another header, expected one of 8-bit grey, {height} rows and {width} columns"
    if end or not all(streams):
        return "carries bytes in its end" if end else "has an empty part IDAT"
    stream, size, inflater = b"".join(streams), height * (width + 1), zlib.decompressobj()
    if len(stream) > 1 and stream[1] & 32:
        return "has pixels that need a dictionary"
    try:
        rows = inflater.decompress(stream, size + 1)  # a byte too many tells that there are more
    except zlib.error:
        return "has damaged pixels"
    if len(rows) != size or not inflater.eof:
        return f"has {'more' if len(rows) > size else 'fewer'} pixels than {height} rows of {width}"
    if inflater.unused_data:
        return f"carries {len(inflater.unused_data)} bytes behind its pixels"
    return "has a row with an unknown filter" if max(rows[:: width + 1]) > 4 else None


def most_bytes(height, width):
    """Of a PNG of that many pixels: a little more than the pixels themselves."""
    return 4096 + height * (width + 1) * 65 // 64


def rows_of(png):
    """The filter and the filtered bytes of each row, of a PNG that png_problem takes."""
    position, streams = len(SIGNATURE), []
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        streams += [png[position + 8 : position + 8 + length]] if kind == b"IDAT" else []
        position += 12 + length
    return zlib.decompress(b"".join(streams))
