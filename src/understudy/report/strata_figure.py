"""The figure of strata: mean Dice of every group, a panel per data set, segmenter and stratum."""

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape

from .spoken_names import spoken

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

COLOURS = ("#1b5fa8", "#d1701f", "#2c8a57", "#8a3ea8", "#b3261e", "#5c6b00")  # of the groups, in turn
LINE, AXIS, WIDTH = 0.4, 1.6, 6.4  # inches
ASIDE = 0.6  # of a line, over which its groups are spread


def draw_strata(table: pd.DataFrame):
    """The figure of a table with the columns of strata.COLUMNS, of training sets with augmentation where there are
    any. A hollow marker is a group of too few subjects."""
    shown = table[table["augmentation"] == "augmented"] if "augmented" in set(table["augmentation"]) else table
    panels = list(shown.groupby(["dataset", "segmenter", "stratum"], sort=False))
    columns = min(2, max(len(panels), 1))
    rows = max(-(-len(panels) // columns), 1)
    lines = max((panel["training_set"].nunique() for _, panel in panels), default=1)
    size = (WIDTH * columns, (AXIS + LINE * lines) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis, (key, panel) in zip(axes.flat, panels, strict=False):
        _draw(axis, panel)
        axis.set_title(escape.figure(", ".join(key)), fontsize=10)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    return figure


def _draw(axis, panel: pd.DataFrame) -> None:
    sets, groups = (list(dict.fromkeys(panel[name])) for name in ("training_set", "group"))
    for place, group in enumerate(groups):
        own = panel[panel["group"] == group]
        y = np.array([sets.index(name) for name in own["training_set"]]) + ASIDE * ((place + 0.5) / len(groups) - 0.5)
        middle = own["mean_mean"].to_numpy(float)
        ends = np.nan_to_num(np.stack([middle - own["mean_low"], own["mean_high"] - middle])).clip(0)
        few = bool(own["too_few"].any())
        colour = COLOURS[place % len(COLOURS)]
        label = f"{group} ({own['subjects'].iloc[0]}{', too few' * few})"
        face = {"markerfacecolor": "white" if few else colour, "markersize": 5}
        axis.errorbar(middle, y, xerr=ends, fmt="o", color=colour, label=escape.figure(label), **face)
    axis.set_yticks(range(len(sets)), [escape.figure(spoken(name)) for name in sets], fontsize=9)
    axis.set_ylim(len(sets) - 0.5, -0.5)
    axis.set_xlabel("mean Dice")
    axis.grid(axis="x", color="0.88", linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
