"""The figure of an experiment: mean Dice along its curves with 95 % intervals, a panel per data set and segmenter."""

import matplotlib
import numpy as np
import pandas as pd

from understudy.study.experiment_registry import BOTH, EXPERIMENTS, REAL, SYNTHETIC, TUNED

from .experiment_tables import CURVE
from .spoken_names import spoken

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

REAL_COLOUR = "0.25"
COLOURS = ("#1b5fa8", "#d1701f", "#2c8a57", "#8a3ea8", "#b3261e", "#5c6b00")  # of the generators, in turn
ASIDE = 0.008  # of the axis, from curve to curve
STYLES = {REAL: ("o", "-"), SYNTHETIC: ("s", "-"), BOTH: ("D", "-"), TUNED: ("^", "--")}  # marker, line


def draw_curves(name: str, table: pd.DataFrame, published: pd.DataFrame | None = None):
    """The figure of an experiment's table.

    Args:
        published: dataset, segmenter, augmentation, generator, amount, mean_mean: hollow diamonds.
    """
    panels = list(table.groupby(CURVE[:2], sort=False))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(6.4 * columns, 4.4 * rows), squeeze=False)
    colours = dict(zip(dict.fromkeys(g for g in table["generator"] if g), COLOURS * 9, strict=False))
    for axis, ((dataset, segmenter), panel) in zip(axes.flat, panels, strict=False):
        log = EXPERIMENTS[name].of_patients
        drawn = list(panel.groupby(CURVE[3:], sort=False))
        for place, (key, curve) in enumerate(drawn):
            aside = (place - (len(drawn) - 1) / 2) * ASIDE  # or error bars would hide each other
            _draw(axis, key, curve[curve["mean_mean"].notna()], colours, log, aside)
        if published is not None:
            own = published[(published["dataset"] == dataset) & (published["segmenter"] == segmenter)]
            axis.plot(own["amount"], own["mean_mean"], "D", color="0.3", markerfacecolor="none", label="published")
        _dress(axis, name, panel, log)
        axis.set_title(f"{dataset}, {segmenter}, {panel['augmentation'].iloc[0]}", fontsize=10)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    figure.tight_layout()
    return figure


def _draw(axis, key: tuple[str, str], curve: pd.DataFrame, colours: dict[str, str], log: bool, aside: float) -> None:
    """One curve, a share of the axis aside; synthetic images alone, beside few subjects, are a level across it."""
    generator, kind = key
    colour, (marker, line) = colours.get(generator, REAL_COLOUR), STYLES[kind]
    label = _label(generator, kind)
    if not len(curve):
        return
    if log and kind == SYNTHETIC:
        row = curve.iloc[0]
        axis.axhline(row["mean_mean"], color=colour, linewidth=1.6, linestyle=":", label=label)
        if np.isfinite(row["mean_low"]):
            axis.axhspan(row["mean_low"], row["mean_high"], color=colour, alpha=0.12, linewidth=0)
        return
    middle = curve["mean_mean"].to_numpy(float)
    ends = np.abs(np.nan_to_num(np.stack([middle - curve["mean_low"], curve["mean_high"] - middle])))
    amounts = curve["amount"].to_numpy(float)
    x = amounts * np.exp(4 * aside) if log else amounts + aside * max(np.ptp(amounts), 1)
    style = {"color": colour, "marker": marker, "linestyle": line, "markersize": 5, "capsize": 3}
    axis.errorbar(x, middle, ends, label=label, **style)


def _label(generator: str, kind: str) -> str:
    if kind == REAL:
        return "real images alone"
    name = spoken(generator)
    return {SYNTHETIC: f"{name} alone", BOTH: f"real + {name}", TUNED: f"{name}, then real"}[kind]


def _dress(axis, name: str, panel: pd.DataFrame, log: bool) -> None:
    amounts = sorted({a for a in panel["amount"] if a or not log})
    if log:
        axis.set_xscale("log")
    if log or len(amounts) <= 6:
        axis.set_xticks(amounts, [f"{a:,}".replace(",", " ") for a in amounts])
        axis.minorticks_off()
    axis.set_xlabel(EXPERIMENTS[name].amounts + " (of a constant total)" * EXPERIMENTS[name].of_a_total)
    axis.set_ylabel("mean Dice")
    axis.grid(axis="y", color="0.88", linewidth=0.8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.legend(frameon=False, fontsize=8)
