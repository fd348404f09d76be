"""Which differences between training sets are more than luck, and which training sets are as good as real images.

Every comparison is of mean Dice over the same test subjects (intervals.difference). Comparisons that answer one
question for one data set and segmenter are corrected together for their number (Holm).
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from understudy.statistics.intervals import Difference, difference, holm
from understudy.study.sources import REAL, bases_of, generators_of, is_control

from .ranking import ranks_alone
from .score_arrays import KEYS

BASELINE = (REAL, "augmented")  # what relative Dice is relative to
LEVEL = 0.95
ALPHA = 0.05
COMPARISONS = [
    "dataset", "segmenter", "question", "training_set", "augmentation", "against", "against_augmentation",
    "difference", "low", "high", "p", "p_holm",
]  # fmt: skip
EQUIVALENCE = [*KEYS, "trainings", "difference", "low", "high", "margin", "p", "p_holm", "verdict"]

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
            yield "generators", a, b
    for key in known:
        if key[3] == "augmented" and (key[2], "plain") in by_name:
            yield "augmentation", key, by_name[key[2], "plain"]


def same_trainings(a: Key, b: Key, spread: Spread) -> bool:
    """Whether both have learned from the same trainings of the same generators, so that their luck is shared."""
    return bool(spread.get(a)) and spread[a] == spread.get(b) and bases_of(a[2]) == bases_of(b[2])


def comparisons(dice: Matrices, spread: Spread) -> pd.DataFrame:
    """Columns COMPARISONS: difference of mean Dice with its 95 % interval, p, and p corrected within its question."""
    rows = []
    for own in _branches(dice).values():
        for question, key, other in questions(own):
            found = difference(dice[key], dice[other], paired=same_trainings(key, other, spread))
            rows.append((*key[:2], question, *key[2:], *other[2:], *_numbers(found, LEVEL), found.p, np.nan))
    table = pd.DataFrame(rows, columns=COMPARISONS)
    return _corrected(table, ["dataset", "segmenter", "question"])


def equivalence(dice: Matrices, margin: float, spread: Spread) -> pd.DataFrame:
    """Columns EQUIVALENCE: is training on it as good as training on real images with augmentation, to the margin?

    p is that of two one-sided tests, corrected over the training sets; low and high are the 90 % interval that belongs
    to them. The verdict is "equivalent" where the corrected p is below 0.05, "worse" or "better" where the 95 %
    interval of the difference lies beyond the margin, and "undecided" otherwise: too few subjects or repeats to say.
    `trainings` is how many of each generator are behind it: 1, and the row is about these images alone; 0 of real ones.
    """
    rows = []
    for own in _branches(dice).values():
        for question, key, other in questions(own):
            if question == "against real":
                found = difference(dice[key], dice[other])
                low, high = found.interval(LEVEL)
                beyond = "worse" if high < -margin else "better" if low > margin else "undecided"
                numbers = _numbers(found, 1 - 2 * ALPHA)
                trainings = len(spread.get(key, "1")) if generators_of(key[2]) else 0
                rows.append((*key, trainings, *numbers, margin, found.p_equivalent(margin), np.nan, beyond))
    table = _corrected(pd.DataFrame(rows, columns=EQUIVALENCE), ["dataset", "segmenter"])
    return table.assign(verdict=table["verdict"].where(~(table["p_holm"] < ALPHA), "equivalent"))


def _branches(dice: Matrices) -> dict[tuple, list[Key]]:
    branches: dict[tuple, list[Key]] = {}
    for key, x_SR in dice.items():
        if x_SR.shape[1]:
            branches.setdefault(key[:2], []).append(key)
    return branches


def _numbers(found: Difference, level: float) -> tuple[float, float, float]:
    low, high = found.interval(level)
    return float(found.value), float(low), float(high)


def _corrected(table: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    if not len(table):
        return table
    return table.assign(p_holm=table.groupby(family, sort=False)["p"].transform(lambda p: holm(p.to_numpy(float))))
