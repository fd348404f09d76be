"""Checks the files of this folder: python verify.py (Python 3.8 or newer, nothing else).

Every file has to have the SHA-256 that SHA256SUMS says, none may be missing and none may be too many; images hold
pixels alone: no text, no time, no comment, nothing after their end. Where something is wrong: exit code 1, and the
files by name.

Whoever changes files on purpose can change this one as well. So let another program do it too, sha256sum -c SHA256SUMS,
and ask the sender, by another way, for the sum of SHA256SUMS itself, which is printed at the end.
"""

import hashlib
import os
import struct
import sys
import zipfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
SUMS = "SHA256SUMS"
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"IDAT", b"IEND")  # all other parts of a PNG may say who, when and where

# One changed byte in this file must not be able to switch off what finds it: so it is looked for twice, here on its own
# and below among all files.
if __name__ == "__main__":
    with open(os.path.join(HERE, SUMS), "rb") as opened, open(os.path.abspath(__file__), "rb") as own:
        if hashlib.sha256(own.read()).hexdigest().encode() + b"  verify.py\n" not in opened.read():
            sys.exit("verify.py: is not the one that " + SUMS + " lists. Ask for the bundle again.")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def files_in(folder):
    """Names of all files below a folder, / between folders, sorted; SHA256SUMS is not among them."""
    names = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        names += [os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/") for name in files + links]
    return sorted(name for name in names if name != SUMS)


def sums_of(folder, names):
    """The text of SHA256SUMS, as sha256sum writes it."""
    return "".join(f"{sha256_of(os.path.join(folder, *name.split('/')))}  {name}\n" for name in names)


def sum_problems(folder):
    """A line for each file that is not as SHA256SUMS says; the text itself is compared too, to the last byte."""
    with open(os.path.join(folder, SUMS), "rb") as file:
        written = file.read().decode("utf-8", "replace")
    listed = {line[66:]: line[:64] for line in written.split("\n") if line}
    there = files_in(folder)
    problems = [f"{n}: is a link, expected a file" for n in there if os.path.islink(os.path.join(folder, n))]
    if problems:
        return problems
    found = sums_of(folder, there)
    actual = {line[66:]: line[:64] for line in found.split("\n") if line}
    problems += [f"{name}: is missing" for name in sorted(set(listed) - set(actual))]
    problems += [f"{name}: is not listed in {SUMS}" for name in sorted(set(actual) - set(listed))]
    both = sorted(set(actual) & set(listed))
    problems += [f"{name}: has changed" for name in both if actual[name] != listed[name]]
    return problems or ([] if found == written else [SUMS + ": has changed"])


def png_problem(png):
    """What is wrong with the bytes of a PNG; nothing: None."""
    if png[:8] != SIGNATURE:
        return "is no PNG"
    position, kinds = 8, []
    for _ in range(len(png)):
        if position >= len(png):
            break
        if position + 12 > len(png):
            return "is cut off"
        length, kind = struct.unpack_from(">I4s", png, position)
        content = png[position + 4 : position + 8 + length]
        position += 12 + length
        if position > len(png):
            return "is cut off"
        if png[position - 4 : position] != struct.pack(">I", zlib.crc32(content)):
            return f"has a damaged part {kind.decode('latin-1')}"
        kinds.append(kind)
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or kinds.count(b"IEND") != 1:
        return "does not end where a PNG ends"
    others = sorted({kind.decode("latin-1") for kind in kinds} - {kind.decode("latin-1") for kind in PIXELS})
    return f"carries {', '.join(others)}, expected pixels alone" if others else None


def image_problems(folder, names):
    """(how many images were looked at, a line for each that is damaged or carries more than pixels)."""
    problems, count = [], 0
    for name in names:
        path = os.path.join(folder, *name.split("/"))
        if name.endswith(".png"):
            count += 1
            with open(path, "rb") as file:
                problems += [f"{name}: {problem}" for problem in [png_problem(file.read())] if problem]
        if name == "images.zip":
            members, more = archive_problems(path)
            count, problems = count + members, problems + [f"{name}, {problem}" for problem in more]
    return count, problems


def archive_problems(path):
    count, problems = 0, []
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.comment:
                problems.append("carries a comment, expected images alone")
            for member in archive.infolist():
                if member.extra or member.comment or member.date_time != NO_TIME:
                    problems.append(f"{member.filename}: carries a comment or a time")
                content = archive.read(member)
                if member.filename != "stack.json":
                    count += 1
                    problem = png_problem(content)
                    problems += [f"{member.filename}: {problem}"] if problem else []
    except zipfile.BadZipFile as error:
        problems.append(str(error))
    return count, problems


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
