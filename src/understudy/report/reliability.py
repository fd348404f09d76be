"""Table and figure of calibration: are segmenters right as often as they are confident?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape
from understudy.files.csv_files import read_csv
from understudy.study.grid import Setting, without_controls
from understudy.study.looks import after_looks

from .notes import OfTrainings, of_all
from .score_arrays import KEYS, key_of
from .spoken_names import spoken

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

BINS = ["bin", "voxels", "confidence", "correct"]
COLUMNS = [*KEYS, "ece_mean", "ece_sd", "overconfidence_mean", "overconfidence_sd", "repeats"]
WIDTH = 4.6  # inches of a panel


@dataclass(frozen=True)
class CalibrationCounts(OfTrainings):
    """What the table is built from."""

    counts: Mapping[Setting, Sequence[pd.DataFrame]]  # of each repeat: subject and BINS

    @classmethod
    def of_config(cls, config: Mapping) -> "CalibrationCounts":
        counts = {
            setting: [
                read_csv(path, "what score_calibration writes", BINS)
                for path in setting.files(config["results"], "calibration.csv")
            ]
            for setting in after_looks(without_controls(config), config)
        }
        return cls(counts, **of_all(config))

    @cached_property
    def curves(self) -> dict[tuple, pd.DataFrame]:
        """Setting -> by bin: mean confidence and accuracy, of all repeats and subjects together."""
        return {key_of(s): reliability(pd.concat(counts)) for s, counts in self.counts.items()}


def reliability(counts: pd.DataFrame) -> pd.DataFrame:
    """By bin that has voxels: voxels, mean confidence, accuracy."""
    sums = counts.groupby("bin")[["voxels", "confidence", "correct"]].sum()
    return pd.DataFrame(
        {
            "voxels": sums["voxels"],
            "confidence": sums["confidence"] / sums["voxels"],
            "accuracy": sums["correct"] / sums["voxels"],
        }
    )


def expected_calibration_error(counts: pd.DataFrame) -> tuple[float, float]:
    """(sum over bins of their share of voxels times |accuracy - confidence|, mean confidence - accuracy); nan where
    nothing was counted."""
    curve = reliability(counts)
    if not len(curve):
        return np.nan, np.nan
    share, gap = curve["voxels"] / curve["voxels"].sum(), curve["confidence"] - curve["accuracy"]
    return float((share * gap.abs()).sum()), float((share * gap).sum())


def calibration_table(study: CalibrationCounts) -> pd.DataFrame:
    """A row per setting, columns COLUMNS: mean and standard deviation over the repeats."""
    rows = []
    for setting, counts in study.counts.items():
        errors = np.array([expected_calibration_error(one) for one in counts])
        numbers = np.stack([errors.mean(axis=0), errors.std(axis=0)], axis=1).reshape(-1)
        rows.append((*key_of(setting), *numbers, len(counts)))
    return pd.DataFrame(rows, columns=COLUMNS)


def draw_reliability(study: CalibrationCounts):
    """Accuracy against confidence of every training set with augmentation, where there is any; a panel per data set and
    segmenter. A perfectly calibrated network lies on the diagonal, an overconfident one below it."""
    augmented = {key: curve for key, curve in study.curves.items() if key[3] == "augmented"} or study.curves
    panels = list(dict.fromkeys(key[:2] for key in augmented))
    columns = max(len(panels), 1)
    figure, axes = plt.subplots(1, columns, figsize=(WIDTH * columns, WIDTH), squeeze=False, layout="constrained")
    for axis, panel in zip(axes.flat, panels, strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=(0, (3, 3)))
        for key, curve in augmented.items():
            if key[:2] == panel:
                label = escape.figure(spoken(key[2]))
                axis.plot(curve["confidence"], curve["accuracy"], marker="o", markersize=4, label=label)
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share that is right")
        axis.set_title(escape.figure(", ".join(panel)), fontsize=10)
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure
