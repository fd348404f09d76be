"""Which generator is best, by several criteria, and how much of the order is luck.

A criterion is one column of numbers over the generators: mean Dice or Hausdorff distance of a segmenter trained on
their images alone, or a metric of the images themselves. The same code ranks our numbers and the published ones.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from understudy.evaluate.metrics import METRICS
from understudy.statistics.intervals import resampled_means
from understudy.study.sources import Source, bases_of, generators_of, is_control, parts

from .published import published_fidelity, published_scores

# of everything else, more is better
LOWER_IS_BETTER = ("frechet", "kernel_mean", *(m.name for m in METRICS if m.higher_is_better is False))
STUDY_FIDELITY = ("frechet", "inception_score")  # of the images, what the study ranks by: Inception, T1wGd
CRITERION = ["dataset", "generator", "criterion"]


def ranks_alone(training_set: str) -> bool:
    """Whether a training set is the images of one generator and nothing else: what an audit has left of them is no
    generator of its own."""
    return len(generators_of(training_set)) == len(parts(training_set)) == 1 and not (
        is_control(training_set) or "=" in training_set or Source.of(training_set).filtered
    )


def criteria(tables: Mapping[str, pd.DataFrame], fidelity: pd.DataFrame | None = None) -> pd.DataFrame:
    """Long table dataset, generator, criterion, value, ascending: what generators are ranked by.

    Args:
        tables: "dice", "hausdorff", ...: with dataset, segmenter, training_set, augmentation, mean_mean.
        fidelity: dataset, generator and a column per metric of the images, of which STUDY_FIDELITY count, and of the
            rows those that a table ranks: real test images, ensembles and the like are no generators.
    """
    found, ranked = [], set()
    for metric, table in tables.items():
        alone = table[[ranks_alone(kind) for kind in table["training_set"]]]
        criterion = alone["segmenter"] + "_" + alone["augmentation"] + "_" + metric
        found.append(_long(alone["dataset"], alone["training_set"], criterion, alone["mean_mean"], metric))
        ranked |= set(zip(alone["dataset"], alone["training_set"], strict=True))
    if fidelity is not None:
        rows = zip(fidelity["dataset"], fidelity["generator"], strict=True)
        fidelity = fidelity[[row in ranked for row in rows]]
    for metric in [] if fidelity is None else [name for name in STUDY_FIDELITY if name in fidelity]:
        found.append(_long(fidelity["dataset"], fidelity["generator"], metric, fidelity[metric], metric))
    return pd.concat(found, ignore_index=True)


def _long(dataset, generator, criterion, value, metric: str) -> pd.DataFrame:
    names = {"dataset": dataset, "generator": generator, "criterion": criterion, "value": value}
    return pd.DataFrame(names).assign(ascending=metric in LOWER_IS_BETTER)


def ranking(values: pd.DataFrame, draws: Mapping[tuple, np.ndarray] | None = None) -> pd.DataFrame:
    """Generators ranked by every criterion: a column {criterion}_rank, 1 = best, a row per dataset and generator.

    Equal values share the mean of their ranks; what has no value has no rank. `mean_rank` is over the `criteria` that
    have one, `rank` is the order of the mean ranks. More than one dataset: dataset "all" ranks over all criteria.

    Args:
        values: as `criteria` gives them.
        draws: (dataset, generator, criterion) -> the value in every bootstrap draw. With it rank_low and rank_high hold
            the rank in 95 % of the draws, and `first` is the share of draws in which a generator is best.
    """
    signed = values["value"].where(values["ascending"], -values["value"])
    values = values.assign(rank=signed.groupby([values["dataset"], values["criterion"]]).rank())
    columns = list(dict.fromkeys(values["criterion"]))
    rows = pd.MultiIndex.from_frame(values[["dataset", "generator"]]).unique()
    wide = values.pivot(index=["dataset", "generator"], columns="criterion", values="rank")
    wide = wide.reindex(index=rows, columns=columns)
    table = wide.rename(columns=lambda name: f"{name}_rank")
    table = table.assign(mean_rank=wide.mean(axis=1), criteria=wide.notna().sum(axis=1)).reset_index()
    if table["dataset"].nunique() > 1:
        everything = values.groupby("generator", sort=False)["rank"].agg(["mean", "count"])
        overall = everything.rename(columns={"mean": "mean_rank", "count": "criteria"}).reset_index()
        table = pd.concat([table, overall.assign(dataset="all")], ignore_index=True)
    table["rank"] = table.groupby("dataset")["mean_rank"].rank(method="min")
    return table if draws is None else table.merge(stability(values, draws), on=["dataset", "generator"], how="left")


def stability(values: pd.DataFrame, draws: Mapping[tuple, np.ndarray]) -> pd.DataFrame:
    """dataset, generator, rank_low, rank_high, first: of the ranks that the draws give. Criteria without draws (one
    number for each generator) keep their rank in all of them."""
    datasets = list(dict.fromkeys(values["dataset"]))
    ranks = {dataset: _drawn_ranks(values[values["dataset"] == dataset], draws) for dataset in datasets}
    if len(datasets) > 1:
        ranks["all"] = pd.concat(ranks.values()) if all(len(r) for r in ranks.values()) else pd.DataFrame()
    rows = []
    for dataset, of_dataset in ranks.items():
        if not len(of_dataset):
            continue
        means_GB = np.stack(of_dataset.groupby(level="generator", sort=False)["ranks"].agg(_nanmean).to_list())
        overall_GB = stats.rankdata(means_GB, method="min", axis=0, nan_policy="omit")
        names = of_dataset.index.get_level_values("generator").unique()
        for generator, of_draws in zip(names, overall_GB, strict=True):
            low, high = np.quantile(of_draws, [0.025, 0.975], method="nearest")
            rows.append((dataset, generator, low, high, np.mean(of_draws == 1)))
    return pd.DataFrame(rows, columns=["dataset", "generator", "rank_low", "rank_high", "first"])


def _nanmean(ranks: pd.Series) -> np.ndarray:
    return np.nanmean(np.stack(ranks.to_list()), axis=0)


def _drawn_ranks(values: pd.DataFrame, draws: Mapping[tuple, np.ndarray]) -> pd.DataFrame:
    """Column `ranks`, an array over the draws, indexed by generator; a row per criterion and generator."""
    count = len(next(iter(draws.values()), []))
    found = []
    for _, of_criterion in values.groupby("criterion", sort=False):
        known = of_criterion[of_criterion["value"].notna()]
        if not len(known) or not count:
            continue
        keys = known[CRITERION].itertuples(index=False, name=None)
        fixed = [np.full(count, value) for value in known["value"]]
        values_GB = np.stack([draws.get(key, one) for key, one in zip(keys, fixed, strict=True)])
        signed = values_GB if known["ascending"].iloc[0] else -values_GB
        ranks = stats.rankdata(signed, axis=0)
        found.append(pd.DataFrame({"generator": known["generator"], "ranks": list(ranks)}).set_index("generator"))
    return pd.concat(found) if found else pd.DataFrame(columns=["ranks"])


def drawn(
    cells: Mapping[tuple, Mapping[str, np.ndarray]], draws: int, spread: Mapping[tuple, tuple[int, ...]], seed: int = 0
) -> dict[tuple, np.ndarray]:
    """(dataset, generator, criterion) -> the mean in every draw.

    Args:
        cells: (dataset, segmenter, training set, augmentation) -> metric -> x_SR (intervals.linearised). The subjects
            that are drawn are the same for all; the repeats are a setting's own, the same for all its metrics.
        spread: setting -> the trainings of its generator that are R. These are drawn once for all that learned from
            them, whatever the segmenter.
    """
    found: dict[tuple, np.ndarray] = {}
    lots: dict[tuple, int] = {}
    for key, metrics in cells.items():
        dataset, segmenter, generator, augmentation = key
        own = lots.setdefault((dataset, *bases_of(generator)) if key in spread else key, len(lots))
        for metric, x_SR in metrics.items():
            if x_SR.shape[1]:
                means_B = resampled_means(x_SR, draws, seed, own)
                found[dataset, generator, f"{segmenter}_{augmentation}_{metric}"] = means_B
    return found


# ---- published numbers -----------------------------------------------------------------------------------------------


def published_criteria(dataset: str, name: str) -> pd.DataFrame:
    """The study's own numbers (Tables 2, 3 or 4, and 8 or 9) as criteria of a dataset of ours."""
    tables = {
        metric: published_scores(metric, name).assign(dataset=dataset)
        for metric in [m.name for m in METRICS if m.ranks]
    }
    return criteria(tables, published_fidelity(name).assign(dataset=dataset))


def beside_published(
    values: pd.DataFrame, draws: Mapping[tuple, np.ndarray], published: Mapping[str, str]
) -> pd.DataFrame:
    """The ranking with published_mean_rank and published_rank: their numbers, ranked by the criteria that both have."""
    ranks = ranking(values, draws)
    if not published:
        return ranks
    theirs = pd.concat([published_criteria(*pair) for pair in published.items()], ignore_index=True)
    theirs = theirs.merge(values[CRITERION], on=CRITERION)
    if not len(theirs):
        return ranks.assign(published_mean_rank=np.nan, published_rank=np.nan)
    columns = {"mean_rank": "published_mean_rank", "rank": "published_rank"}
    found = ranking(theirs)[["dataset", "generator", *columns]].rename(columns=columns)
    return ranks.merge(found, on=["dataset", "generator"], how="left")
