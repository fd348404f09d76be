"""What report.html says of a reader study."""

from collections.abc import Mapping

import pandas as pd

from understudy.reader.reader_names import ALL, PUBLISHED

NEAR_CHANCE = (0.4, 0.6)  # an interval of balanced accuracy within this is as good as chance


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
    if row["low"] > 0.5:
        return f"{who} could tell: {interval}."
    if row["high"] < 0.5:
        return f"{who} took one for the other: {interval}."
    if NEAR_CHANCE[0] < row["low"] and row["high"] < NEAR_CHANCE[1]:
        return f"{who} could not tell, or hardly: {interval}; 0.5 is chance."
    return f"{who}: undecided, {interval}; 0.5 is chance. More images or readers would say."
