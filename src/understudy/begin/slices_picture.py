"""Draws a slice of a few subjects with their annotation: a person sees whether orientation and labels are right."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from understudy.files import escape
from understudy.files.atomic import atomic_path

from .survey import Survey

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

_LETTERS_AN_INCH = 14  # of the title
_ROWS = 6  # subjects
_COLOURS = plt.colormaps["tab10"].colors + plt.colormaps["Dark2"].colors  # of labels, 16 at most


def draw(found: Survey, path: Path) -> None:
    """A row per subject, a column per modality, and the decisive one once more with the annotation over it."""
    shown, names = found.slices[:_ROWS], list(found.slices[0].images)
    colours = dict(zip(dict.fromkeys(found.label_names.values()), _COLOURS, strict=False))
    figure, axes = plt.subplots(
        len(shown), len(names) + 1, figsize=(2 * len(names) + 2, 2.1 * len(shown) + 0.8), squeeze=False
    )
    for row, one in zip(axes, shown, strict=True):
        for axis, name in zip(row, [*names, found.decisive], strict=True):
            axis.imshow(one.images[name], cmap="gray", aspect="auto" if _is_long(one.images[name]) else "equal")
            axis.set_xticks([])
            axis.set_yticks([])
        row[-1].imshow(_coloured(one.raw_labels, found.label_names, colours))
        row[0].set_ylabel(f"{escape.figure(one.subject)}\nslice {one.number}", fontsize=6)
    for axis, name in zip(axes[0], [*names, "annotation"], strict=True):
        axis.set_title(escape.figure(name), fontsize=8)
    axes[0][0].text(0.02, 0.5, "R", color="yellow", fontsize=7, transform=axes[0][0].transAxes)
    axes[0][0].text(0.5, 0.93, "A", color="yellow", fontsize=7, transform=axes[0][0].transAxes)
    patches = [matplotlib.patches.Patch(color=colour, label=escape.figure(name)) for name, colour in colours.items()]
    figure.legend(handles=patches, loc="lower center", ncols=8, fontsize=7, frameon=False)
    said = "R: the patient's right, A: anterior. These are pictures of patients: do not share them."
    inches = figure.get_size_inches()[0]
    figure.suptitle("\n".join(textwrap.wrap(said, int(_LETTERS_AN_INCH * inches))), fontsize=8)
    figure.tight_layout(rect=(0, 0.03, 1, 0.99))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


def _is_long(image_YX: np.ndarray) -> bool:
    """Few thick rows of a volume that was taken in another plane."""
    return max(image_YX.shape) > 4 * min(image_YX.shape)


def _coloured(labels_YX: np.ndarray, names: Mapping[int, str], colours: Mapping[str, tuple]) -> np.ndarray:
    """(Y, X, RGBA), see-through where nothing is annotated."""
    picture = np.zeros((*labels_YX.shape, 4))
    for value, name in names.items():
        picture[labels_YX == value] = (*colours[name], 0.55)
    return picture
