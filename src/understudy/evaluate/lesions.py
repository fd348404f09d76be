"""Scores by lesion, as the BraTS 2023 challenge defines them (github.com/rachitsaluja/BraTS-2023-Metrics, parameters of
its glioma task; Moawad et al. 2023, arXiv 2306.00838, appendix): a network that finds the large tumor and misses a
small one beside it, or invents one, has a good Dice and a bad score by lesion.

- Lesions of the reference are its components (26 neighbours). Those that grow together when the reference is dilated
  three times (18 neighbours) are one lesion; its voxels stay those of the reference.
- Components of the prediction (26 neighbours) that meet a dilated lesion belong to it; its Dice is that of the lesion
  and all of these together, and 0 where there are none. Components that meet no lesion are false positives.
- Lesion-wise Dice: the sum of Dice over the lesions of more than 50 mm^3, over their number and that of the false
  positives; 1 where there is neither.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

DILATIONS = 3  # of BraTS-GLI, in voxels
SMALLEST_MM3 = 50.0  # lesions up to this volume count for nothing


@dataclass(frozen=True)
class Lesions:
    """What the prediction of one label makes of the lesions of the reference."""

    dice: tuple[float, ...]  # of each counted lesion
    false_positives: int  # components of the prediction
    false_positive_voxels: int

    @property
    def lesion_dice(self) -> float:
        counted = len(self.dice) + self.false_positives
        return sum(self.dice) / counted if counted else 1.0


def lesions(prediction_ZYX: np.ndarray, reference_ZYX: np.ndarray, voxel_mm3: float = 1.0) -> Lesions:
    """Of bool masks of one shape, 3D or 2D."""
    axes = prediction_ZYX.ndim
    every = ndimage.generate_binary_structure(axes, axes)
    # room to grow: two lesions may grow together beyond the border
    prediction, reference = (np.pad(x, DILATIONS) for x in (prediction_ZYX, reference_ZYX))
    found, count = ndimage.label(prediction, every)
    sizes = np.bincount(found.reshape(-1), minlength=count + 1)
    met, dice = np.zeros(count + 1, bool), []
    for box in ndimage.find_objects(reference.view(np.uint8)):  # one, or none where there is no lesion
        reference, near = reference[_wider(box)], found[_wider(box)]
    joined, _ = ndimage.label(_grown(reference), every)
    joined[~reference] = 0
    for number, box in enumerate(ndimage.find_objects(joined), start=1):
        lesion, inside = joined[_wider(box)] == number, near[_wider(box)]
        own = np.unique(inside[_grown(lesion)])
        own = own[own > 0]
        met[own] = True
        if (voxels := np.count_nonzero(lesion)) * voxel_mm3 > SMALLEST_MM3:
            both = np.count_nonzero(np.isin(inside[lesion], own))
            dice.append(2 * both / (voxels + int(sizes[own].sum())))
    false = np.flatnonzero(~met[1:]) + 1
    return Lesions(tuple(dice), len(false), int(sizes[false].sum()))


def _wider(box: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(s.start - DILATIONS, s.stop + DILATIONS) for s in box)


def _grown(mask: np.ndarray) -> np.ndarray:
    near = ndimage.generate_binary_structure(mask.ndim, 2)
    return ndimage.binary_dilation(mask, near, DILATIONS)
