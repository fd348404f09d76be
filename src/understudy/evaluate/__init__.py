"""What is measured: segmentations against references per subject and label, synthetic images against real ones.

What needs torch (neighbours, feature_spaces) is not imported here: tables are made without it.
"""

from .distance import hausdorff
from .frechet import frechet_distance
from .inception_score import inception_score
from .kernel_distance import kernel_distance
from .overlap import dice
from .surface import hausdorff95, surface_dice

__all__ = [
    "dice",
    "frechet_distance",
    "hausdorff",
    "hausdorff95",
    "inception_score",
    "kernel_distance",
    "surface_dice",
]
