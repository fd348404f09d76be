"""Could the study answer its question? The power of its primary comparisons to find equal training sets equivalent.

Before there are scores, the power is computed from assumed standard deviations, afterwards from the study's own. If
repeats are added in looks, it is the power of all planned looks, whatever look has been reached.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from understudy.statistics.power import Design, Deviations, deviations_of
from understudy.statistics.sequential import at_last_look
from understudy.study.looks import looks_of

from .comparisons import ALPHA, BASELINE, Matrices, is_primary
from .stopping import Looks

POWER = [
    "dataset", "segmenter", "comparisons", "subjects", "columns", "looks", "sd_of_difference", "sd_of_columns",
    "power_if_equal", "largest_difference", "largest_sd", "subjects_needed", "columns_needed",
]  # fmt: skip
# standard deviations in Dice, assumed as in benchmarks/conclusions.py: of the difference by subject, of repeats, of the
# rest; and of trainings of one generator
BY_SUBJECT, OF_REPEATS, REST, OF_TRAININGS = 0.045, 0.005, 0.03, 0.01


def power_table(dice: Matrices, margin: float, primary: Sequence[str], looks: Looks | None = None) -> pd.DataFrame:
    """Columns POWER: a row for each data set and segmenter with a primary comparison, of the median deviations."""
    branches: dict[tuple, list[tuple]] = {}
    for key in dice:
        if is_primary(key, primary) and (*key[:2], *BASELINE) in dice:
            branches.setdefault(key[:2], []).append(key)
    rows = []
    for branch, keys in branches.items():
        real = dice[(*branch, *BASELINE)]
        known = [dice[key] for key in keys if min(*dice[key].shape, *real.shape) > 1]
        if known:
            columns = (min(x.shape[1] for x in known), real.shape[1])
            if looks:
                columns = (min(looks.columns[key] for key in keys), looks.columns[(*branch, *BASELINE)])
            found = [deviations_of(x, real) for x in known]
            design = Design(len(real), columns, _median(found), margin, ALPHA / len(keys))
            rows.append((*branch, len(keys), *row_of(design, looks.repeats if looks else ())))
    return pd.DataFrame(rows, columns=POWER)


def row_of(design: Design, looks: Sequence[int] = ()) -> tuple:
    """The columns of POWER after `comparisons`. With looks (repeats at each of them), what 80 % take is told at the
    level of the last one, which is a little less than all looks find."""
    gain = 0.0
    if len(looks) > 1:
        design, gain = at_last_look(design, looks)
    d, needed = design.deviations, (design.subjects_needed, design.columns_needed)
    asked = (design.subjects, design.columns[0], " ".join(map(str, looks)), d.by_subject, d.columns[0])
    return *asked, design.power() + gain, design.largest_difference, design.largest_deviation, *needed


def _median(found: Sequence[Deviations]) -> Deviations:
    """Of variances, one by one."""
    by_subject = np.median([d.by_subject for d in found])
    columns, rest = (np.median([getattr(d, name) for d in found], axis=0) for name in ("columns", "rest"))
    return Deviations(float(by_subject), tuple(map(float, columns)), tuple(map(float, rest)))


def sentences(table: pd.DataFrame, margin: float, generator_seeds: int) -> list[str]:
    """What the table says, for people: a sentence for each row."""
    what = "trainings of the generator" if generator_seeds > 1 else "repeats"
    return [f"{row.dataset}, {row.segmenter}: {_sentence(row, margin, what)}" for row in table.itertuples()]


def _sentence(row, margin: float, what: str) -> str:
    looks = (
        "" if pd.isna(row.looks) or not row.looks else f", in looks after {', '.join(str(row.looks).split())} repeats"
    )
    said = (
        f"with {row.subjects} test subjects and {row.columns} {what}{looks}, images as good as real ones are found "
        f"equivalent (within {margin:g} of Dice) in {100 * row.power_if_equal:.0f} % of studies, where the difference "
        f"varies by {row.sd_of_difference:.3f} between subjects and {row.sd_of_columns:.3f} between {what} "
        f"({row.comparisons} comparison{'s' * (row.comparisons > 1)} corrected together). "
    )
    if not np.isnan(row.largest_difference):
        return said + f"80 % are reached up to a true difference of {row.largest_difference:.3f}."
    needs = [(row.subjects_needed, "subjects"), (row.columns_needed, what)]
    ways = [f"{n:.0f} {name}" for n, name in needs if np.isfinite(n)]
    few = "" if np.isnan(row.largest_sd) else f", or a deviation between subjects of at most {row.largest_sd:.3f}"
    return said + f"80 % would take {' or '.join(ways) or 'a wider margin'}{few}."


def planned(config: Mapping, subjects: Mapping[str, int], primary: Sequence[str]) -> pd.DataFrame:
    """The same before there are scores, with assumed deviations; `subjects` to test of each data set."""
    asked, margin = config["experiments"], config["evaluation"]["equivalence_margin"]
    if not primary or BASELINE[1] not in asked["augmentations"]:
        return pd.DataFrame(columns=POWER)
    several, repeats = asked["generator_seeds"] > 1, asked["repeats"]
    columns = asked["generator_seeds"] if several else repeats
    nested, looks = repeats / columns, looks_of(config)  # repeats behind a column
    luck = np.hypot(OF_TRAININGS * several, OF_REPEATS / np.sqrt(nested))
    assumed = Deviations(BY_SUBJECT, (luck, OF_REPEATS), (REST / np.sqrt(nested), REST))
    rows = []
    for dataset, count in subjects.items():
        design = Design(count, (columns, repeats), assumed, margin, ALPHA / len(primary))
        if min(count, *design.columns) > 1:
            rows.append((dataset, "any segmenter", len(primary), *row_of(design, looks if len(looks) > 1 else ())))
    return pd.DataFrame(rows, columns=POWER)
