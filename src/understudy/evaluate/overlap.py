"""Dice overlap of two masks."""

import numpy as np


def dice(prediction_ZYX: np.ndarray, reference_ZYX: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two bool masks of one shape; 0 where one is empty, nan where both are.

    Raises ValueError where the shapes differ.
    """
    prediction, reference = as_masks(prediction_ZYX, reference_ZYX)
    return dice_of_counts(
        np.count_nonzero(prediction & reference), np.count_nonzero(prediction), np.count_nonzero(reference)
    )


def dice_of_counts(both: int, predicted: int, reference: int) -> float:
    return 2 * both / (predicted + reference) if predicted + reference else float("nan")


def sensitivity_of_counts(both: int, predicted: int, reference: int) -> float:
    """Share of the reference that is found; 0 where the prediction alone is there, nan where neither is."""
    if not reference:
        return 0.0 if predicted else float("nan")
    return both / reference


def as_masks(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape:
        raise ValueError(
            f"masks: found a prediction of shape {prediction.shape} and a reference of shape {reference.shape}, "
            "expected the same. Put the slices of the prediction back into the volume of the reference."
        )
    return prediction.astype(bool, copy=False), reference.astype(bool, copy=False)
