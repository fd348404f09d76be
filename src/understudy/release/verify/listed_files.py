"""Files and their sums: every file as SHA256SUMS says, none missing, none too many."""

import hashlib
import os

from .isolated import MOST_SUMS, SUMS


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
