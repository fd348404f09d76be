"""Files that come from outside: read with limits, and only where they are what they should be.

Nothing in a file is believed before its form is checked (json_forms.py). A file is a regular one, no larger than `most`
bytes; JSON is JSON (no NaN, no key twice, bounded depth); a table has the columns that are asked for. Whatever is wrong
is one ValueError: file, found, expected, what to do.
"""

import argparse
import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

JSON_BYTES = 16_000_000  # a manifest of 1251 subjects has one; parsed, JSON takes twenty times its size
TABLE_BYTES = 64_000_000  # a row for each of 100 000 images has fifteen
_SHOWN = 80  # characters of what was found
_FORM = TypeVar("_FORM", bound=BaseModel)


def regular_file(path: str | Path, expected: str) -> Path:
    """The path. Raises ValueError where there is no file, or a folder, a pipe or a device, which may never end."""
    path = Path(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise ValueError(f"{path}: found {error.strerror or error}, expected {expected}") from error
    except ValueError as error:  # a NUL in the name
        raise ValueError(f"{str(path)!r}: found {error}, expected {expected}") from error
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise ValueError(f"{path}: found {kinds.get(stat.S_IFMT(mode), 'a device')}, expected {expected}")
    return path


def read_bytes(path: str | Path, expected: str, most: int) -> bytes:
    """Raises ValueError where there is no regular file, or one of more than `most` bytes."""
    path = regular_file(path, expected)
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"{path}: found {error.strerror}, expected {expected}") from error
    if len(content) > most:
        raise ValueError(f"{path}: found more than {most} bytes, expected {expected}")
    return content


def read_text(path: str | Path, expected: str, most: int = JSON_BYTES) -> str:
    """UTF-8, with or without a byte order mark."""
    return _decoded(read_bytes(path, expected, most), str(path), expected)


def _decoded(content: bytes, where: str, expected: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: found bytes that are no UTF-8 text, expected {expected}") from error


# ------------------------------------------------------------------------------------------------ JSON
def parse_json(text: str | bytes, where: str, expected: str) -> object:
    """The value of a JSON text. Raises ValueError where it is none, or has NaN, infinity or a key twice."""
    if isinstance(text, bytes):
        text = _decoded(text, where, expected)
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        reason = "brackets without end" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{where}: found no JSON ({reason}), expected {expected}") from error


def json_value(text: str) -> object:
    """The JSON of a script's option. Raises ValueError."""
    return parse_json(text, "option", "JSON")


def json_argument(text: str) -> dict:
    """A section of the config as a type of argparse."""
    try:
        found = json_value(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"found {type(found).__name__}, expected a JSON object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _each_once(pairs: list[tuple[str, object]]) -> dict:
    if (twice := first_twice(name for name, _ in pairs)) is not None:
        raise ValueError(f"the key {shortened(twice)} twice")
    return dict(pairs)


def first_twice(values: Iterable[str]) -> str | None:
    """The first value that has been there before."""
    seen = set()
    return next((value for value in values if value in seen or seen.add(value)), None)


def read_json_as(form: type[_FORM], path: str | Path, expected: str, most: int = JSON_BYTES) -> dict:
    """The JSON object in a file, checked against its form. Raises ValueError."""
    return checked(form, parse_json(read_bytes(path, expected, most), str(path), expected), str(path), expected)


def checked(form: type[_FORM], value: object, where: str, expected: str) -> dict:
    """The value, which has the form. Raises ValueError that names the first key that is wrong."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: found {type(value).__name__}, expected {expected}")
    try:
        form.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"{where}: found {_first(error)}, expected {expected}") from error
    except RecursionError as error:
        raise ValueError(f"{where}: found brackets without end, expected {expected}") from error
    return value


def _first(error: ValidationError) -> str:
    """What is wrong, in a line; and how much more."""
    problems = error.errors(include_url=False, include_context=False)
    one = problems[0]
    key = ".".join(str(part) for part in one["loc"])[:_SHOWN] or "the whole"
    shown = "" if one["type"] == "missing" else f" ({shortened(one['input'])})"
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{key!r}{shown}: {one['msg'].removeprefix('Value error, ')}{more}"


def shortened(value: object) -> str:
    """What was found, at most `_SHOWN` characters of it."""
    if isinstance(value, dict | list) and len(value) > 8:  # its text may be as long as the file
        return f"{type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# ------------------------------------------------------------------------------------------------ tables
def read_rows(
    path: str | Path, columns: Sequence[str], expected: str, most: int = TABLE_BYTES
) -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of a CSV that has at least these columns; blank lines are skipped, cells stripped. Cells
    beyond the header are dropped, missing ones are empty."""
    text = read_text(path, expected, most)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except csv.Error as error:
        raise ValueError(f"{path}: found no CSV ({error}), expected {expected}") from error
    if twice := first_twice(name for name in header if name):
        raise ValueError(f"{path}: found the column {shortened(twice)} twice, expected {expected}")
    if missing := [name for name in columns if name not in header]:
        shown = ", ".join(header)[:_SHOWN] or "none"
        raise ValueError(f"{path}: found the columns {shown}, expected {', '.join(missing)} too.")
    padding = [""] * len(header)
    return [(line, {k: v for k, v in zip(header, cells + padding, strict=False) if k}) for line, cells in rows]
