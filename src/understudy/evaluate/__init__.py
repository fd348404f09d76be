"""Scores of segmentations: overlap and surface distance per subject and label, and the policies for empty labels."""

from .distance import hausdorff
from .overlap import dice

__all__ = ["dice", "hausdorff"]
