"""images.zip: PNGs of pixels alone, named by numbers, and stack.json; nothing between them, before or behind.

The bytes around the images are made again and compared: so nothing is left in which something else could stand.
"""

import json
import os
import struct
import zlib

from .listed_files import shown
from .png_pixels import most_bytes, png_problem

MOST_PIXELS = 1 << 27  # of one image: what is larger is not read
MOST_IMAGES = 10_000_000
MOST_ABOUT = 1 << 16  # bytes of stack.json
LONGEST_ENTRY = 46 + 64 + 12  # bytes of the index for one image: fixed part, name, ZIP64 position
ZIP64_LIMIT = (1 << 31) - 1  # beyond it, zipfile writes positions with 64 bits
LONG_AGO = 33  # 1980-01-01, the earliest day of a ZIP
ABOUT = {"channels", "count", "format", "height", "labels", "lineage", "lineage_commitment", "source", "width"}
BROKEN = (ValueError, TypeError, KeyError, struct.error, OSError, RecursionError)  # what damaged files lead to


def local_header(name, crc, size):
    return struct.pack("<4s2B4H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, LONG_AGO, crc, size, size, len(name), 0) + name


def index_entry(name, crc, size, position):
    far = position > ZIP64_LIMIT
    version, extra = (45, struct.pack("<2HQ", 1, 8, position)) if far else (20, b"")
    head = (b"PK\1\2", version, 3, version, 0, 0, 0, 0, LONG_AGO, crc, size, size, len(name), len(extra), 0, 0, 0)
    return struct.pack("<4s4B4H3L5H2L", *head, 0o644 << 16, 0xFFFFFFFF if far else position) + name + extra


def end_record(count, length, start):
    """After an index of `count` members, `length` bytes from `start`."""
    large = b""
    if count > 0xFFFF or max(length, start) > ZIP64_LIMIT:
        large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
        large += struct.pack("<4sLQL", b"PK\6\7", 0, start + length, 1)
    count, length, start = min(count, 0xFFFF), min(length, 0xFFFFFFFF), min(start, 0xFFFFFFFF)
    return large + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, start, 0)


def members_of(file, size):
    """[(name, CRC-32, size, position)] of an open archive. Raises ValueError where its index is not as it has to be."""
    file.seek(max(0, size - 98))
    last = file.read(98)
    large = len(last) == 98 and last[:4] == b"PK\6\6"
    if len(last) < 22:
        raise ValueError("is cut off")
    count, length, start = struct.unpack_from("<3Q", last, 32) if large else struct.unpack_from("<H2L", last[-22:], 10)
    if count > MOST_IMAGES or length > count * LONGEST_ENTRY or start + length > size:
        raise ValueError("does not end where an archive of images ends")
    file.seek(start)
    index = file.read(length)
    if file.read(99) != end_record(count, length, start):
        raise ValueError("does not end where an archive of images ends")
    members, at, position = [], 0, 0
    while at < length:
        crc, _, member_size, name_length = struct.unpack_from("<3LH", index, at + 16)
        name = index[at + 46 : at + 46 + name_length]
        entry = index_entry(name, crc, member_size, position)
        if index[at : at + len(entry)] != entry:
            raise ValueError(
                f"{shown(name.decode('latin-1'))}: carries a comment or a time, or does not follow the one before"
            )
        members.append((name, crc, member_size, position))
        at, position = at + len(entry), position + 30 + name_length + member_size
    if position != start or len(members) != count:
        raise ValueError("carries more than its index says")
    return members


def content_of(file, member, most):
    """The bytes of a member. Raises ValueError where they are not those of the index, or more than `most`."""
    name, crc, size, position = member
    if size > most:
        raise ValueError(f"has {size} bytes, expected at most {most}")
    file.seek(position)
    if file.read(30 + len(name)) != local_header(name, crc, size):
        raise ValueError("carries more in its header than the index says, or a time")
    content = file.read(size)
    if len(content) != size or zlib.crc32(content) != crc:
        raise ValueError("is damaged")
    return content


def about_of(text, count):
    """What stack.json says. Raises ValueError where that is more, less or otherwise written than in a release."""
    about = json.loads(text.decode("ascii"))
    if set(about) != ABOUT or json.dumps(about, sort_keys=True, indent=1).encode() != text:
        raise ValueError(f"expected {', '.join(sorted(ABOUT))} and no more, as json.dumps writes them")
    channels, labels, committed = about["channels"], about["labels"], about["lineage_commitment"]
    size, source = (about["height"], about["width"]), about["source"]
    sound = (
        [type(value) for value in (channels, labels, source, committed)] == [list, dict, dict, dict]
        and [type(name) for name in channels] == [str] * len(set(channels)) != []
        and all(type(level) is int and 0 <= level < 256 for level in labels.values())
        and all(type(side) is int and 0 < side < MOST_PIXELS for side in size)
        and len(channels) * size[0] * (size[1] + 1) <= MOST_PIXELS
        and (about["format"], about["count"], about["lineage"]) == (1, count, [])
        and set(source) == {"dataset", "generator", "lineage"}
        and all(type(value) is str for value in source.values())
        and set(committed) == {"hmac_sha256", "subjects"}
        and type(committed["subjects"]) is int
        and type(committed["hmac_sha256"]) is str
        and len(committed["hmac_sha256"]) == 64
        and not set(committed["hmac_sha256"]) - set("0123456789abcdef")
    )
    if not sound:
        raise ValueError(f"does not describe {count} images of a release")
    return about


def archive_problems(path):
    """(names of the images in images.zip, what stack.json says or None, a line for each problem)."""
    names, about, problems = [], None, []
    try:
        with open(path, "rb") as file:
            *images, last = members_of(file, os.path.getsize(path)) or [(b"",)]
            names = [member[0].decode("latin-1") for member in images]
            wrong = [n for n in names if not (n.isascii() and n[:-4].isdigit() and n.endswith(".png") and len(n) > 9)]
            if last[0] != b"stack.json" or wrong or len(set(names)) < len(names):
                found = ascii(wrong[0]) if wrong else "a name twice, or no stack.json at the end"
                raise ValueError(f"found {found}, expected numbers such as 000000.png, each once, and stack.json")
            try:
                about = about_of(content_of(file, last, MOST_ABOUT), len(images))
            except BROKEN as error:
                raise ValueError(f"stack.json: {ascii(str(error))[1:-1]}") from error
            rows, columns = len(about["channels"]) * about["height"], about["width"]
            for name, member in zip(names, images):  # noqa: B905 (strict is younger than Python 3.8)
                try:
                    problem = png_problem(content_of(file, member, most_bytes(rows, columns)), rows, columns)
                except ValueError as error:
                    problem = error
                problems += [f"{name}: {problem}"] if problem else []
    except BROKEN as error:
        problems.append(str(error))
    return names, about, problems


def images_of(path, about):
    """(name, PNG) of each image of an archive that has no problems."""
    most = most_bytes(len(about["channels"]) * about["height"], about["width"])
    with open(path, "rb") as file:
        for member in members_of(file, os.path.getsize(path))[:-1]:
            yield member[0].decode("ascii"), content_of(file, member, most)
