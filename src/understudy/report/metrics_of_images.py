"""Metrics of synthetic images, one column each, to rank and correlate with what the images are good for."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from understudy.files.csv_files import read_csv
from understudy.study.grid import snapshots, turns_of

ROW = ["dataset", "generator"]
MEASURES = ["frechet", "kernel_mean", "precision", "recall", "density", "coverage", "inception_score_mean"]
STUDY = ("inception", "t1ce")  # space and channel of the published FID and Inception Score


def read_fidelity(path: str | Path) -> pd.DataFrame:
    """dataset, generator, and a column per metric, of a CSV with a row per dataset and generator, or of
    tables/fidelity.csv, which has one for each feature space and channel.

    Of the latter, columns are called "{measure}, {space}, {channel}", and those of the published study `frechet` and
    `inception_score`. Raises ValueError where the file is none.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file, expected a CSV with columns dataset, generator and metrics")
    table = read_csv(path)
    several = [name for name in ("space", "channel") if name in table]
    if not set(ROW) <= set(table) or table.duplicated([*ROW, *several]).any():
        raise ValueError(
            f"{path}: found {', '.join(table)}, expected metrics, and each dataset and generator once (for every space "
            "and channel)"
        )
    return by_metric(table) if several else table[ROW].join(table.select_dtypes("number"))


def by_metric(table: pd.DataFrame) -> pd.DataFrame:
    """The table `fidelity` with a column per metric, as read_fidelity returns it."""
    measures = [name for name in MEASURES if name in table]
    long = table.melt([*ROW, "space", "channel"], measures, "measure").dropna(subset="value")
    wide = long.assign(
        metric=[column_of(*row) for row in long[["measure", "space", "channel"]].itertuples(index=False)]
    )
    order = list(dict.fromkeys(wide["metric"]))
    return wide.pivot(index=ROW, columns="metric", values="value")[order].reset_index().rename_axis(columns=None)


def of_generators(fidelity: pd.DataFrame, config: Mapping) -> pd.DataFrame:
    """What generators are ranked by: averaged_over_trainings; snapshots are none."""
    finished = fidelity[~fidelity["generator"].isin(snapshots(config))]
    return averaged_over_trainings(finished, config, config["generators"])


def averaged_over_trainings(fidelity: pd.DataFrame, config: Mapping, named: Iterable[str]) -> pd.DataFrame:
    """A row for each of `named`, the mean over its trainings, which its segmenters have learned from as well. Other
    rows stay."""
    own = {turn: name for name in named for turn in turns_of(config, name) or (name,)}
    named = fidelity.assign(generator=[own.get(name, name) for name in fidelity["generator"]])
    return named.groupby(ROW, sort=False, as_index=False).mean(numeric_only=True)


def column_of(measure: str, space: str, channel: str) -> str:
    """Its name in what read_fidelity returns."""
    plain = measure.removesuffix("_mean") if measure.startswith("inception") else measure
    if (space, channel) == STUDY and plain in ("frechet", "inception_score"):
        return plain
    return f"{measure}, {space}, {channel}"
