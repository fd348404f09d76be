"""The study's question, answered in a word and in a sentence for each generator: can its images stand in for real
patients?

The answer comes from the equivalence table, never from a difference alone. If too few subjects and repeats leave both
answers possible, the generator is undecided.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from .formats import rounded
from .score_arrays import KEYS
from .verdict_marks import NO, OPEN, YES, Said

MOST_NETWORKS = 2  # that are told one by one
UNDECIDED = "Not decided"
GOOD = ("equivalent", "better")
RULE = (
    "Each network has its own answer, corrected for the number of generators. A generator's images are called as "
    "useful as real ones if this holds with every network and data set, and less useful if that holds with every one. "
    "A claim about all of them needs no further correction (intersection-union test) and is as certain as its least "
    "certain part. Otherwise the answer depends on the network, or is not decided."
)


@dataclass(frozen=True)
class Answer:
    generator: str
    said: Said  # in the matrix
    sentence: str
    percent: float = float("nan")  # relative Dice, mean of the networks


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
    shares = _own(relative, generator).dropna(subset="percent")
    if not len(rows):
        reason = "it was not compared with real images (no training on its images alone, or none on real ones)"
        return Answer(generator, Said(OPEN, UNDECIDED, why=["not compared with real images"]), f"{name}: {reason}.")
    several = rows["dataset"].nunique() > 1
    found = "; ".join(_of_network(row, several, resting) for row in rows.itertuples())
    reached = f" reached {_range(shares['percent'])} of the Dice of real images" if len(shares) else " were compared"
    sentence = f"{name}: networks trained on its images alone{reached}; {found}."
    verdict, word = combined(set(rows["verdict"]))
    said = Said(verdict, word, _shares(shares), _why(verdict, rows, resting))
    return Answer(generator, said, sentence, float(shares["percent"].mean()))


def _shares(relative: pd.DataFrame) -> list[str]:
    """Relative Dice of each network with its interval; of many, where they lie, and where all intervals do."""
    if len(relative) > MOST_NETWORKS:
        ends = _interval(relative["percent_low"].min(), relative["percent_high"].max())
        return [f"{_range(relative['percent'])} ({ends})", f"of {len(relative)} networks"]
    datasets, networks = (relative[name].nunique() > 1 for name in ("dataset", "segmenter"))
    return [
        f"{_percent(row)}{f' {row.segmenter}' * networks}{f', {row.dataset}' * datasets}"
        for row in relative.itertuples()
    ]


def _percent(row) -> str:
    return f"{rounded(row.percent, 0)} % ({_interval(row.percent_low, row.percent_high)})"


def _interval(low: float, high: float) -> str:
    return "no interval" if pd.isna(low) else f"{rounded(low, 0)} to {rounded(high, 0)}"


def _why(verdict: str, rows: pd.DataFrame, resting: Mapping[tuple, tuple[str, str]]) -> list[str]:
    """How sure it is, or why it is not."""
    why, open_ones = [], int((rows["verdict"] == "undecided").sum())
    if open_ones == len(rows):
        why.append("too few trainings or test patients to tell")
    elif open_ones:
        why.append(f"not decided with {open_ones} of {len(rows)} networks")
    elif verdict != OPEN and not pd.isna(wrong := rows["false_claim"].astype(float).max()):
        why.append(f"wrong with probability {_probability(wrong)}")
    if any(key in resting for key in rows[KEYS].itertuples(index=False, name=None)):
        why.append("rests on trainings that failed")
    return why


def combined(verdicts: set[str]) -> tuple[str, str]:
    """(verdict, word) of whether a generator's images are as useful as real ones, of those of all networks and data
    sets: RULE."""
    good, worse = verdicts & set(GOOD), "worse" in verdicts
    if verdicts <= set(GOOD):
        return YES, "Yes"
    if verdicts == {"worse"}:
        return NO, "No"
    if good and worse:
        return OPEN, "Depends on the network"
    if worse:
        return NO, "No, as far as is known"
    return OPEN, "In part" if good else UNDECIDED


def _of_network(row, several_datasets: bool, resting: Mapping[tuple, tuple[str, str]]) -> str:
    where = f"{row.segmenter} on {row.dataset}" if several_datasets else row.segmenter
    spoken = {
        "equivalent": f"as good as real images, within {row.margin:g} of Dice",
        "better": f"better than real images by more than {row.margin:g} of Dice",
        "worse": f"worse than real images by more than {row.margin:g} of Dice",
        "undecided": "undecided",
    }
    false = "" if pd.isna(row.false_claim) else f" (wrong with probability {_probability(row.false_claim)})"
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
