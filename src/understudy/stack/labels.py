"""Annotation coding: grey levels in the label channel <-> class numbers, 0 for background, 1, 2, ... by grey level."""

from collections.abc import Mapping

import numpy as np

from understudy.config.images import LABEL_CHANNEL as LABEL_CHANNEL


def label_names(levels: Mapping[str, int]) -> list[str]:
    """Names of classes 1, 2, ...: by ascending grey level, as a mapping read from JSON has no order to rely on."""
    return sorted(levels, key=lambda name: levels[name])


def thresholds(levels: Mapping[str, int]) -> np.ndarray:
    """Midpoints between neighbouring grey levels, background 0 included: 25.5, 76.5, 153 for 51, 102, 204."""
    ascending = np.array([0, *sorted(levels.values())])
    return (ascending[1:] + ascending[:-1]) / 2


def classes_of_grey(grey: np.ndarray, levels: Mapping[str, int]) -> np.ndarray:
    """uint8 class of each pixel: the nearest grey level, a midpoint belongs to the lower one."""
    return np.digitize(grey, thresholds(levels), right=True).astype(np.uint8)


def grey_of_classes(classes: np.ndarray, levels: Mapping[str, int]) -> np.ndarray:
    """uint8 grey level of each class number."""
    return np.array([0, *sorted(levels.values())], np.uint8)[classes]
