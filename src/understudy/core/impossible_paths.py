"""Paths of a config that no study can carry. Every other character is one of a name: nothing reads it as a command."""

import re
from collections.abc import Iterator, Mapping

_PATHS = re.compile(
    r"results|runs|datasets\.[^.]+\.(root|split|identities)|imports\.[^.]+\.stack|segmenters\.[^.]+\.pretrained"
    r"|evaluation\.fidelity\.weights\.[^.]+|release\.(licence_file|salt_file)|reader_study\.answers(\.\d+)?"
)
REFUSED = {
    "{": "Snakemake takes { and } for a wildcard",
    "}": "Snakemake takes { and } for a wildcard",
    "\0": "no file system has this character",
}


def impossible_paths(config: Mapping) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it)."""
    for key, path in _paths(config):
        for character, why in REFUSED.items():
            if character in path:
                yield key, f"found {path!r} with {character!r}; {why}: rename it"
                break
        if path.startswith("-"):
            yield key, f"found {path!r}; programs take it for an option: write ./ or the whole path before it"
        if path.startswith("~"):
            yield key, f"found {path!r}; nothing puts a home folder in the place of ~: write the whole path"


def is_path(key: str) -> bool:
    """Whether a dotted key of a config is a file or a folder, which may have any name."""
    return bool(_PATHS.fullmatch(key))


def _paths(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """(key, path) of everything in a config that is a file or a folder."""
    if isinstance(value, str) and is_path(key):
        yield re.sub(r"\.\d+$", "", key), value
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, sub in pairs:
        yield from _paths(sub, f"{key}.{name}" if key else str(name))
