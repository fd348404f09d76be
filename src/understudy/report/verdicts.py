"""The study's question, answered in one sentence for each generator: can its images stand in for real patients?

The answer is read off the equivalence table, never off a difference alone: a generator whose segmenters could be as
good or not, for all that so few subjects and repeats can tell, is undecided.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from .score_arrays import KEYS

YES, NO, OPEN = "yes", "no", "open"
GOOD = ("equivalent", "better")
RULE = (
    "Each network has an answer of its own, corrected for the number of generators. A generator's images are called as "
    "useful as real ones where they are with every network and data set, and less useful where they are less useful "
    "with every one: a claim about all needs no further correction (intersection-union test), and is as sure as its "
    "least sure part. Otherwise it depends, or is not decided."
)


@dataclass(frozen=True)
class Answer:
    generator: str
    verdict: str  # YES, NO, OPEN
    word: str
    sentence: str


def answer(
    generator: str,
    equivalence: pd.DataFrame,
    relative: pd.DataFrame,
    name: str,
    resting: Mapping[tuple, tuple[str, str]],
) -> Answer:
    """Of training on a generator's images alone, with augmentation where it was trained with.

    Args:
        equivalence: columns of comparisons.EQUIVALENCE. relative: table relative_dice. name: as people say it.
        resting: what failed_trainings.rests_on_failures gives.
    """
    rows = _own(equivalence, generator)
    percent = _own(relative, generator)["percent"].dropna()
    if not len(rows):
        reason = "it was not compared with real images (no training on its images alone, or none on real ones)"
        return Answer(generator, OPEN, "Not decided", f"{name}: {reason}.")
    verdicts = set(rows["verdict"])
    several = rows["dataset"].nunique() > 1
    found = "; ".join(_of_network(row, several, resting) for row in rows.itertuples())
    share = f" reached {_range(percent)} of the Dice that real images give" if len(percent) else " were compared"
    said = f"{name}: segmenters trained on its images alone{share}; {found}."
    return Answer(generator, *combined(verdicts), said)


def combined(verdicts: set[str]) -> tuple[str, str]:
    """(verdict, word) of a generator, of those of all networks and data sets: RULE."""
    good, worse = verdicts & set(GOOD), "worse" in verdicts
    if verdicts <= set(GOOD):
        return YES, "As useful as real images"
    if verdicts == {"worse"}:
        return NO, "Less useful than real images"
    if good and worse:
        return OPEN, "It depends on the network"
    if worse:
        return NO, "Less useful, as far as is known"
    return OPEN, "In part as useful" if good else "Not decided"


def _of_network(row, several_datasets: bool, resting: Mapping[tuple, tuple[str, str]]) -> str:
    where = f"{row.segmenter} on {row.dataset}" if several_datasets else row.segmenter
    spoken = {
        "equivalent": f"equivalent to real images (within {row.margin:g} of Dice)",
        "better": f"better than real images by more than {row.margin:g} of Dice",
        "worse": f"worse by more than {row.margin:g} of Dice",
        "undecided": "undecided",
    }
    false = "" if pd.isna(row.false_claim) else f", false with probability {_probability(row.false_claim)}"
    _, instead = resting.get(tuple(getattr(row, key) for key in KEYS), ("", ""))
    failed = f", which rests on trainings that failed (without them {instead})" if instead else ""
    return f"with {where} {spoken[row.verdict]}{false}{failed}"


def _probability(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "under 0.001"


def _own(table: pd.DataFrame, generator: str) -> pd.DataFrame:
    rows = table[table["training_set"] == generator]
    augmented = rows[rows["augmentation"] == "augmented"]
    return augmented if len(augmented) else rows


def _range(percent: pd.Series) -> str:
    low, high = percent.min(), percent.max()
    return f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
