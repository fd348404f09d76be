"""The chart of differences from real images: a line per setting, the margin of equivalence as a band."""

import io

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape

from .comparisons import EXPLORATORY
from .spoken_names import spoken
from .verdict_marks import COLOURS, NO, OPEN, YES

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

MARKS = {"equivalent": YES, "better": YES, "worse": NO, "undecided": OPEN}
SHAPES = {YES: "o", NO: "s", OPEN: "D"}  # for who sees no colours
LINE, AXIS = 0.3, 0.7  # inches


def draw_differences(equivalence: pd.DataFrame, margin: float):
    """The figure of a table with the columns of comparisons.EQUIVALENCE; rows without an interval have a dot alone."""
    figure, axis = plt.subplots(figsize=(8, AXIS + LINE * len(equivalence)), layout="constrained")
    axis.axvspan(-margin, margin, color="#e3ebf2", linewidth=0)
    axis.axvline(0, color="#586675", linewidth=1, linestyle=(0, (3, 3)))
    several = equivalence["dataset"].nunique() > 1
    for place, row in enumerate(equivalence.itertuples(index=False)):
        ends = np.nan_to_num([[row.difference - row.low], [row.high - row.difference]])
        mark = MARKS[row.verdict]
        style = {"color": COLOURS[mark], "markersize": 6, "elinewidth": 2.2}
        axis.errorbar(row.difference, place, xerr=ends.clip(0), fmt=SHAPES[mark], **style)
    names = [escape.figure(_name(row, several)) for row in equivalence.itertuples(index=False)]
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("difference of mean Dice")
    axis.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _name(row, several: bool) -> str:
    where = f"{row.dataset}, {row.segmenter}" if several else row.segmenter
    return f"{spoken(row.training_set)}, {where}, {row.augmentation}{', exploratory' * (row.question == EXPLORATORY)}"


def png_of(figure) -> bytes:
    """The bytes of a figure that goes into a page and into no file; the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None}, dpi=150, bbox_inches="tight")
    plt.close(figure)
    return file.getvalue()
