"""The study's question, answered in one sentence for each generator: can its images stand in for real patients?

The answer is read off the equivalence table, never off a difference alone: a generator whose segmenters could be as
good or not, for all that so few subjects and repeats can tell, is undecided.
"""

from dataclasses import dataclass

import pandas as pd

YES, NO, OPEN = "yes", "no", "open"
GOOD = ("equivalent", "better")


@dataclass(frozen=True)
class Answer:
    generator: str
    verdict: str  # YES, NO, OPEN
    word: str
    sentence: str


def answer(generator: str, equivalence: pd.DataFrame, relative: pd.DataFrame, name: str) -> Answer:
    """Of training on a generator's images alone, with augmentation where it was trained with.

    Args:
        equivalence: columns of comparisons.EQUIVALENCE. relative: table relative_dice. name: as people say it.
    """
    rows = _own(equivalence, generator)
    percent = _own(relative, generator)["percent"].dropna()
    if not len(rows):
        reason = "it was not compared with real images (no training on its images alone, or none on real ones)"
        return Answer(generator, OPEN, "Not decided", f"{name}: {reason}.")
    counts = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in (*GOOD, "worse", "undecided")}
    good, total, margin = sum(counts[v] for v in GOOD), len(rows), rows["margin"].iloc[0]
    if good == total:
        verdict, word = YES, "As useful as real images"
    elif counts["worse"] == total:
        verdict, word = NO, "Less useful than real images"
    elif good and counts["worse"]:
        verdict, word = OPEN, "In part as useful"
    elif counts["worse"]:
        verdict, word = NO, "Less useful, as far as is known"
    else:
        verdict, word = OPEN, "In part as useful" if good else "Not decided"
    said = [
        (counts["equivalent"], f"equivalent to real images (within {margin:g} of Dice)"),
        (counts["better"], "better than real images"),
        (counts["worse"], f"worse by more than {margin:g} of Dice"),
        (counts["undecided"], "undecided"),
    ]
    found = ", ".join(f"{count} {what}" for count, what in said if count)
    of = f"of {total} combination{'s' * (total > 1)} of data set and network"
    share = f" reached {_range(percent)} of the Dice that real images give" if len(percent) else " were compared"
    return Answer(generator, verdict, word, f"{name}: segmenters trained on its images alone{share}; {of}, {found}.")


def _own(table: pd.DataFrame, generator: str) -> pd.DataFrame:
    rows = table[table["training_set"] == generator]
    augmented = rows[rows["augmentation"] == "augmented"]
    return augmented if len(augmented) else rows


def _range(percent: pd.Series) -> str:
    low, high = percent.min(), percent.max()
    return f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
