"""The window of a CT: which Hounsfield units (HU) are black and white. Values beyond are clipped, as in a viewer."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

Window = Sequence[float]  # HU that become black and white


def window_scale(window: Window) -> Callable[[np.ndarray], np.ndarray]:
    """The function HU -> uint8 grey: 255 (v - low) / (high - low) within the window, rounded half up."""
    return partial(_windowed, low=window[0], high=window[1])


def share_in_window(x_XYZ: np.ndarray, window: Window, threshold: float, size: int) -> np.ndarray:
    """(Z,) share of each slice's size * size padded pixels whose grey level before rounding is above the threshold."""
    low, high = window
    if threshold >= 255:  # nothing is brighter than white
        return np.zeros(x_XYZ.shape[2])
    above_ZYX = low + threshold * (high - low) / 255 < x_XYZ.T
    return np.count_nonzero(above_ZYX, axis=(1, 2)) / (size * size)


def _windowed(hu: np.ndarray, low: float, high: float) -> np.ndarray:
    share = (np.clip(hu.astype(np.float64), low, high) - low) / (high - low)
    return np.floor(share * 255 + 0.5).astype(np.uint8)
