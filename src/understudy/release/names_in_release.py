"""A search for traces of subjects in a release: their names in files' names and texts."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from understudy.files.names_in_text import Names
from understudy.stack import Stack
from understudy.stack.tensors import read_header
from understudy.study.bids_names import SUBJECT

from .anonymous import WEIGHTS
from .verify.picture_folders import TABLE


def traces(folder: Path, words: Iterable[str]) -> list[str]:
    """Where a secret word stands in a file's name or text, a line each. Pixels and tensors are not text."""
    index = Names(words)
    if not index.lengths:
        return []
    return [f"{place}: names a subject, {said}" for place, text in _texts(folder) for said in index.found_in(text)]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """(place, text). A number that only counts the images (000007.png, the eighth) is nobody's name."""
    stack = Stack.open(folder / "images.zip") if (folder / "images.zip").is_file() else None
    counted = {f"{i:06d}.png" for i in range(len(stack) if stack else 0)}
    subjects = {f"{SUBJECT}{name[:-4]}" for name in counted}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name.endswith(".nii.gz") and path.parts[-3] in subjects:  # verify.py knows its name to the last letter
            continue
        yield name, path.parent.relative_to(folder).as_posix() if path.name in counted else name
        if stack and path == stack.path:
            yield f"{name}, stack.json", json.dumps(stack.meta)
            yield f"{name}, names", "\n".join(image for image in stack.names if image not in counted)
        elif path.suffix == ".safetensors":
            header = read_header(path, WEIGHTS)
            yield f"{name}, header", json.dumps([list(header.entries), header.metadata])
        elif name == TABLE:
            cells = path.read_text(encoding="utf-8", errors="replace").replace("\n", ",").split(",")
            places = (PurePosixPath(cell) for cell in cells)
            yield name, "\n".join(str(place.parent if place.name in counted else place) for place in places)
        elif not name.endswith((".png", ".nii.gz")):
            yield name, path.read_text(encoding="utf-8", errors="replace")
