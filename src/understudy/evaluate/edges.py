"""The edges of masks, found for all labels in one pass.

The edge of a mask is what a 6-connected erosion takes away (4-connected in 2D), a voxel at the border of the volume
included: the definition of MONAI's get_mask_edges, which the study used. A voxel is on the edge of its label where a
neighbour has another one.
"""

from collections.abc import Sequence

import numpy as np


def spacing_of(spacing_mm: Sequence[float] | None, axes: int) -> np.ndarray:
    spacing = np.ones(axes) if spacing_mm is None else np.asarray(spacing_mm, float)
    if spacing.shape != (axes,) or not (spacing > 0).all():
        raise ValueError(f"spacing_mm: found {spacing_mm}, expected {axes} positive numbers, one per axis")
    return spacing


def union_box(prediction_ZYX: np.ndarray, reference_ZYX: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of either that is not 0; an empty box where there is none."""
    box: list[slice] = []
    union = np.bitwise_or(prediction_ZYX, reference_ZYX)
    for axis in range(union.ndim):  # each axis looks only into what the axes before have left
        rest = tuple(a for a in range(union.ndim) if a != axis)
        found = np.flatnonzero(union.max(axis=rest)) if union.size else np.empty(0, int)
        box.append(slice(found[0], found[-1] + 1) if len(found) else slice(0, 0))
        union = union[(slice(None),) * axis + (box[-1],)]
    return tuple(box)


def edges(classes_ZYX: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat positions (ascending) and classes of the voxels that have a neighbour of another class, or the outside."""
    differs = np.zeros(classes_ZYX.shape, bool)
    for axis in range(classes_ZYX.ndim):
        here, there = (_cut(classes_ZYX, axis, s) for s in (slice(None, -1), slice(1, None)))
        step = here != there
        for part in (slice(None, -1), slice(1, None)):
            np.logical_or(_cut(differs, axis, part), step, out=_cut(differs, axis, part))
        for border in (slice(None, 1), slice(-1, None)):
            _cut(differs, axis, border)[...] = True
    differs &= classes_ZYX != 0
    at = np.flatnonzero(differs)
    return at, classes_ZYX.reshape(-1)[at] if classes_ZYX.flags.c_contiguous else classes_ZYX[differs]


def _cut(x: np.ndarray, axis: int, part: slice) -> np.ndarray:
    return x[(slice(None),) * axis + (part,)]
