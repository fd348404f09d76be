"""Controls: training sets of known usefulness. If one does not behave as expected, no other number can be believed.

- copies of the training images must be as useful as real images: the same margin as for synthetic ones. With too
  few repeats the answer is "undecided", as every claim of equivalence would be.
- noise and shuffled annotations must be of little use: their mean Dice, including its whole interval, must be below a
  share of the Dice of real images. Shuffled annotations teach where tumors lie on average, so the share is not zero.
"""

import numpy as np
import pandas as pd

from understudy.statistics.intervals import DRAWS, difference, interval
from understudy.study.sources import COPIES, REAL, is_control

from . import verdict_marks as marks
from .comparisons import ALPHA, LEVEL, Matrices
from .verdicts import UNDECIDED as NOT_DECIDED

CONTROLS = [
    "dataset", "segmenter", "control", "augmentation", "expected", "dice", "low", "high", "real_dice", "difference",
    "behaves",
]  # fmt: skip
AS_REAL, LITTLE = "as real images", "little"
YES, NO, UNDECIDED = "yes", "no", "undecided"


def controls(dice: Matrices, margin: float, ceiling: float, draws: int = DRAWS) -> pd.DataFrame:
    """Columns CONTROLS: a row per control that has real images with the same augmentation beside it.

    Args:
        dice: setting -> x_SR of mean Dice. margin: of equivalence. ceiling: share of real Dice that is little.
    """
    rows = []
    for key, x_SR in dice.items():
        dataset, segmenter, control, augmentation = key
        real = dice.get((dataset, segmenter, REAL, augmentation))
        if not is_control(control) or real is None or not x_SR.shape[1] or not real.shape[1]:
            continue
        low, high = np.clip(interval(x_SR, LEVEL, draws), 0, 1)
        found = difference(x_SR, real)
        if control == COPIES:
            expected, verdict = AS_REAL, as_real(found, margin)
        else:
            expected, verdict = LITTLE, little(x_SR.mean(), low, high, ceiling * real.mean())
        numbers = (x_SR.mean(), low, high, real.mean(), found.value)
        rows.append((dataset, segmenter, control, augmentation, expected, *map(float, numbers), verdict))
    return pd.DataFrame(rows, columns=CONTROLS)


def as_real(found, margin: float) -> str:
    low, high = found.interval(LEVEL)
    if found.p_equivalent(margin) < ALPHA:
        return YES
    return NO if low > margin or high < -margin else UNDECIDED


def little(mean: float, low: float, high: float, limit: float) -> str:
    """By the whole interval; without one (a single repeat) nothing is decided."""
    if high < limit:
        return YES
    return NO if low > limit else UNDECIDED


def copies_as_real(table: pd.DataFrame) -> marks.Said:
    """Are copies of the training images as useful as real ones, in every setting?"""
    rows = table[table["control"] == COPIES]
    if rows.empty:
        return marks.Said(marks.UNASKED, "Not asked")
    percent = 100 * rows["dice"] / rows["real_dice"]
    numbers = [
        f"{percent.min():.0f} to {percent.max():.0f}\u00a0%" if len(rows) > 1 else f"{percent.iloc[0]:.0f}\u00a0%"
    ]
    if rows["behaves"].eq(YES).all():
        return marks.Said(marks.YES, "Yes", numbers)
    if rows["behaves"].eq(NO).any():
        return marks.Said(marks.NO, "No", numbers, ["so no number here is to be believed"])
    return marks.Said(marks.OPEN, NOT_DECIDED, numbers, ["so few repeats cannot tell"])


def sentences(table: pd.DataFrame) -> list[str]:
    """What the controls say, one sentence for each kind, for people who do not read tables."""
    said = []
    for control, rows in table.groupby("control", sort=False):
        counts = rows["behaves"].value_counts()
        of = f"{counts.get(YES, 0)} of {len(rows)} trained settings"
        name = {COPIES: "Copies of the training images", "noise": "Noise", "shuffled": "Shuffled annotations"}[control]
        mean = f"mean Dice {rows['dice'].mean():.3f}, real images {rows['real_dice'].mean():.3f}"
        expected = "were as useful as real images" if control == COPIES else "were of little use"
        if control == "noise":
            expected = "was of little use"
        words = {UNDECIDED: "undecided, as so few repeats cannot tell", NO: "NOT AS EXPECTED"}
        rest = [f"{counts[verdict]} {word}" for verdict, word in words.items() if verdict in counts]
        said.append(f"{name} {expected} in {of} ({'; '.join([mean, *rest])}).")
    return said
