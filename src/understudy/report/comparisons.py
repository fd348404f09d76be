"""Which differences between training sets are more than luck, and which training sets are as good as real images.

Every comparison is of mean Dice over the same test subjects (intervals.difference). Comparisons that answer one
question for one data set and segmenter are corrected together for their number (Holm).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from understudy.statistics.intervals import Difference, difference, holm
from understudy.study.grid import BASELINE
from understudy.study.sources import REAL, bases_of, generators_of, is_control

from .ranking import ranks_alone
from .score_arrays import KEYS

LEVEL = 0.95
ALPHA = 0.05
COMPARISONS = [
    "dataset", "segmenter", "question", "training_set", "augmentation", "against", "against_augmentation",
    "difference", "low", "high", "p", "p_holm", "false_claim", "far",
]  # fmt: skip
EQUIVALENCE = [*KEYS, "question", "trainings", "difference", "low", "high", "margin"]
EQUIVALENCE += ["p", "p_beyond", "p_holm", "verdict", "false_claim", "far"]
PRIMARY, EXPLORATORY = "primary", "exploratory"
UNDECIDED = "undecided"
OF_GENERATORS = "generators"  # the question that compares two of them

Key = tuple[str, str, str, str]
Matrices = Mapping[Key, np.ndarray]  # setting -> x_SR of mean Dice
Spread = Mapping[Key, tuple[int, ...]]  # setting -> the trainings of its generators that are R; none: R are repeats


def questions(settings: list[Key]) -> Iterator[tuple[str, Key, Key]]:
    """(question, setting, the one it is compared with), of the settings of one data set and segmenter.

    - against real: every training set, against real images with augmentation;
    - added to real: real + synthetic images, against real images with the same augmentation;
    - generators: two of them, by training on their images alone;
    - augmentation: the same training set with and without.
    """
    known = [key for key in settings if not is_control(key[2])]
    by_name = {key[2:]: key for key in known}
    for key in known:
        if BASELINE in by_name and key[2:] != BASELINE:
            yield "against real", key, by_name[BASELINE]
    for key in known:
        if REAL + "+" in key[2] and generators_of(key[2]) and (REAL, key[3]) in by_name:
            yield "added to real", key, by_name[REAL, key[3]]
    alone = [key for key in known if ranks_alone(key[2])]
    for a, b in combinations(alone, 2):
        if a[3] == b[3]:
            yield OF_GENERATORS, a, b
    for key in known:
        if key[3] == "augmented" and (key[2], "plain") in by_name:
            yield "augmentation", key, by_name[key[2], "plain"]


Far = Mapping[Key, Sequence[int]]  # setting -> its repeats that lie far from the others


def far_of(a: Key, b: Key, far: Far) -> str:
    """Which repeats of the two lie apart, so that the interval is not one of 95 %: "3 10", "against: 2"."""
    said = [" ".join(map(str, far.get(key, ()))) for key in (a, b)]
    return "; ".join(text for text in (said[0], said[1] and f"against: {said[1]}") if text)


def same_trainings(a: Key, b: Key, spread: Spread) -> bool:
    """Whether both have learned from the same trainings of the same generators, so that their luck is shared."""
    return bool(spread.get(a)) and spread[a] == spread.get(b) and bases_of(a[2]) == bases_of(b[2])


def comparisons(dice: Matrices, spread: Spread, far: Far) -> pd.DataFrame:
    """Columns COMPARISONS: difference of mean Dice with its 95 % interval, p, and p corrected within its question.
    false_claim is the probability that the one with the higher mean is no better (Difference.probability_below)."""
    rows = []
    for own in _branches(dice).values():
        for question, key, other in questions(own):
            found = difference(dice[key], dice[other], paired=same_trainings(key, other, spread))
            rows.append(
                (
                    *key[:2],
                    question,
                    *key[2:],
                    *other[2:],
                    *_numbers(found, LEVEL),
                    found.p,
                    np.nan,
                    _false_sign(found),
                    far_of(key, other, far),
                )
            )
    table = pd.DataFrame(rows, columns=COMPARISONS)
    return _corrected(table, ["dataset", "segmenter", "question"], table["p"])


def is_primary(key: Key, primary: Sequence[str]) -> bool:
    """Whether its comparison with real images is one that was named beforehand: `primary` are training sets."""
    return key[2] in primary and key[3] == BASELINE[1]


class Found(NamedTuple):
    """A difference, the level of its interval, and p of equivalence and of a difference beyond the margin."""

    difference: Difference
    level: float
    p: float
    p_beyond: float


def equivalence(
    dice: Matrices,
    margin: float,
    spread: Spread,
    primary: Sequence[str],
    far: Far,
    over_looks: Callable[[Key, Key], Found | None] | None = None,
) -> pd.DataFrame:
    """Columns EQUIVALENCE: is training on it as good as training on real images with augmentation, to the margin?

    p is that of two one-sided tests, whose 90 % interval is low to high; p_beyond that of a difference larger than
    the margin, which the 95 % interval would show. Of a true difference one of the claims "equivalent", "worse",
    "better" is right, so a comparison has one chance to be wrong, and p_holm corrects the smaller p of each for the
    number of comparisons: the primary ones of a data set and segmenter together, and the exploratory ones. The verdict
    is a claim where p_holm is below 0.05, and "undecided" otherwise: too few subjects or repeats to say. false_claim is
    the posterior probability that the claim of this row is false; nan where nothing is claimed. `trainings` is
    how many of each generator are behind it: 1, and the row is about these images alone; 0 of real ones. `over_looks`
    gives the primary ones where repeats were added in looks.
    """
    rows, beyond = [], []  # the probabilities of a difference beyond the margin, below and above
    for own in _branches(dice).values():
        for question, key, other in questions(own):
            if question == "against real":
                named = PRIMARY if is_primary(key, primary) else EXPLORATORY
                looked = over_looks(key, other) if over_looks and named == PRIMARY else None
                found, level, *p = looked or _found(dice[key], dice[other], margin)
                trainings = len(spread.get(key, "1")) if generators_of(key[2]) else 0
                numbers = (*_numbers(found, level), margin, *p)
                rows.append((*key, named, trainings, *numbers, np.nan, UNDECIDED, np.nan, far_of(key, other, far)))
                beyond.append((found.probability_below(-margin), 1 - found.probability_below(margin)))
    table = pd.DataFrame(rows, columns=EQUIVALENCE)
    smaller = table[["p", "p_beyond"]].astype(float).min(axis=1)
    table = _corrected(table, ["dataset", "segmenter", "question"], smaller)
    further = np.where(table["difference"] > 0, "better", "worse")
    claim = np.where(table["p"] < table["p_beyond"], "equivalent", further)
    table = table.assign(verdict=table["verdict"].where(~(table["p_holm"] < ALPHA), claim))
    below, above = np.array(beyond).reshape(-1, 2).T
    false = {"better": 1 - above, "worse": 1 - below, "equivalent": below + above}
    claims = [table["verdict"] == verdict for verdict in false]
    return table.assign(false_claim=np.select(claims, list(false.values()), np.nan))


def _found(a_SR: np.ndarray, b_SR: np.ndarray, margin: float) -> Found:
    found = difference(a_SR, b_SR)
    return Found(found, 1 - 2 * ALPHA, found.p_equivalent(margin), found.p_beyond(margin))


def _false_sign(found: Difference) -> float:
    """Probability that the difference has the other sign, or that there is none."""
    below = float(found.probability_below())
    return below if found.value > 0 else 1 - below


def _branches(dice: Matrices) -> dict[tuple, list[Key]]:
    branches: dict[tuple, list[Key]] = {}
    for key, x_SR in dice.items():
        if x_SR.shape[1]:
            branches.setdefault(key[:2], []).append(key)
    return branches


def _numbers(found: Difference, level: float) -> tuple[float, float, float]:
    low, high = found.interval(level)
    return float(found.value), float(low), float(high)


def _corrected(table: pd.DataFrame, family: list[str], p: pd.Series) -> pd.DataFrame:
    """With p_holm: `p` of each row, corrected within its family."""
    if not len(table):
        return table
    of_families = p.groupby([table[name] for name in family], sort=False)
    return table.assign(p_holm=of_families.transform(lambda p: holm(p.to_numpy(float))))
