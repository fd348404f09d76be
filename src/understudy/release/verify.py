"""Checks the files of this folder: python verify.py (Python 3.8 or newer, nothing else).

Every file has to have the SHA-256 that SHA256SUMS says, none may be missing and none may be too many; images hold
pixels alone, and images.zip holds images alone, to the last byte. Where something is wrong: exit code 1, and a line
for each file. Nothing that lies beside this file is imported.

Whoever changes files on purpose can change this one as well. So let another program do it too, sha256sum -c SHA256SUMS,
and ask the sender, by another way, for the sum of SHA256SUMS itself, which is printed at the end.
"""

import sys

# Python looks for modules beside the program first: a hashlib.py there could make anything pass.
# (The name comes last: one byte makes := of ==, which would give the program another name.)
if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False) and __name__ == "__main__":
    del sys.path[0]

import os

if __name__ == "__main__":  # PYTHONPATH may lead here as well
    strange = [os.path.dirname(__file__)] + os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [p for p in sys.path if os.path.realpath(p) not in [os.path.realpath(q) for q in strange]]

import hashlib
import json
import struct
import subprocess
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
SUMS = "SHA256SUMS"
TABLE = "images/metadata.csv"
MOST_SUMS = 1 << 28  # bytes; a line has about 90

# One changed byte in this file must not be able to switch off what finds it: so it is looked for twice, here on its own
# and below among all files. A link or a pipe is not opened.
if __name__ == "__main__":
    try:
        if os.path.islink(os.path.join(HERE, SUMS)) or not os.path.isfile(os.path.join(HERE, SUMS)):
            sys.exit(f"{SUMS}: is missing, or is no file. Ask for the bundle again.")
        with open(os.path.join(HERE, SUMS), "rb") as opened, open(os.path.abspath(__file__), "rb") as own:
            if hashlib.sha256(own.read()).hexdigest().encode() + b"  verify.py\n" not in opened.read(MOST_SUMS):
                sys.exit(f"verify.py: is not the one that {SUMS} lists. Ask for the bundle again.")
    except OSError as error:
        sys.exit(f"{SUMS}: cannot be read ({error.strerror})")

# Isolated, Python looks for modules where it is installed and nowhere else.
if __name__ == "__main__" and not sys.flags.isolated:
    sys.exit(subprocess.call([sys.executable, "-I", os.path.abspath(__file__)]))

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"IDAT", b"IEND")  # all other parts of a PNG may say who, when and where
MOST_PIXELS = 1 << 27  # of one image: what is larger is not read
MOST_IMAGES = 10_000_000
MOST_ABOUT = 1 << 16  # bytes of stack.json
LONGEST_ENTRY = 46 + 64 + 12  # bytes of the index for one image: fixed part, name, ZIP64 position
ZIP64_LIMIT = (1 << 31) - 1  # beyond it, zipfile writes positions with 64 bits
LONG_AGO = 33  # 1980-01-01, the earliest day of a ZIP
ABOUT = {"channels", "count", "format", "height", "labels", "lineage", "lineage_commitment", "source", "width"}
BROKEN = (ValueError, TypeError, KeyError, struct.error, OSError, RecursionError)  # what damaged files lead to


# ------------------------------------------------------------------------------------------------ files and sums
def shown(name):
    """A name as one line that can be printed anywhere, whatever is in it."""
    return name if name.isascii() and name.isprintable() and "\\" not in name else ascii(name)


def path_of(folder, name):
    return os.path.join(folder, *name.split("/"))


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def entries_in(folder):
    """(names of all files below a folder, / between folders, sorted; {name: what is wrong} of all else there)."""
    files, wrong, folders = [], {}, [""]
    while folders:
        parent = folders.pop()
        try:
            with os.scandir(path_of(folder, parent)) as found:
                entries = list(found)
        except OSError as error:
            wrong[parent] = f"cannot be read ({error.strerror})"
            continue
        if not entries:
            wrong[parent] = "is an empty folder, expected folders with files"
        for entry in entries:
            name = parent + "/" + entry.name if parent else entry.name
            if entry.is_symlink():
                wrong[name] = "is a link, expected a file"
            elif entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.is_file(follow_symlinks=False):
                files.append(name)
            else:
                wrong[name] = "is neither a file nor a folder"
    return sorted(files), wrong


def files_in(folder):
    """Names of all files below a folder; SHA256SUMS is not among them."""
    return [name for name in entries_in(folder)[0] if name != SUMS]


def sums_of(folder, names):
    """The text of SHA256SUMS, as sha256sum writes it."""
    return "".join(f"{sha256_of(path_of(folder, name))}  {name}\n" for name in names)


def listed_in(folder):
    """(text of SHA256SUMS, {name: sum}, a line for each of its lines that is none)."""
    with open(os.path.join(folder, SUMS), "rb") as file:
        text = file.read(MOST_SUMS + 1)
    if len(text) > MOST_SUMS:
        return "", {}, [f"{SUMS}: is too large"]
    text = text.decode("utf-8", "backslashreplace")
    listed, problems = {}, []
    for line in (text[:-1] if text.endswith("\n") else text).split("\n"):
        digest, name = line[:64], line[66:]
        is_sum = len(digest) == 64 and not set(digest) - set("0123456789abcdef") and line[64:66] == "  "
        is_inside = name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(name.split("/"))
        if not is_sum or not is_inside:
            problems.append(f"{SUMS}: found the line {ascii(line[:200])}, expected a SHA-256 and a file of this folder")
        elif name in listed:
            problems.append(f"{SUMS}: lists {shown(name)} twice")
        listed[name] = digest
    return text, listed, problems


def sum_problems(folder):
    """A line for each file that is not as SHA256SUMS says; the text itself is compared too, to the last byte."""
    there, wrong = entries_in(folder)
    if SUMS not in there:
        return [f"{SUMS}: {wrong.get(SUMS, 'is missing')}"]
    try:
        written, listed, problems = listed_in(folder)
    except OSError as error:
        return [f"{SUMS}: cannot be read ({error.strerror})"]
    actual = {}
    for name in there:
        try:
            actual[name] = sha256_of(path_of(folder, name))
        except OSError as error:
            wrong[name] = f"cannot be read ({error.strerror})"
    del actual[SUMS]
    wrong.update(dict.fromkeys(set(listed) - set(actual) - set(wrong), "is missing"))
    wrong.update(dict.fromkeys(set(actual) - set(listed), f"is not listed in {SUMS}"))
    changed = [name for name in set(actual) & set(listed) if actual[name] != listed[name]]
    wrong.update(dict.fromkeys(changed, "has changed"))
    problems += [f"{shown(name)}: {wrong[name]}" for name in sorted(wrong)]
    found = "".join(f"{actual[name]}  {name}\n" for name in sorted(actual))
    return problems or ([] if found == written else [SUMS + ": has changed"])


# ------------------------------------------------------------------------------------------------ images
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


# ------------------------------------------------------------------------------------------------ the archive
# The bytes around the images are made again and compared: so nothing is left in which something else could stand.
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


def table_of_pictures(channels, names):
    """The text of images/metadata.csv: a row for each image, a column for each channel. Loaders of image folders read
    a column whose name ends with file_name as pictures."""
    rows = [[channel + "_file_name" for channel in channels]]
    rows += [[channel + "/" + name for channel in channels] for name in names]
    return "".join(",".join(row) + "\n" for row in rows)


def folder_problems(folder, found, names, about):
    """A line for each PNG outside of the archive that is none of its images, or is not pixels alone."""
    expected = {f"images/{channel}/{name}" for channel in about["channels"] for name in names}
    text = table_of_pictures(about["channels"], names).encode()
    problems = [f"{shown(name)}: is no image of images.zip" for name in found if name not in expected | {TABLE}]
    if TABLE not in found or os.path.getsize(path_of(folder, TABLE)) != len(text):
        problems.append(f"{TABLE}: is not the list of these images")
    else:
        with open(path_of(folder, TABLE), "rb") as file:
            problems += [] if file.read() == text else [f"{TABLE}: is not the list of these images"]
    problems += [f"{shown(name)}: is missing, images.zip has it" for name in sorted(expected - set(found))]
    most = most_bytes(about["height"], about["width"])
    for name in sorted(expected & set(found)):
        with open(path_of(folder, name), "rb") as file:
            png = file.read(most + 1)
        problem = png_problem(png, about["height"], about["width"]) if len(png) <= most else "is too large"
        problems += [f"{shown(name)}: {problem}"] if problem else []
    return problems


def image_problems(folder, names):
    """(how many images were looked at, a line for each that is damaged or carries more than pixels)."""
    single = [name for name in names if name.startswith("images/") or name.lower().endswith(".png")]
    if "images.zip" not in names:
        return 0, [f"{shown(name)}: found without images.zip" for name in single]
    inside, about, problems = archive_problems(os.path.join(folder, "images.zip"))
    problems = [f"images.zip, {problem}" for problem in problems]
    if single and about:
        problems += folder_problems(folder, single, inside, about)
    return len(inside) + len([name for name in single if name != TABLE]), problems


def main():
    problems = sum_problems(HERE)
    if problems:
        sys.exit("\n".join(problems))
    names = files_in(HERE)
    count, problems = image_problems(HERE, names)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(names)} files are as listed, {count} images hold pixels alone")
    print(f"SHA-256 of {SUMS}: {sha256_of(os.path.join(HERE, SUMS))}")


if __name__ == "__main__":
    main()
