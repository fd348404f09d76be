"""Annotation coding: grey levels in the label channel <-> class numbers 0 (background), 1, 2, ... in config order."""

from collections.abc import Mapping

import numpy as np


def thresholds(levels: Mapping[str, int]) -> np.ndarray:
    """Midpoints between neighbouring grey levels, background 0 included: 25.5, 76.5, 153 for 51, 102, 204."""
    ascending = [0, *levels.values()]
    assert ascending == sorted(set(ascending)), levels
    return (np.array(ascending[1:]) + np.array(ascending[:-1])) / 2


def classes_of_grey(grey: np.ndarray, levels: Mapping[str, int]) -> np.ndarray:
    """uint8 class of each pixel: the nearest grey level, a midpoint belongs to the lower one (STUDY.md section 3)."""
    return np.digitize(grey, thresholds(levels), right=True).astype(np.uint8)


def grey_of_classes(classes: np.ndarray, levels: Mapping[str, int]) -> np.ndarray:
    """uint8 grey level of each class number."""
    return np.array([0, *levels.values()], np.uint8)[classes]
