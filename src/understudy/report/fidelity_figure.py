"""The figure of fidelity beside use: each metric of images against the Dice of segmenters that learned from them."""

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape
from understudy.study.sources import REAL

from .fidelity_table import NEARER
from .fidelity_table import REAL as REAL_TEST
from .metrics_of_images import MEASURES, column_of
from .ranking import ranks_alone
from .snapshots_table import KIMG
from .spoken_names import spoken

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

COLUMNS, WIDTH, HEIGHT = 4, 3.4, 3.0  # panels side by side, inches of each
MARKERS = "osD^vP*X"  # of the segmenters
COLOURS = ("#1b5fa8", "#d1701f", "#2c8a57", "#8a3ea8", "#5c6b00", "#00708a", "#a05a2c", "#666666")  # of the generators
NEAR = "#b3261e"  # around a generator that is nearer to the training images than real test images
TRAININGS = ["segmenter", "training_set", "generator", "mean"]  # generator: its training, such as stylegan2-seed2
LOWER = ("frechet", "kernel_mean")  # nearer where lower


def draw_fidelity_beside_use(
    dice: pd.DataFrame,
    fidelity: pd.DataFrame,
    trainings: pd.DataFrame | None = None,
    snapshots: pd.DataFrame | None = None,
):
    """A panel for each metric, space and channel of one data set; a point for each generator and segmenter, a small one
    for each training of a generator that has several, and a line along the snapshots of its training.

    Args:
        dice: of tables/dice.csv the rows of the data set, with augmentation where there are any.
        fidelity: of tables/fidelity.csv those of the data set.
        trainings: columns TRAININGS, a row for each training of a generator that has several.
        snapshots: of tables/snapshots.csv the rows of the data set with the augmentation of `dice`.
    """
    trainings = pd.DataFrame(columns=TRAININGS) if trainings is None else trainings
    snapshots = pd.DataFrame(columns=TRAININGS) if snapshots is None else snapshots
    used = dice[[ranks_alone(name) for name in dice["training_set"]]]
    spaces = fidelity.groupby(["space", "channel"], sort=False)
    panels = [
        (key, name, rows) for key, rows in spaces for name in MEASURES if name in rows and rows[name].notna().any()
    ]
    columns = min(COLUMNS, max(len(panels), 1))
    rows = max(-(-len(panels) // columns), 1)
    size = (WIDTH * columns, HEIGHT * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    names = list(dict.fromkeys([*used["training_set"], *snapshots["generator"]]))
    segmenters = list(dict.fromkeys([*used["segmenter"], *snapshots["segmenter"]]))
    colours = dict(zip(names, COLOURS * len(names), strict=False))
    for axis, (key, name, table) in zip(axes.flat, panels, strict=False):
        of_generator = table.drop_duplicates("generator").set_index("generator")
        _draw_trainings(axis, name, trainings, of_generator, colours)
        _draw_snapshots(axis, column_of(name, *key), snapshots, of_generator, colours, segmenters)
        _draw(axis, name, used, averaged(of_generator, trainings), colours)
        _real_lines(axis, name, dice, table)
        axis.set_title(escape.figure(", ".join(key)), fontsize=8)
        axis.set_xlabel(name.removesuffix("_mean").replace("_", " ") + (", lower is nearer" if name in LOWER else ""))
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("mean Dice")
    _legend(figure, segmenters, colours, snapshots=len(snapshots) > 0)
    return figure


def averaged(of_generator: pd.DataFrame, trainings: pd.DataFrame) -> pd.DataFrame:
    """With the mean over its trainings for a generator that has several, as its Dice is; without their intervals."""
    means = of_generator.copy()
    numbers = [name for name in MEASURES if name in means]
    for name, own in trainings.groupby("training_set", sort=False):
        known = [one for one in dict.fromkeys(own["generator"]) if one in of_generator.index]
        if name in means.index and len(known) > 1:
            means.loc[name, numbers] = of_generator.loc[known, numbers].astype(float).mean()
            means.loc[name, [end for end in means if end.endswith(("_low", "_high"))]] = np.nan
    return means


def _draw_trainings(
    axis, name: str, trainings: pd.DataFrame, of_generator: pd.DataFrame, colours: dict[str, str]
) -> None:
    segmenters = list(dict.fromkeys(trainings["segmenter"]))
    for row in trainings.itertuples():
        if row.training_set in colours and row.generator in of_generator.index:
            marker = MARKERS[segmenters.index(row.segmenter) % len(MARKERS)]
            style = {"marker": marker, "markersize": 4, "markerfacecolor": "none", "linestyle": ""}
            axis.plot(of_generator.loc[row.generator, name], row.mean, color=colours[row.training_set], **style)


def _draw_snapshots(
    axis,
    column: str,
    snapshots: pd.DataFrame,
    of_generator: pd.DataFrame,
    colours: dict[str, str],
    segmenters: list[str],
) -> None:
    """A line for each segmenter and generator, in order of training. The points of a generator's first line have its
    thousand images beside them; those of the others are the same."""
    if column not in snapshots:
        return
    known, told = snapshots.dropna(subset=[column, KIMG, "mean_mean"]).sort_values(KIMG, kind="stable"), set()
    for (generator, segmenter), line in known.groupby(["generator", "segmenter"], sort=False):
        colour, marker = colours[generator], MARKERS[segmenters.index(segmenter) % len(MARKERS)]
        axis.plot(line[column], line["mean_mean"], color=colour, linewidth=1, alpha=0.6)
        for x, row in zip(line[column], line.itertuples(), strict=True):
            near = _is_near(of_generator, row.training_set)
            edge = {"markeredgecolor": NEAR, "markeredgewidth": 1.5} if near else {}
            ends = np.nan_to_num([[row.mean_mean - row.mean_low], [row.mean_high - row.mean_mean]]).clip(0)
            style = {"marker": marker, "markersize": 4, "elinewidth": 0.6, "linestyle": ""}
            axis.errorbar(x, row.mean_mean, yerr=ends, color=colour, **style, **edge)
            if generator not in told:
                aside = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 6}
                axis.annotate(f"{row.kimg:g}", (x, row.mean_mean), color=colour, **aside)
        told.add(generator)


def _is_near(of_generator: pd.DataFrame, name: str) -> bool:
    """Whether its images are nearer to the training images than real test images are."""
    return name in of_generator.index and of_generator.loc[name].get(NEARER) == "yes"


def _draw(axis, name: str, used: pd.DataFrame, of_generator: pd.DataFrame, colours: dict[str, str]) -> None:
    segmenters = list(dict.fromkeys(used["segmenter"]))
    for row in used.itertuples():
        if row.training_set not in of_generator.index or pd.isna(x := of_generator.loc[row.training_set, name]):
            continue
        near = _is_near(of_generator, row.training_set)
        edge = {"markeredgecolor": NEAR, "markeredgewidth": 2} if near else {}
        ends = np.nan_to_num([[row.mean_mean - row.mean_low], [row.mean_high - row.mean_mean]]).clip(0)
        style = {"marker": MARKERS[segmenters.index(row.segmenter) % len(MARKERS)], "markersize": 6, "elinewidth": 1}
        style["xerr"] = _ends_of_metric(of_generator.loc[row.training_set], name, x)
        axis.errorbar(x, row.mean_mean, yerr=ends, color=colours[row.training_set], linestyle="", **style, **edge)


def _ends_of_metric(row: pd.Series, name: str, x: float) -> np.ndarray | None:
    """How far the interval of a metric reaches to both sides, where it has one."""
    if f"{name}_low" not in row or pd.isna(row[f"{name}_low"]):
        return None
    return np.array([[x - row[f"{name}_low"]], [row[f"{name}_high"] - x]])


def _real_lines(axis, name: str, dice: pd.DataFrame, table: pd.DataFrame) -> None:
    """Dashed: Dice of training on real images, and the metric of real test images."""
    for value in dice.loc[dice["training_set"] == REAL, "mean_mean"].dropna():
        axis.axhline(value, color="0.6", linewidth=1, linestyle=(0, (3, 3)))
    for value in table.loc[table["generator"] == REAL_TEST, name].dropna():
        axis.axvline(value, color="0.6", linewidth=1, linestyle=(0, (3, 3)))


def _legend(figure, segmenters: list[str], colours: dict[str, str], snapshots: bool) -> None:
    line = matplotlib.lines.Line2D
    entries = [
        line([], [], marker="o", color=c, linestyle="", label=escape.figure(spoken(n))) for n, c in colours.items()
    ]
    for place, name in enumerate(segmenters):
        marker = MARKERS[place % len(MARKERS)]
        entries.append(line([], [], marker=marker, color="0.3", linestyle="", label=escape.figure(name)))
    small = {"marker": "o", "color": "0.3", "markersize": 4, "markerfacecolor": "none", "linestyle": ""}
    entries.append(line([], [], label="one training of a generator", **small))
    if snapshots:
        along = {"marker": "o", "color": "0.3", "markersize": 4, "linewidth": 1}
        entries.append(line([], [], label="a generator as it trains, after so many thousand images", **along))
    ring = {"marker": "o", "color": "white", "markeredgecolor": NEAR, "markeredgewidth": 2, "linestyle": ""}
    entries.append(line([], [], label="nearer to training images than real test images", **ring))
    figure.legend(handles=entries, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
