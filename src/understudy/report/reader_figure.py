"""The figure of a reader study: how often each source is called synthetic, and whether readers could tell."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape
from understudy.reader.reader_names import ALL, PUBLISHED

from .spoken_names import spoken

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

MARKERS = {ALL: "s", PUBLISHED: "D"}


def draw_readers(calls: pd.DataFrame, summary: pd.DataFrame):
    """A row for each data set. Left: share of each source's images that is called synthetic, with 95 % intervals; who
    cannot tell has one level for all. Right: balanced accuracy, 0.5 is chance."""
    datasets = list(dict.fromkeys(calls["dataset"]))
    readers = list(dict.fromkeys(summary["reader"]))
    size = (9.5, 0.6 + 3.0 * len(datasets))
    figure, axes = plt.subplots(len(datasets), 2, figsize=size, squeeze=False, width_ratios=[2.2, 1])
    for (left, right), dataset in zip(axes, datasets, strict=True):
        _draw_calls(left, calls[calls["dataset"] == dataset], readers)
        _draw_accuracy(right, summary[summary["dataset"] == dataset], readers)
        left.set_title(escape.figure(dataset), loc="left", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if len(readers) > 1:
        figure.legend(handles, labels, loc="lower center", ncols=min(5, len(readers)), frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.5 / size[1] if len(readers) > 1 else 0, 1, 1))
    return figure


def _draw_calls(axis, calls: pd.DataFrame, readers: Sequence[str]) -> None:
    sources = list(dict.fromkeys(calls["image_type"]))
    for place, reader in enumerate(readers):
        own = calls[calls["reader"] == reader]
        x = np.array([sources.index(s) for s in own["image_type"]]) + _shift(place, len(readers))
        _points(axis, x, own["called_synthetic"], own, reader, place)
    axis.axvline(0.5, color="0.8", lw=1)
    axis.set_xticks(range(len(sources)), [spoken(s).replace(" ", "\n") for s in sources], fontsize=8)
    axis.set_ylabel("called synthetic")
    axis.set_ylim(-0.03, 1.03)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_accuracy(axis, summary: pd.DataFrame, readers: Sequence[str]) -> None:
    for place, reader in enumerate(readers):
        own = summary[summary["reader"] == reader]
        _points(axis, np.full(len(own), place), own["balanced_accuracy"], own, reader, place)
    axis.axhline(0.5, color="0.5", lw=1, ls="--")
    axis.set_xticks([])
    axis.set_xlim(-0.6, len(readers) - 0.4)
    axis.set_ylim(-0.03, 1.03)
    axis.set_ylabel("balanced accuracy")
    axis.spines[["top", "right"]].set_visible(False)


def _points(axis, x, y: pd.Series, own: pd.DataFrame, reader: str, place: int) -> None:
    error = np.nan_to_num(np.stack([y - own["low"], own["high"] - y])).clip(0)
    colour = "0.35" if reader == PUBLISHED else "black" if reader == ALL else f"C{place % 10}"
    fill = {"mfc": "none"} if reader == PUBLISHED else {}
    axis.errorbar(
        x,
        y,
        yerr=error,
        fmt=MARKERS.get(reader, "o"),
        ms=5,
        lw=1.2,
        capsize=2,
        color=colour,
        label=escape.figure(reader),
        **fill,
    )


def _shift(place: int, count: int) -> float:
    return (place - (count - 1) / 2) * min(0.16, 0.7 / count)
