"""The chart of differences from real images: a panel per network, a line per training set, the margin of equivalence as
a band, the numbers beside."""

import io

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape

from .comparisons import EXPLORATORY
from .figure_style import GUIDE, LETTERS, SMALL, WIDTH, plain_axis
from .spoken_names import spoken
from .verdict_marks import COLOURS, NO, OPEN, YES

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

MARKS = {"equivalent": YES, "better": YES, "worse": NO, "undecided": OPEN}
SHAPES = {YES: "o", NO: "s", OPEN: "D"}  # for who sees no colours
MEANINGS = {YES: "as useful as real images", NO: "less useful", OPEN: "not decided"}
LINE, PANEL, AXIS = 0.24, 0.28, 0.75  # inches: of a row, of a panel's title, of the axis and the legend


def draw_differences(equivalence: pd.DataFrame, margin: float):
    """The figure of a table with the columns of comparisons.EQUIVALENCE; rows without an interval have a dot alone."""
    panels = [(key, rows) for key, rows in equivalence.groupby(["dataset", "segmenter"], sort=False)]
    heights = [len(rows) * LINE for _, rows in panels]
    size = WIDTH, sum(heights) + PANEL * len(panels) + AXIS
    figure, axes = plt.subplots(
        len(panels), 1, figsize=size, height_ratios=heights, sharex=True, squeeze=False, layout="constrained"
    )
    several = equivalence["dataset"].nunique() > 1
    for axis, ((dataset, segmenter), rows) in zip(axes[:, 0], panels, strict=True):
        name = f"{segmenter}, {dataset}" if several else segmenter
        axis.set_title(escape.figure(name), loc="left", fontsize=LETTERS, fontweight="bold", pad=3)
        _draw_panel(axis, rows, margin)
        axis.tick_params(axis="x", length=3 if axis is axes[-1, 0] else 0)
        axis.spines["bottom"].set_visible(axis is axes[-1, 0])
    axes[-1, 0].set_xlabel("difference of mean Dice from real images; band: equivalent", fontsize=LETTERS)
    _legend(figure, {MARKS[verdict] for verdict in equivalence["verdict"]})
    return figure


def _draw_panel(axis, rows: pd.DataFrame, margin: float) -> None:
    axis.axvspan(-margin, margin, color="#e3ebf2", linewidth=0, zorder=0)
    axis.axvline(0, color=GUIDE, linewidth=0.9, linestyle=(0, (3, 3)))
    for place, row in enumerate(rows.itertuples(index=False)):
        mark, ends = MARKS[row.verdict], np.nan_to_num([[row.difference - row.low], [row.high - row.difference]])
        style = {"color": COLOURS[mark], "markersize": 5.5, "elinewidth": 1.8}
        axis.errorbar(row.difference, place, xerr=ends.clip(0), fmt=SHAPES[mark], **style)
        axis.text(1.02, place, _numbers(row), transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL)
    names = [escape.figure(_name(row, rows)) for row in rows.itertuples(index=False)]
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    plain_axis(axis)


def _name(row, rows: pd.DataFrame) -> str:
    how = f", {row.augmentation}" * (rows["augmentation"].nunique() > 1)
    return f"{spoken(row.training_set)}{how}{', exploratory' * (row.question == EXPLORATORY)}"


def _numbers(row) -> str:
    """As the table of equivalence has them."""
    value, low, high = (f"{round(one, 3) + 0.0:+.3f}" for one in (row.difference, row.low, row.high))
    interval = "no interval" if pd.isna(row.low) else f"{low} to {high}"
    return f"{value} ({interval})".replace("-", "−")


def _legend(figure, marks: set[str]) -> None:
    entries = [
        matplotlib.lines.Line2D([], [], marker=SHAPES[m], color=COLOURS[m], linestyle="", markersize=5.5, label=said)
        for m, said in MEANINGS.items()
        if m in marks
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=SMALL)


def png_of(figure) -> bytes:
    """The bytes of a figure that goes into a page and into no file; the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None}, dpi=160, bbox_inches="tight")
    plt.close(figure)
    return file.getvalue()
