"""Tables of scores: a row per setting, with what is known of each label and of their mean; published values beside."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from understudy.evaluate.metrics import DISTANCE, METRIC
from understudy.evaluate.scores import count_empties
from understudy.statistics.intervals import difference, interval
from understudy.study.grid import Setting

from .comparisons import BASELINE, LEVEL, Matrices
from .published import published_relative_dice, published_scores
from .score_arrays import FAILED, KEYS, REPEATS, TRAININGS, Cells, far_repeats, key_of, means_of, means_of_repeats
from .study_scores import StudyScores

PUBLISHED_POLICY = "study"  # for missing labels


def of_labels(study: StudyScores, metric: str) -> pd.DataFrame:
    labels, cells = study.labels
    table = score_table(cells, metric, labels, study.settings, study.draws)
    if not METRIC[metric].ranks:
        return table
    alike = study.policy == PUBLISHED_POLICY or METRIC[metric].undefined_as != DISTANCE
    return beside_published(table, metric, study.published, alike)


def of_regions(study: StudyScores, metric: str) -> pd.DataFrame:
    regions, cells = study.regions
    return score_table(cells, metric, regions, study.settings if regions else [], study.draws, with_mean=False)


def empties(scores: pd.DataFrame) -> pd.DataFrame:
    return count_empties(scores, [*KEYS, "kind"])


def score_table(
    cells: Cells, metric: str, labels: Sequence[str], settings: Sequence[Setting], draws: int, with_mean: bool = True
) -> pd.DataFrame:
    """A row per setting: {label}_mean, _sd, _low, _high, _median of every label and of their mean; repeats, failed,
    missing, undefined, far. mean and sd are over the repeats, low and high the interval over subjects and repeats: of
    95 %, but where a repeat is far from the others in mean Dice."""
    columns, rows = [*labels, *["mean"] * with_mean], []
    for setting in settings:
        values_LSR = cells.get(key_of(setting), {}).get(metric, np.empty((len(labels), 0, 0)))
        repeats = cells.get(key_of(setting), {}).get(REPEATS, np.empty(0, int))
        trainings = cells.get(key_of(setting), {}).get(TRAININGS)
        row, undefined = dict(zip(KEYS, key_of(setting), strict=True)), np.zeros(len(repeats), bool)
        for name in columns:
            of_name = values_LSR if name == "mean" else values_LSR[[labels.index(name)]]
            means_R = means_of_repeats(of_name, metric)
            undefined |= np.isnan(means_R)
            found = summary(of_name, means_R, metric, draws, trainings)
            row |= {f"{name}_{key}": value for key, value in found.items()}
        row["repeats"] = len(repeats)
        row["failed"] = listed(cells[key_of(setting)][FAILED] if len(repeats) else ())
        row["missing"] = listed(r for r in range(1, setting.repeats + 1) if r not in repeats)
        row["undefined"] = listed(repeats[undefined])
        row["far"] = listed(far_repeats(cells[key_of(setting)])) if len(repeats) and with_mean else ""
        rows.append(row)
    numbers = [f"{name}_{key}" for name in columns for key in SUMMARY]
    return pd.DataFrame(rows, columns=[*KEYS, *numbers, "repeats", *LISTS])


LISTS = ("failed", "missing", "undefined", "far")  # of repeats
SUMMARY = ("mean", "sd", "low", "high", "median")


def summary(
    values_LSR: np.ndarray, means_R: np.ndarray, metric: str, draws: int, trainings_R: np.ndarray | None
) -> dict[str, float]:
    """Of the means of the repeats, and of the subjects and trainings of generators behind them."""
    defined = means_R[~np.isnan(means_R)]
    if not len(defined):
        return dict.fromkeys(SUMMARY, np.nan)
    low, high = np.clip(interval(means_of(values_LSR, metric, trainings_R), draws=draws), *METRIC[metric].bounds)
    numbers = defined.mean(), defined.std(), low, high, np.median(defined)
    return dict(zip(SUMMARY, map(float, numbers), strict=True))


def beside_published(
    table: pd.DataFrame, metric: str, published: Mapping[str, str], alike: bool = True
) -> pd.DataFrame:
    """With published_mean_mean, published_mean_sd, and ours minus theirs where both count missing labels alike."""
    theirs = {d: published_scores(metric, n)[[*KEYS[1:], "mean_mean", "mean_sd"]] for d, n in published.items()}
    table = _beside(table, theirs, ["mean_mean", "mean_sd"])
    if not (theirs and alike):
        return table
    return table.assign(minus_published=table["mean_mean"] - table["published_mean_mean"])


def listed(repeats: Iterable[int]) -> str:
    return " ".join(map(str, repeats))


def _beside(table: pd.DataFrame, theirs: Mapping[str, pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """The table with published_{column} of the same dataset and setting; no such columns where nothing is published."""
    if not theirs:
        return table
    known = pd.concat([frame.assign(dataset=dataset) for dataset, frame in theirs.items()])
    known = known.rename(columns={c: f"published_{c}" for c in columns})
    return table.merge(known, on=KEYS, how="left", validate="one_to_one")


def published_of(table: pd.DataFrame, dataset: str) -> pd.DataFrame | None:
    """Columns segmenter, training_set, augmentation, mean_mean: the published means in a score table; None if none."""
    if "published_mean_mean" not in table:
        return None
    theirs = table[table["dataset"] == dataset].dropna(subset="published_mean_mean")
    theirs = theirs[[*KEYS[1:], "published_mean_mean"]].rename(columns={"published_mean_mean": "mean_mean"})
    return theirs if len(theirs) else None


def relative_dice(dice: pd.DataFrame, matrices: Matrices, published: Mapping[str, str]) -> pd.DataFrame:
    """Mean Dice in percent of that of the same dataset and segmenter trained on real images with augmentation, and its
    95 % interval. To first order (delta method) a ratio errs as the difference a - ratio * b, over the mean of b."""
    is_baseline = (dice["training_set"] == BASELINE[0]) & (dice["augmentation"] == BASELINE[1])
    baseline = dice[is_baseline].set_index(KEYS[:2])["mean_mean"]
    of_row = baseline.reindex(pd.MultiIndex.from_frame(dice[KEYS[:2]])).to_numpy(float)
    of_row = np.where(of_row > 0, of_row, np.nan)  # where all trainings on real images have failed
    percent = 100 * dice["mean_mean"].to_numpy(float) / of_row
    keys = dice[KEYS].itertuples(index=False, name=None)
    halves = [
        _half_of_ratio(matrices.get(key), matrices.get((*key[:2], *BASELINE)), key[2:] == BASELINE) for key in keys
    ]
    table = dice[KEYS].assign(percent=percent, percent_low=percent - halves, percent_high=percent + halves)
    theirs = {dataset: published_relative_dice(name) for dataset, name in published.items()}
    return _beside(table, theirs, ["percent"])


def _half_of_ratio(a_SR: np.ndarray | None, b_SR: np.ndarray | None, itself: bool) -> float:
    """Half of the interval of 100 a / b; nan where there is none."""
    if itself or a_SR is None or b_SR is None or not a_SR.size or not b_SR.size or b_SR.mean() == 0:
        return np.nan
    ratio = a_SR.mean() / b_SR.mean()
    found = difference(100 * a_SR / b_SR.mean(), 100 * ratio * b_SR / b_SR.mean())
    low, high = found.interval(LEVEL)
    return float(high - low) / 2
