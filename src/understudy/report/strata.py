"""For whom a training set works: Dice by stratum of the test subjects, such as sex, age, scanner or annotated volume.

A stratum is a column of subjects.csv, a column of the file `attributes` of a data set, or `annotated_ml`, the reference
volume of all labels in the test volume. Groups of few subjects are shown and marked, but never count as the worst
group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.evaluate.scores import LABEL, apply_policy
from understudy.files.csv_files import read_csv
from understudy.study.grid import Setting, grid
from understudy.study.looks import after_looks

from .formats import Shown, display
from .notes import OfTrainings, of_all
from .score_arrays import KEYS, TRAININGS, Cell, cells_of, key_of, means_of_repeats
from .score_tables import summary
from .study_scores import scores_of

ANNOTATED = "annotated_ml"
NOT_KNOWN = "not known"
TERCILES = (1 / 3, 2 / 3)
MOST_GROUPS = 12
COLUMNS = [*KEYS, "stratum", "group", "subjects", "too_few", "worst", "mean_mean", "mean_sd", "mean_low", "mean_high"]


@dataclass(frozen=True)
class StrataScores(OfTrainings):
    """What the table is built from."""

    scores: pd.DataFrame
    settings: Sequence[Setting]
    attributes: Mapping[str, pd.DataFrame]  # data set -> columns by subject
    strata: Sequence[str]
    cuts: Mapping[str, Sequence[float]]  # of numeric columns; others are cut at terciles
    fewest: int  # subjects of a group that is not too few

    @classmethod
    def of_config(cls, config: Mapping, attributes: Mapping[str, pd.DataFrame]) -> "StrataScores":
        options, settings = config["evaluation"], after_looks(grid(config), config)
        return cls(
            scores_of(settings, config["results"]),
            settings,
            attributes,
            options["strata"],
            options["strata_cuts"],
            options["strata_fewest"],
            **of_all(config),
        )

    @cached_property
    def groups(self) -> dict[tuple[str, str], pd.Series]:
        """(data set, stratum) -> group of each test subject, in the order of groups."""
        found = {}
        labels = self.scores[self.scores["kind"] == LABEL]
        for dataset, rows in labels.groupby("dataset", sort=False):
            known = self.attributes[dataset].reindex(sorted(rows["subject"].unique()))
            one = rows.drop_duplicates(["subject", "label"])
            known = known.assign(**{ANNOTATED: one.groupby("subject")["reference_ml"].sum()})
            for name in self.strata:
                if name in known:
                    found[dataset, name] = grouped(known[name], name, self.cuts.get(name))
        if missing := [name for name in self.strata if name not in {stratum for _, stratum in found}]:
            columns = sorted({column for table in self.attributes.values() for column in table})
            raise ValueError(
                f"evaluation.strata: found {', '.join(missing)}, expected {ANNOTATED} or columns of subjects.csv or of "
                f"the file `attributes` of a dataset: {', '.join(columns)}"
            )
        return found


def read_attributes(subjects: str | Path, attributes: str | Path | None) -> pd.DataFrame:
    """Columns by subject: those of subjects.csv, and those of a user's file with a column `subject`.

    Raises ValueError where a file is none, names a subject twice, or has a column of subjects.csv again.
    """
    index = read_csv(subjects, "the index of a data set", ["subject"], dtype={"subject": str}).set_index("subject")
    if attributes is None:
        return index
    expected = "a CSV with a column `subject` and what is known of each"
    own = read_csv(attributes, expected, ["subject"], dtype={"subject": str})
    if (twice := own["subject"].duplicated()).any():
        raise ValueError(f"{attributes}: found {own.loc[twice, 'subject'].iloc[0]} twice, expected each subject once")
    own = own.set_index("subject")
    if both := own.columns.intersection([*index.columns, ANNOTATED]).tolist():
        raise ValueError(f"{attributes}: found the columns {', '.join(both)}, which are known already; expected others")
    return index.join(own)


def grouped(values: pd.Series, name: str, cuts: Sequence[float] | None) -> pd.Series:
    """The group of each subject, ordered: a number's range, between cut points or terciles, or a text as it is.

    Raises ValueError where a column of texts has cut points, or so many values that it is no stratum.
    """
    known = values.dropna()
    # few numbers, such as a grade of 1 to 4, are groups as they are
    if pd.api.types.is_numeric_dtype(known) and (cuts or known.nunique() > 5):
        return _ranges(values, list(cuts or np.unique(known.quantile(TERCILES))))
    if cuts:
        raise ValueError(f"evaluation.strata_cuts.{name}: found cut points of a column of texts, expected none")
    if known.nunique() > MOST_GROUPS:
        raise ValueError(
            f"evaluation.strata: found {known.nunique()} values of {name}, expected at most {MOST_GROUPS}, or numbers, "
            "which are cut"
        )
    texts = known.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value))
    order = list(dict.fromkeys(texts[known.sort_values().index]))
    return _categories(values, texts, order)


def _ranges(values: pd.Series, cuts: Sequence[float]) -> pd.Series:
    names = [f"below {cuts[0]:.4g}", *(f"{a:.4g} to {b:.4g}" for a, b in zip(cuts, cuts[1:], strict=False))]
    names.append(f"from {cuts[-1]:.4g}")
    known = values.dropna()
    return _categories(values, known.map(lambda value: names[int(np.searchsorted(cuts, value, side="right"))]), names)


def _categories(values: pd.Series, texts: pd.Series, order: list[str]) -> pd.Series:
    filled = texts.reindex(values.index).fillna(NOT_KNOWN)
    groups = [*order, *[NOT_KNOWN] * (NOT_KNOWN in filled.to_list())]
    return pd.Series(pd.Categorical(filled, groups, ordered=True), index=values.index)


def strata_table(study: StrataScores) -> pd.DataFrame:
    """A row per setting, stratum and group. Columns COLUMNS: mean Dice over the labels, its standard deviation over the
    repeats and its 95 % interval over subjects of the group and repeats; `worst` is the group of the lowest Dice among
    those that are not too few."""
    counted = apply_policy(study.scores[study.scores["kind"] == LABEL], study.policy)
    cells = cells_of(counted, ["dice"], list(dict.fromkeys(counted["label"])), study.settings)
    rows = []
    for setting in study.settings:
        if (key := key_of(setting)) in cells:
            for stratum in study.strata:
                if (groups := study.groups.get((setting.dataset, stratum))) is not None:
                    rows += [(*key, stratum, *row) for row in _of_groups(cells[key], groups, study)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_groups(cell: Cell, groups: pd.Series, study: StrataScores) -> list[tuple]:
    found = []
    for name in groups.cat.categories:
        inside = (groups == name).to_numpy()
        if not inside.any():
            continue
        values_LSR = cell["dice"][:, inside]
        means_R = means_of_repeats(values_LSR, "dice")
        numbers = summary(values_LSR, means_R, "dice", study.draws, cell.get(TRAININGS))
        found.append((name, int(inside.sum()), numbers))
    enough = [numbers["mean"] for name, n, numbers in found if n >= study.fewest and name != NOT_KNOWN]
    lowest = np.nanmin(enough) if len(enough) > 1 and not np.isnan(enough).all() else np.nan
    return [
        (name, n, n < study.fewest, n >= study.fewest and numbers["mean"] == lowest and name != NOT_KNOWN)
        + tuple(numbers[key] for key in ("mean", "sd", "low", "high"))
        for name, n, numbers in found
    ]


def strata_shown(table: pd.DataFrame) -> pd.DataFrame:
    """With words in the place of true and false."""
    marks = np.select([table["too_few"], table["worst"]], ["too few", "worst"], "")
    return table.drop(columns=["too_few", "worst"]).assign(remark=marks)


def strata_parts(table: pd.DataFrame, note: str, decimals: int) -> list[Shown]:
    return [Shown(display(strata_shown(table), decimals), note)]


def strata_sentences(table: pd.DataFrame) -> list[str]:
    """The worst group of every training set with augmentation, for people who do not read tables."""
    said = []
    for key, rows in table[table["augmentation"] == "augmented"].groupby([*KEYS, "stratum"], sort=False):
        if not rows["worst"].any():
            continue
        worst = rows[rows["worst"]].iloc[0]
        best = rows[~rows["too_few"] & (rows["group"] != NOT_KNOWN)].sort_values("mean_mean").iloc[-1]
        said.append(
            f"{key[0]}, {key[1]}, `{key[2]}`: by {key[4]} worst for {worst['group']} ({worst['mean_mean']:.3f}, "
            f"{worst['subjects']} subjects), best for {best['group']} ({best['mean_mean']:.3f}, {best['subjects']})."
        )
    return said or ["No stratum has two groups of enough subjects to compare."]
