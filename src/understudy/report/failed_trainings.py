"""Trainings that failed, by name and cause, and what the conclusions would be without them.

A collapse is a property of a training set: anyone who trains again may meet it. So failed trainings count everywhere,
and in the verdict, too. Without them, a study would describe only survivors.
"""

from typing import TYPE_CHECKING

import pandas as pd

from .comparisons import BASELINE
from .score_arrays import KEYS

if TYPE_CHECKING:
    from .study_scores import StudyScores

ALL, WITHOUT = "all", "without failed"
FAILURES = [*KEYS, "repeat", "why"]
OF_DICE = ["repeats", "mean_mean", "mean_sd", "mean_low", "mean_high"]
OF_DIFFERENCE = ["difference", "low", "high", "verdict", "far"]
BESIDE = [*KEYS, "counted", *OF_DICE, *OF_DIFFERENCE]


def failures(scores: pd.DataFrame) -> pd.DataFrame:
    """Columns FAILURES: a row for each training that failed."""
    failed = scores[scores["failure"] != ""].rename(columns={"failure": "why"})
    return failed[FAILURES].drop_duplicates().reset_index(drop=True)


def beside_survivors(study: "StudyScores") -> pd.DataFrame:
    """Columns BESIDE: of every setting that failed trainings bear on (its own, or those on real images that it is
    compared with) a row with all trainings, and one without those that failed."""
    dice = study.table("dice")
    failed = set(dice.loc[dice["failed"] != "", KEYS].itertuples(index=False, name=None))
    concerned = [key for key in dice[KEYS].itertuples(index=False, name=None) if {key, (*key[:2], *BASELINE)} & failed]
    if not concerned:
        return pd.DataFrame(columns=BESIDE)
    rows = []
    for counted, one in ((ALL, study), (WITHOUT, study.survivors)):
        compared = one.table("equivalence")[[*KEYS, *OF_DIFFERENCE]]
        both = one.table("dice")[[*KEYS, *OF_DICE]].merge(compared, on=KEYS, how="left")
        rows.append(both.assign(counted=counted))
    table = pd.concat(rows).set_index(KEYS).loc[list(dict.fromkeys(concerned))]
    return table.reset_index()[BESIDE]


def rests_on_failures(beside: pd.DataFrame) -> dict[tuple, tuple[str, str]]:
    """Of the table without_failed: setting -> (its verdict, what could be said without failed trainings), where these
    are not the same."""
    found = {}
    for key, rows in beside.groupby(KEYS, sort=False):
        counted = rows["counted"] == ALL
        (with_all,), (without,) = rows.loc[counted, "verdict"], rows.loc[~counted, "verdict"]
        if with_all != without and not pd.isna(with_all):
            found[key] = with_all, "nothing could be said" if pd.isna(without) else f"it would be {without}"
    return found


def changed_by_failures(beside: pd.DataFrame) -> list[str]:
    return [
        f"{', '.join(key)}: {verdict}, and this rests on trainings that failed; without them {instead}."
        for key, (verdict, instead) in rests_on_failures(beside).items()
    ]


def unseen_failures(dice: pd.DataFrame) -> str:
    """How many trainings may fail though none has, by the fewest repeats of such a row of the table dice: the upper
    limit of Clopper and Pearson (1934), one-sided at 95 %."""
    sound = dice[dice["failed"].fillna("") == ""]
    if not (fewest := int(sound["repeats"].where(sound["repeats"] > 0).min() if len(sound) else 0)):
        return ""
    limit = 1 - 0.05 ** (1 / fewest)
    return (
        f"Failures may still come: where none of {fewest} training{'s' * (fewest > 1)} of a set failed, up to "
        f"{100 * limit:.0f} % of further ones may (with 95 % confidence)."
    )
