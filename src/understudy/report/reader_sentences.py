"""What report.html says of a reader study."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from understudy.reader.reader_names import ALL, PUBLISHED

from .verdict_marks import NO, OPEN, UNASKED, YES, Said

NEAR_CHANCE = (0.4, 0.6)  # an interval of balanced accuracy, or of an AUC, within this is as good as chance
TOLD, MIXED_UP, AT_CHANCE, UNDECIDED = "told", "mixed up", "at chance", "undecided"
TAKEN_FOR_REAL = {
    TOLD: Said(NO, "No"),
    MIXED_UP: Said(YES, "Yes, more than real ones"),
    AT_CHANCE: Said(YES, "Yes"),
    UNDECIDED: Said(OPEN, "Not decided", why=["too few images or readers to tell"]),
}
MOST_READINGS = 3  # that are told one by one


def could_tell(low: float, high: float) -> str:
    """By an interval of balanced accuracy or of an AUC, which are 0.5 by chance; nan: there is none."""
    if low > 0.5:
        return TOLD
    if high < 0.5:
        return MIXED_UP
    return AT_CHANCE if NEAR_CHANCE[0] < low and high < NEAR_CHANCE[1] else UNDECIDED


def taken_for_real(areas: pd.DataFrame | None, generator: str) -> Said:
    """Do people take a generator's images for real? `areas`: the table reader_areas; None: nobody was asked."""
    own = areas[areas["generator"] == generator] if areas is not None else ()
    if not len(own):
        return Said(UNASKED, "Not asked")
    together = own[own["reader"] == ALL]
    own = pd.concat([together, own[~own["dataset"].isin(together["dataset"])]])  # of one reader there is no ALL
    found = {could_tell(row.low, row.high) for row in own.itertuples()}
    said = TAKEN_FOR_REAL[found.pop()] if len(found) == 1 else Said(OPEN, "Depends on who reads")
    numbers = [f"{row.roc_area:.2f} ({row.low:.2f} to {row.high:.2f})" for row in own.itertuples()]
    return replace(said, numbers=numbers[:MOST_READINGS])


def reader_sentences(summary: pd.DataFrame) -> list[str]:
    """One for each reader, ours and the published one: could they tell?"""
    return [_sentence(row) for row in summary.to_dict("records")]


def _sentence(row: Mapping) -> str:
    who = {PUBLISHED: "The reader of the published study", ALL: f"All readers together ({row['dataset']})"}
    who = who.get(row["reader"], f"{row['reader']} ({row['dataset']})")
    value = f"balanced accuracy {row['balanced_accuracy']:.2f}"
    if pd.isna(row["low"]):
        return f"{who}: {value}; too few images or readers for an interval."
    interval = f"{value}, 95 % interval {row['low']:.2f} to {row['high']:.2f}"
    return {
        TOLD: f"{who} could tell: {interval}.",
        MIXED_UP: f"{who} took one for the other: {interval}.",
        AT_CHANCE: f"{who} could not tell, or hardly: {interval}; 0.5 is chance.",
        UNDECIDED: f"{who}: undecided, {interval}; 0.5 is chance. More images or readers would say.",
    }[could_tell(row["low"], row["high"])]
