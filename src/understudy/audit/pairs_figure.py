"""Two figures of an audit: how near synthetic and real images come to the training images, and the most similar pairs.

The first shows distributions alone and may be shared; the second shows training images and must not.
"""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape
from understudy.stack import Stack

from .detector import Detector
from .search import Found
from .search_tasks import same_channels
from .views import VARIANTS, turned_array, variant_name

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

BINS = 60
PAIRS = 6
LABELS = {
    "train": "training images, among other subjects",
    "test": "test images",
    "synthetic": "synthetic images",
}
COLOURS = {"synthetic": "#c0392b", "test": "#2c3e50", "train": "#7f8c8d"}


def draw_distributions(found: Mapping[str, Found], null: Mapping[str, Found], calibration: Mapping, title: str):
    """The scores, and beside them the correlations of the view that is listed."""
    detector, view = Detector.of(calibration), calibration["view"]
    kinds = {"train": (null, "train"), "test": (null, "test"), "synthetic": (found, "train")}
    scores = {
        kind: detector.scores({name: where[f"{name}/{task}"] for name in detector.usual})[0]
        for kind, (where, task) in kinds.items()
    }
    correlations = {kind: where[f"{view}/{task}"].r[:, 0] for kind, (where, task) in kinds.items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.4))
    top = 2 * detector.far
    _histograms(left, {kind: np.minimum(score_N, top) for kind, score_N in scores.items()})
    left.axvline(detector.threshold, color="black", lw=1, ls="--")
    left.axvline(detector.far, color="black", lw=1, ls=":")
    cut = any((score_N > top).any() for score_N in scores.values())
    left.set_xlabel("score of all views" + f", {top:.2g} where it is more" * cut)
    left.set_ylabel("share of images")
    _histograms(right, correlations)
    right.set_xlabel(f"correlation with the nearest training image, view {escape.figure(view)}")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    figure.suptitle(f"{escape.figure(title)}; dashed: flagged, dotted: surely a copy", fontsize=11)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    return figure


def _histograms(axis, values: Mapping[str, np.ndarray]) -> None:
    edges = np.linspace(min(map(np.min, values.values())), max(map(np.max, values.values())) + 1e-6, BINS + 1)
    for kind, x_N in values.items():
        how = {"histtype": "stepfilled", "alpha": 0.35} if kind == "synthetic" else {"histtype": "step", "lw": 1.5}
        axis.hist(x_N, edges, weights=np.full(len(x_N), 1 / len(x_N)), color=COLOURS[kind], label=LABELS[kind], **how)
    axis.spines[["top", "right"]].set_visible(False)


def draw_pairs(samples: Stack, train: Stack, images: pd.DataFrame, audit: Mapping):
    """The most similar pairs: above the synthetic images, turned as they were compared, below their training images."""
    same_channels(samples, train)
    kinds = {variant_name(kind): kind for kind in VARIANTS[audit["variants"]]}
    channel, rows = train.channels.index(audit["channel"]), images.head(PAIRS)
    place_of = {name: i for i, name in enumerate(train.names)}
    index_of = {name: i for i, name in enumerate(samples.names)}
    figure, axes = plt.subplots(2, len(rows), figsize=(1.9 * len(rows) + 0.4, 4.9), squeeze=False)
    for (above, below), row in zip(axes.T, rows.itertuples(), strict=True):
        x_CHW = turned_array(samples[index_of[row.image]], kinds.get(row.turned, (0, False)))
        for axis, image_CHW in ((above, x_CHW), (below, train[place_of[row.nearest]])):
            axis.imshow(image_CHW[channel], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        turned = "" if row.turned == "as it is" else f", {row.turned}"
        above.set_title(
            f"{escape.figure(row.image.removesuffix('.png'))}{turned}\n{row.view} {row.score:.1f}", fontsize=8
        )
        below.set_title(escape.figure(row.nearest.removesuffix(".png")), fontsize=8)
        below.set_xlabel("flagged" if row.flagged else "", fontsize=8, color=COLOURS["synthetic"])
    axes[0, 0].set_ylabel("synthetic")
    axes[1, 0].set_ylabel("training")
    figure.suptitle("The most similar pairs. Shows training images: not to be released.", fontsize=10)
    figure.tight_layout(h_pad=1.6)
    return figure
