"""Reading a config's file: what a config may not be, whatever its keys mean. Larger than it looks, no number, text that
cannot be seen."""

import copy
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import yaml

from understudy.files.escape import invisible
from understudy.files.outside import read_text, shortened

from .fields import HasLines, IsPath, Problem
from .reading import leaves

_MOST_BYTES, _MOST_VALUES, _MOST_LEVELS = 4_000_000, 200_000, 50


def load_yaml(path: str | Path) -> dict:
    """Raises ValueError where the file is missing or is no YAML mapping."""
    text = read_text(path, "a config (see config/README.md)", _MOST_BYTES)
    try:
        _refuse_deep(text)
        # the C parser is fifteen times faster, and a config is read in every job
        content = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: found broken YAML ({' '.join(str(error).split())})") from error
    except (RecursionError, ValueError, TypeError) as error:  # brackets without end, a date of month 13, a list as key
        raise ValueError(f"{path}: found broken YAML ({shortened(str(error))})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found {type(content).__name__}, expected sections such as `datasets:`")
    if problem := unbounded(content):
        raise ValueError(f"{path}: found {problem}")
    return content


def _refuse_deep(text: str) -> None:
    """Raises ValueError where brackets are nested so deep that the C parser, which calls itself, would crash."""
    level = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > _MOST_LEVELS:
            raise ValueError(f"more than {_MOST_LEVELS} levels")


def unbounded(content: object) -> str | None:
    """What in a config is larger than it looks, or is no number: aliases (`*name`) may hold each other, or grow from a
    line to gigabytes, and every comparison with .nan is false, those with limits as well."""
    left, waiting = _MOST_VALUES, [(content, 0)]
    while waiting:
        value, level = waiting.pop()
        left -= 1
        if left < 0 or level > _MOST_LEVELS:
            return f"more than {_MOST_VALUES} values or {_MOST_LEVELS} levels, aliases written out: shorten it"
        if isinstance(value, float) and not math.isfinite(value):
            return f"the number {value}, expected a finite one"
        if isinstance(value, dict):
            waiting += [(sub, level + 1) for sub in value.values()]
        elif isinstance(value, list):
            waiting += [(sub, level + 1) for sub in value]
    return None


def dates_as_text(value: object) -> object:
    """A copy. YAML makes a date of 2026-01-31 without quotes; who writes it means the text."""
    if isinstance(value, dict):
        return {key: dates_as_text(sub) for key, sub in value.items()}
    if isinstance(value, list):
        return [dates_as_text(sub) for sub in value]
    return value.isoformat() if isinstance(value, date) else copy.deepcopy(value)


def invisible_texts(kind: object, given: object, prefix: str = "") -> Iterator[Problem]:
    """Controls and marks of direction in any name or text; a text may have several lines where its key says so, a name
    may not. A pattern that ends with $ lets a line end pass. Paths may have any name (paths.py)."""
    for key, value, marks in leaves(kind, given, prefix):
        if isinstance(value, str) and IsPath() not in marks:
            text = value.replace("\n", "") if HasLines() in marks else value
            if any(map(invisible, text)):
                yield key, f"found {value!r}; allowed: text without characters that cannot be seen"
    yield from _invisible_names(given, prefix)


def _invisible_names(value: object, key: str) -> Iterator[Problem]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, sub in pairs:
        if any(map(invisible, str(name))):
            yield key or "top level", f"found the name {name!r}; allowed: one without characters that cannot be seen"
        yield from _invisible_names(sub, f"{key}.{name}" if key else str(name))
