"""Scores of segmentations: overlap and surface distance per subject and label, and the policies for empty labels."""

from .distance import hausdorff
from .overlap import dice
from .surface import hausdorff95, surface_dice

__all__ = ["dice", "hausdorff", "hausdorff95", "surface_dice"]
