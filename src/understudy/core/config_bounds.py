"""What a config may not be, whatever its keys mean: larger than it looks, no number, text that cannot be seen."""

import math
from collections.abc import Iterator

import yaml

from .escape import invisible
from .impossible_paths import is_path

MOST_BYTES, _MOST_VALUES, _MOST_LEVELS = 4_000_000, 200_000, 50


def refuse_deep(text: str) -> None:
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


def invisible_texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Controls and marks of direction in any name or text; a text may have several lines, a name may not. A pattern
    that ends with $ lets a line end pass. Paths may have any name (impossible_paths.py)."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, sub in pairs:
        place = f"{key}.{name}" if key else str(name)
        if any(map(invisible, str(name))):
            yield key or "top level", f"found the name {name!r}; allowed: one without characters that cannot be seen"
        elif isinstance(sub, str) and not is_path(place) and any(map(invisible, _without_line_ends(sub, place))):
            yield place, f"found {sub!r}; allowed: text without characters that cannot be seen"
        else:
            yield from invisible_texts(sub, place)


def _without_line_ends(text: str, key: str) -> str:
    return text.replace("\n", "") if key.startswith("release.") else text
