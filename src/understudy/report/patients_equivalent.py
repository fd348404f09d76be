"""How many real patients a set of synthetic images is worth: the number at which real images alone reach its Dice.

The curve of real images should rise with the number of patients, so isotonic regression first makes it non-decreasing.
Between two numbers it is interpolated on a logarithmic axis: the tenth patient adds a tenth of what the first added.
The interval is a bootstrap: test subjects are drawn once for all training sets, repeats for each one separately.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression

from understudy.statistics.intervals import resampled_means

LESS, MORE = 0.0, np.inf  # than the smallest number on the curve; than the largest


def patients(value: float, amounts: Sequence[int], means_K: np.ndarray) -> float:
    """The number of patients at which the curve reaches a value; LESS or MORE if it lies outside the curve.

    Args:
        amounts: patients, ascending. means_K: mean Dice at each.
    """
    rising_K = isotonic_regression(means_K).x
    if value < rising_K[0]:
        return LESS
    if value > rising_K[-1]:
        return MORE
    place = int(np.argmax(rising_K >= value))
    if place == 0:
        return float(amounts[0])
    low, high = rising_K[place - 1 : place + 1]
    share = (value - low) / (high - low)
    return float(np.exp((1 - share) * np.log(amounts[place - 1]) + share * np.log(amounts[place])))


def patients_equivalent(
    x_SR: np.ndarray, amounts: Sequence[int], curve: Sequence[np.ndarray], draws: int, level: float = 0.95
) -> tuple[float, float, float]:
    """(patients, low, high): what the training set with the scores x_SR is worth.

    Args:
        curve: x_SR of real images alone for each of the amounts, over the same test subjects.
    """
    found = patients(x_SR.mean(), amounts, np.array([one.mean() for one in curve]))
    if min(x_SR.shape) < 2 or min(min(one.shape) for one in curve) < 2:
        return found, np.nan, np.nan
    values_B = resampled_means(x_SR, draws, own=len(curve))
    curve_KB = np.stack([resampled_means(one, draws, own=k) for k, one in enumerate(curve)])
    drawn_B = [patients(value, amounts, curve_K) for value, curve_K in zip(values_B, curve_KB.T, strict=True)]
    low, high = np.quantile(drawn_B, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    return found, float(low), float(high)


def spoken_patients(value: float, amounts: Sequence[int]) -> str:
    """For people: "fewer than 5", "12", "more than 200"."""
    if np.isnan(value):
        return "unknown"
    if value == LESS:
        return f"fewer than {amounts[0]}"
    return f"more than {amounts[-1]}" if value == MORE else f"{value:.0f}"
