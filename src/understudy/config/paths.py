"""Paths of a config that no study can carry. Every other character is one of a name: nothing reads it as a command."""

import re
from collections.abc import Iterator, Mapping

from .fields import Block, IsPath, Problem
from .reading import leaves

REFUSED = {
    "{": "Snakemake takes { and } for a wildcard",
    "}": "Snakemake takes { and } for a wildcard",
    "\0": "no file system has this character",
}


def problems(kind: type[Block], given: Mapping, prefix: str = "") -> Iterator[Problem]:
    """Of every key that is a file or a folder."""
    for key, path, marks in leaves(kind, given, prefix):
        if isinstance(path, str) and IsPath() in marks:
            yield from ((re.sub(r"\.\d+$", "", key), text) for text in _of_path(path))


def _of_path(path: str) -> Iterator[str]:
    for character, why in REFUSED.items():
        if character in path:
            yield f"found {path!r} with {character!r}; {why}: rename it"
            break
    if path.startswith("-"):
        yield f"found {path!r}; programs take it for an option: write ./ or the whole path before it"
    if path.startswith("~"):
        yield f"found {path!r}; nothing puts a home folder in the place of ~: write the whole path"
