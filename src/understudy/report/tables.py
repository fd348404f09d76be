"""From scores.csv of every training to the tables of the study.

One row per setting (dataset, segmenter, training set, augmentation). Means are taken in the study's order: over the
test subjects of one training, then over its repeats, with the population standard deviation over repeats. Nothing is
averaged silently: a repeat without scores is listed under `failed`, one that has no defined value for some label under
`undefined`, and the empty labels behind undefined scores are counted in their own table.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.core.grid import RESERVED, Setting
from understudy.evaluate.scores import COLUMNS, apply_policy, count_empties, read_scores

from .published import published_relative_dice, published_scores

KEYS = ["dataset", "segmenter", "training_set", "augmentation"]
METRICS = {"dice": "dice", "hausdorff": "hausdorff_mm"}
BASELINE = ("real", "augmented")  # what relative Dice is relative to


def load_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """All scores in one frame. A missing file is a failed training: it is left out, and listed by the tables.

    Raises ValueError where two files hold the same training, or the trainings of a dataset differ in their subjects.
    """
    frames = {Path(path): read_scores(path) for path in paths if Path(path).is_file()}
    if not frames:
        return pd.DataFrame(columns=COLUMNS)
    scores = pd.concat([frame.assign(file=str(path)) for path, frame in frames.items()], ignore_index=True)
    cell = [*KEYS, "repeat", "subject", "label"]
    if (twice := scores.duplicated(cell)).any():
        row = scores[twice].iloc[0]
        raise ValueError(f"{row['file']}: found scores of {', '.join(map(str, row[cell]))} a second time, expected one")
    _refuse_different_subjects(scores)
    return scores.drop(columns="file")


def _refuse_different_subjects(scores: pd.DataFrame) -> None:
    for dataset, of_dataset in scores.groupby("dataset", sort=False):
        expected: set | None = None
        for file, part in of_dataset.groupby("file", sort=False):
            found = set(zip(part["subject"], part["label"], strict=True))
            expected = found if expected is None else expected
            if found != expected:
                names = ", ".join(sorted({subject for subject, _ in found ^ expected})[:5])
                raise ValueError(
                    f"{file}: its subjects or labels differ from those of the other trainings on {dataset} ({names}). "
                    "Means over different subjects cannot be compared: train it again."
                )


def settings_of(scores: pd.DataFrame) -> list[Setting]:
    """The settings that the scores hold, where nobody says which were expected."""
    if not len(scores):
        return []
    return [Setting(*key, int(repeats)) for key, repeats in scores.groupby(KEYS, sort=False)["repeat"].max().items()]


def make_tables(
    scores: pd.DataFrame,
    settings: Sequence[Setting],
    policy: str = "study",
    published: Mapping[str, str] | None = None,
) -> dict[str, pd.DataFrame]:
    """The tables dice, hausdorff (mm), relative_dice (percent), ranking, empties.

    Args:
        scores: as load_scores gives them.
        settings: expected ones, in the order of the rows; repeats 1 ... setting.repeats.
        policy: what undefined scores count as (evaluate.scores.apply_policy).
        published: dataset -> brats2020 or brats2021, where the study's values are to stand beside ours.
    Raises:
        ValueError: scores of a setting or repeat that is not expected.
    """
    _refuse_unexpected(scores, settings)
    published = {dataset: name for dataset, name in (published or {}).items() if name}
    counted = apply_policy(scores, policy)
    tables = {metric: score_table(counted, settings, metric, published) for metric in METRICS}
    tables["relative_dice"] = relative_dice(tables["dice"], published)
    tables["ranking"] = ranking(tables["dice"], tables["hausdorff"])
    tables["empties"] = count_empties(scores, KEYS)
    return tables


def _refuse_unexpected(scores: pd.DataFrame, settings: Sequence[Setting]) -> None:
    expected = {(*_key(s), repeat) for s in settings for repeat in range(1, s.repeats + 1)}
    found = set(scores[[*KEYS, "repeat"]].itertuples(index=False, name=None))
    if extra := sorted(found - expected):
        raise ValueError(
            f"scores: found {len(extra)} trainings that no setting expects, the first is {' '.join(map(str, extra[0]))}"
        )


def _key(setting: Setting) -> tuple[str, str, str, str]:
    return setting.dataset, setting.segmenter, setting.training_set, setting.augmentation


def repeat_means(counted: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Per training (index: KEYS, repeat) the mean over subjects of each label, and `mean` over the labels.

    The Dice `mean` is the average of the labels' means; the distance is first averaged over the labels of a subject,
    then over subjects. The two differ only where a value is undefined.
    """
    column, training = METRICS[metric], [*KEYS, "repeat"]
    labels = list(dict.fromkeys(counted["label"]))
    means = counted.groupby([*training, "label"], sort=False)[column].mean().unstack("label").reindex(columns=labels)
    if metric == "dice":
        return means.assign(mean=means.mean(axis=1))
    per_subject = counted.groupby([*training, "subject"], sort=False)[column].mean()
    return means.assign(mean=per_subject.groupby(training, sort=False).mean())


def score_table(
    counted: pd.DataFrame, settings: Sequence[Setting], metric: str, published: Mapping[str, str]
) -> pd.DataFrame:
    """A row per setting: {label}_mean, {label}_sd, mean_mean, mean_sd, repeats, failed, undefined, published_..."""
    means = repeat_means(counted, metric)
    rows = []
    for setting in settings:
        of_setting = _trainings_of(means, setting)
        row = dict(zip(KEYS, _key(setting), strict=True))
        for name in means.columns:
            values = of_setting[name].dropna().to_numpy(float)
            row[f"{name}_mean"] = values.mean() if len(values) else np.nan
            row[f"{name}_sd"] = values.std() if len(values) else np.nan
        row["repeats"] = len(of_setting)
        row["failed"] = _listed(r for r in range(1, setting.repeats + 1) if r not in of_setting.index)
        row["undefined"] = _listed(of_setting.index[of_setting.isna().any(axis=1)])
        rows.append(row)
    columns = [*KEYS, *(f"{n}_{s}" for n in means.columns for s in ("mean", "sd")), "repeats", "failed", "undefined"]
    table = pd.DataFrame(rows, columns=columns)
    theirs = {d: published_scores(metric, n)[[*KEYS[1:], "mean_mean", "mean_sd"]] for d, n in published.items()}
    return _beside(table, theirs, ["mean_mean", "mean_sd"])


def _trainings_of(means: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Rows of one setting, indexed by repeat."""
    level = means.index.to_frame(index=False)
    wanted = np.logical_and.reduce([level[k] == v for k, v in zip(KEYS, _key(setting), strict=True)])
    return means[np.asarray(wanted, bool)].droplevel(KEYS).sort_index()


def _listed(repeats: Iterable[int]) -> str:
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


def relative_dice(dice: pd.DataFrame, published: Mapping[str, str]) -> pd.DataFrame:
    """Mean Dice in percent of that of the same dataset and segmenter trained on real images with augmentation."""
    is_baseline = (dice["training_set"] == BASELINE[0]) & (dice["augmentation"] == BASELINE[1])
    baseline = dice[is_baseline].set_index(KEYS[:2])["mean_mean"]
    of_row = baseline.reindex(pd.MultiIndex.from_frame(dice[KEYS[:2]])).to_numpy(float)
    table = dice[KEYS].assign(percent=100 * dice["mean_mean"].to_numpy(float) / of_row)
    theirs = {dataset: published_relative_dice(name) for dataset, name in published.items()}
    return _beside(table, theirs, ["percent"])


def ranking(dice: pd.DataFrame, hausdorff: pd.DataFrame) -> pd.DataFrame:
    """Generators ranked by training on their images alone: a column per segmenter, augmentation and metric, 1 = best.

    Equal values share the mean of their ranks; a setting without scores has no rank. `mean_rank` is over the `criteria`
    that have one, `rank` is the order of the mean ranks. More than one dataset: dataset "all" ranks over all criteria.
    """
    parts = []
    for metric, table, ascending in (("dice", dice, False), ("hausdorff", hausdorff, True)):
        alone = table[[kind not in RESERVED and not set(kind) & {"+", "="} for kind in table["training_set"]]]
        ranks = alone.groupby(["dataset", "segmenter", "augmentation"])["mean_mean"].rank(ascending=ascending)
        criterion = alone["segmenter"] + "_" + alone["augmentation"] + "_" + metric + "_rank"
        parts.append(alone[["dataset"]].assign(generator=alone["training_set"], criterion=criterion, rank=ranks))
    ranks = pd.concat(parts, ignore_index=True)
    columns = list(dict.fromkeys(ranks["criterion"]))
    wide = ranks.pivot(index=["dataset", "generator"], columns="criterion", values="rank")
    wide = wide.reindex(index=pd.MultiIndex.from_frame(ranks[["dataset", "generator"]]).unique(), columns=columns)
    everything = ranks.groupby("generator", sort=False)["rank"].agg(["mean", "count"])
    table = wide.assign(mean_rank=wide.mean(axis=1), criteria=wide.notna().sum(axis=1)).reset_index()
    if table["dataset"].nunique() > 1:
        overall = everything.rename(columns={"mean": "mean_rank", "count": "criteria"}).reset_index()
        table = pd.concat([table, overall.assign(dataset="all")], ignore_index=True)
    table["rank"] = table.groupby("dataset")["mean_rank"].rank(method="min")
    return table
