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

from understudy.core.grid import Setting
from understudy.evaluate.scores import (
    ADDED,
    COLUMNS,
    LABEL,
    REGION,
    apply_policy,
    count_empties,
    read_scores,
    with_added,
)

from .cells import BOUNDS, KEYS, REPEATS, SUBJECTS_FIRST, Cells, cells_of, means_of, means_of_repeats
from .cells import METRICS as COLUMN_OF
from .comparisons import BASELINE, comparisons, equivalence
from .controls import controls
from .correlation import kendall, power_sentence, spearman
from .intervals import DRAWS, holm, interval
from .published import published_fidelity, published_relative_dice, published_scores
from .ranking import CRITERION, criteria, drawn, ranking, ranks_alone

METRICS = ("dice", "hausdorff", "hausdorff95", "surface_dice", "volume_error")  # a table of the labels for each
REGION_METRICS = {"regions": "dice", "regions_hausdorff95": "hausdorff95"}
PUBLISHED_METRICS = ("dice", "hausdorff")
NAMES = (
    *METRICS,
    *REGION_METRICS,
    "relative_dice",
    "ranking",
    "comparisons",
    "equivalence",
    "controls",
    "correlations",
    "empties",
)


def load_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """All scores in one frame. A missing file is a failed training: it is left out, and listed by the tables.

    Raises ValueError where two files hold the same training, or the trainings of a dataset differ in their subjects.
    """
    frames = {Path(path): read_scores(path) for path in paths if Path(path).is_file()}
    if not frames:
        return pd.DataFrame(columns=COLUMNS + ADDED)
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
    fidelity: pd.DataFrame | None = None,
    margin: float = 0.02,
    ceiling: float = 0.5,
    draws: int = DRAWS,
) -> dict[str, pd.DataFrame]:
    """The tables NAMES.

    Args:
        scores: as load_scores gives them.
        settings: expected ones, in the order of the rows; repeats 1 ... setting.repeats.
        policy: what undefined scores count as (evaluate.scores.apply_policy).
        published: dataset -> brats2020 or brats2021, where the study's values are to stand beside ours.
        fidelity: dataset, generator and a column per metric of the images, to rank and correlate with.
        margin: of mean Dice, for equivalence with real images. ceiling: of controls that must be of little use, as a
            share of the Dice of real images. draws: of the bootstrap.
    Raises:
        ValueError: scores of a setting or repeat that is not expected.
    """
    _refuse_unexpected(scores, settings)
    published = {dataset: name for dataset, name in (published or {}).items() if name}
    scores = with_added(scores)
    counted = apply_policy(scores, policy)
    counted = counted.assign(volume_error_ml=counted["predicted_ml"] - counted["reference_ml"])
    of_labels, of_regions = (counted[counted["kind"] == kind] for kind in (LABEL, REGION))
    labels, regions = (list(dict.fromkeys(part["label"])) for part in (of_labels, of_regions))
    cells = cells_of(of_labels, METRICS, labels)
    tables = {m: score_table(cells, m, labels, settings, draws) for m in METRICS}
    for metric in PUBLISHED_METRICS:
        tables[metric] = beside_published(tables[metric], metric, published)
    cells_R = cells_of(of_regions, set(REGION_METRICS.values()), regions)
    for name, metric in REGION_METRICS.items():
        tables[name] = score_table(cells_R, metric, regions, settings if regions else [], draws, with_mean=False)
    tables["relative_dice"] = relative_dice(tables["dice"], published)
    dice = {_key(s): means_of(cells[_key(s)]["dice"], "dice") for s in settings if _key(s) in cells}
    tables["comparisons"], tables["equivalence"] = comparisons(dice), equivalence(dice, margin)
    tables["controls"] = controls(dice, margin, ceiling, draws)
    values = criteria({metric: tables[metric] for metric in RANKED}, fidelity)
    tables["ranking"] = beside_published_ranks(ranking(values, drawn(_ranked(cells), draws)), values, published)
    tables["correlations"] = correlations(values, fidelity, published)
    tables["empties"] = count_empties(scores, [*KEYS, "kind"])
    return {name: tables[name] for name in NAMES}


RANKED = ("dice", "hausdorff")  # as the study ranks


def _ranked(cells: Cells) -> dict:
    """x_SR of the settings and metrics that generators are ranked by."""
    return {
        key: {metric: means_of(values[metric], metric) for metric in RANKED}
        for key, values in cells.items()
        if ranks_alone(key[2])
    }


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
    column, training = COLUMN_OF[metric], [*KEYS, "repeat"]
    counted = counted[with_added(counted)["kind"] == LABEL]
    labels = list(dict.fromkeys(counted["label"]))
    means = counted.groupby([*training, "label"], sort=False)[column].mean().unstack("label").reindex(columns=labels)
    if metric not in SUBJECTS_FIRST:
        return means.assign(mean=means.mean(axis=1))
    per_subject = counted.groupby([*training, "subject"], sort=False)[column].mean()
    return means.assign(mean=per_subject.groupby(training, sort=False).mean())


def score_table(
    cells: Cells, metric: str, labels: Sequence[str], settings: Sequence[Setting], draws: int, with_mean: bool = True
) -> pd.DataFrame:
    """A row per setting: {label}_mean, _sd, _low, _high, _median of every label and of their mean; repeats, failed,
    undefined. mean and sd are over the repeats, low and high the 95 % interval over subjects and repeats."""
    columns, rows = [*labels, *["mean"] * with_mean], []
    for setting in settings:
        values_LSR = cells.get(_key(setting), {}).get(metric, np.empty((len(labels), 0, 0)))
        repeats = cells.get(_key(setting), {}).get(REPEATS, np.empty(0, int))
        row, undefined = dict(zip(KEYS, _key(setting), strict=True)), np.zeros(len(repeats), bool)
        for name in columns:
            of_name = values_LSR if name == "mean" else values_LSR[[labels.index(name)]]
            means_R = means_of_repeats(of_name, metric)
            undefined |= np.isnan(means_R)
            row |= {f"{name}_{key}": value for key, value in summary(of_name, means_R, metric, draws).items()}
        row["repeats"] = len(repeats)
        row["failed"] = _listed(r for r in range(1, setting.repeats + 1) if r not in repeats)
        row["undefined"] = _listed(repeats[undefined])
        rows.append(row)
    numbers = [f"{name}_{key}" for name in columns for key in SUMMARY]
    return pd.DataFrame(rows, columns=[*KEYS, *numbers, "repeats", "failed", "undefined"])


SUMMARY = ("mean", "sd", "low", "high", "median")


def summary(values_LSR: np.ndarray, means_R: np.ndarray, metric: str, draws: int) -> dict[str, float]:
    """Of the means of the repeats, and of the subjects behind them."""
    defined = means_R[~np.isnan(means_R)]
    if not len(defined):
        return dict.fromkeys(SUMMARY, np.nan)
    low, high = np.clip(interval(means_of(values_LSR, metric), draws=draws), *BOUNDS.get(metric, (-np.inf, np.inf)))
    numbers = defined.mean(), defined.std(), low, high, np.median(defined)
    return dict(zip(SUMMARY, map(float, numbers), strict=True))


def beside_published(table: pd.DataFrame, metric: str, published: Mapping[str, str]) -> pd.DataFrame:
    """With published_mean_mean, published_mean_sd, and ours minus theirs."""
    theirs = {d: published_scores(metric, n)[[*KEYS[1:], "mean_mean", "mean_sd"]] for d, n in published.items()}
    table = _beside(table, theirs, ["mean_mean", "mean_sd"])
    return table.assign(minus_published=table["mean_mean"] - table["published_mean_mean"]) if theirs else table


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


def published_criteria(dataset: str, name: str) -> pd.DataFrame:
    """The study's own numbers (Tables 2, 3 or 4, and 8 or 9) as criteria of a dataset of ours."""
    tables = {metric: published_scores(metric, name).assign(dataset=dataset) for metric in PUBLISHED_METRICS}
    return criteria(tables, published_fidelity(name).assign(dataset=dataset))


def beside_published_ranks(ranks: pd.DataFrame, values: pd.DataFrame, published: Mapping[str, str]) -> pd.DataFrame:
    """With published_mean_rank and published_rank: their numbers, ranked by the criteria that both have."""
    if not published:
        return ranks
    theirs = pd.concat([published_criteria(*pair) for pair in published.items()], ignore_index=True)
    theirs = theirs.merge(values[CRITERION], on=CRITERION)
    if not len(theirs):
        return ranks.assign(published_mean_rank=np.nan, published_rank=np.nan)
    columns = {"mean_rank": "published_mean_rank", "rank": "published_rank"}
    found = ranking(theirs)[["dataset", "generator", *columns]].rename(columns=columns)
    return ranks.merge(found, on=["dataset", "generator"], how="left")


CORRELATIONS = [
    "dataset", "source", "metric", "criterion", "generators",
    "spearman", "p", "kendall", "p_kendall", "p_holm", "power",
]  # fmt: skip


def correlations(
    values: pd.DataFrame, fidelity: pd.DataFrame | None, published: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Does a metric of the images order the generators as their usefulness does? Columns CORRELATIONS.

    A row per data set, metric of the images and criterion of use (mean Dice of a segmenter); `source` is "ours", or
    "published" for the study's own Tables 2 to 4. p_holm corrects Spearman's p within a data set and source.
    """
    rows = []
    sources = [] if fidelity is None else [("ours", values, fidelity)]
    for dataset, name in (published or {}).items():
        theirs = published_fidelity(name).assign(dataset=dataset)
        sources.append(("published", published_criteria(dataset, name), theirs))
    for source, used, metrics in sources:
        use = used[used["criterion"].str.endswith("_dice") & used["value"].notna()]
        for (dataset, criterion), of_use in use.groupby(["dataset", "criterion"], sort=False):
            of_images = metrics[metrics["dataset"] == dataset].set_index("generator").drop(columns="dataset")
            for metric in of_images.columns:
                pair = of_use.set_index("generator")[["value"]].join(of_images[metric], how="inner").dropna()
                rho, tau = (f(pair["value"], pair[metric]) for f in (spearman, kendall))
                found = (rho.n, rho.coefficient, rho.p, tau.coefficient, tau.p, np.nan, power_sentence(rho.n))
                rows.append((dataset, source, metric, criterion, *found))
    table = pd.DataFrame(rows, columns=CORRELATIONS)
    if len(table):
        table["p_holm"] = table.groupby(["dataset", "source"])["p"].transform(lambda p: holm(p.to_numpy(float)))
    return table
