"""What report.html says of a reader study."""

from collections.abc import Mapping

import pandas as pd

from .reader_tables import PUBLISHED


def reader_sentences(summary: pd.DataFrame) -> list[str]:
    """One for each reader, ours and the published one: could they tell?"""
    return [_sentence(row) for row in summary.to_dict("records")]


def _sentence(row: Mapping) -> str:
    who = "The reader of the published study" if row["reader"] == PUBLISHED else f"{row['reader']} ({row['dataset']})"
    value = f"balanced accuracy {row['balanced_accuracy']:.2f}"
    if pd.isna(row["low"]):
        return f"{who}: {value}; too few images or readers for an interval."
    interval = f"{value}, 95 % interval {row['low']:.2f} to {row['high']:.2f}"
    if row["low"] > 0.5:
        return f"{who} could tell: {interval}."
    if row["high"] < 0.5:
        return f"{who} took one for the other: {interval}."
    width = row["high"] - row["low"]
    surely = "could not tell" if width <= 0.2 else "was not shown to be able to tell"
    return f"{who} {surely}: {interval}; 0.5 is chance."
