"""verify.py of a release, in parts: the receiver gets one program that imports nothing that lies beside it."""

import ast
import inspect

from understudy.study import bids_names

from . import (
    bids_volumes,
    image_archive,
    isolated,
    listed_files,
    picture_folders,
    png_filters,
    png_pixels,
    whole_release,
)

# In this order: the first decides whether the rest runs, the last runs it.
PARTS = (isolated, listed_files, png_pixels, image_archive, picture_folders)
PARTS += (png_filters, bids_names, bids_volumes, whole_release)


def program() -> str:
    """The text of verify.py: the parts, without what they import from each other."""
    return "\n\n".join(map(_alone, map(inspect.getsource, PARTS)))


def _alone(text: str) -> str:
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            assert node.level or node.module.startswith("understudy."), node.module
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "".join(lines)
