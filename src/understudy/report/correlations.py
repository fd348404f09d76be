"""The table that asks whether a metric of the images predicts how useful they are."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

from understudy.statistics.intervals import holm
from understudy.statistics.rank_correlation import ROUNDING, kendall, power, smallest_significant, spearman

from .published import published_fidelity
from .ranking import published_criteria

CORRELATIONS = [
    "dataset", "source", "metric", "criterion", "generators",
    "spearman", "p", "kendall", "p_kendall", "p_holm", "power",
]  # fmt: skip


def correlations(
    values: pd.DataFrame, fidelity: pd.DataFrame | None, published: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Does a metric of the images order the generators as their usefulness does? Columns CORRELATIONS.

    A row per data set, metric of the images and criterion of use (mean Dice of a segmenter); `source` is "ours", or
    "published" for the study's own Tables 2 to 4. p_holm corrects Spearman's p within a data set and source, and
    `power` says what could be found after that correction.
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
                found = (rho.n, rho.coefficient, rho.p, tau.coefficient, tau.p, np.nan, "")
                rows.append((dataset, source, metric, criterion, *found))
    table = pd.DataFrame(rows, columns=CORRELATIONS)
    if len(table):
        families = table.groupby(["dataset", "source"])["p"]
        table["p_holm"] = families.transform(lambda p: holm(p.to_numpy(float)))
        said = cache(power_sentence)
        tests = families.transform("count")
        table["power"] = [said(n, int(count)) for n, count in zip(table["generators"], tests, strict=True)]
    return table


def power_sentence(n: int, tests: int = 1, alpha: float = 0.05, true_correlation: float = 0.8) -> str:
    """What a rank correlation over n generators can show, for people who read its p, corrected for a number of tests.

    Of several tests the power is that at the first step of Holm's correction, which is the strictest.
    """
    tests = max(tests, 1)
    how = f"{alpha:g} after correction for {tests} tests" if tests > 1 else f"{alpha:g}"
    if n < 2:
        return "With fewer than two generators there is no order to compare: no rank correlation is defined."
    needed = smallest_significant(n, alpha / tests)
    if needed is None:
        return (
            f"With {n} generators no rank correlation can be significant at {how}, not even a perfect one "
            f"(p = {min(1, tests * 2 / math.factorial(n)):.3g}): absence of significance says nothing here."
        )
    least = "a perfect order alone (|rho| = 1)" if needed > 1 - ROUNDING else f"|rho| of {needed:.3g} or more"
    chance = power(n, true_correlation, alpha / tests)
    return (
        f"With {n} generators {least} can be significant at {how}, two-sided; a metric whose true correlation with "
        f"usefulness is {true_correlation:g} would be found so in {chance:.0%} of such studies."
    )
