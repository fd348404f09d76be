"""Two more ways to look at the most similar pairs: mutual information, and the largest distance of a patch.

Mutual information sees a copy with other intensities; the largest distance over patches (Carlini et al. 2023) is not
misled by a background that all images share.
"""

import numpy as np

BINS = 32
TILES = 4  # along each side


def mutual_information(x_HW: np.ndarray, y_HW: np.ndarray) -> float:
    """In bits, of two uint8 images, from a histogram of BINS x BINS."""
    joint, _, _ = np.histogram2d(x_HW.ravel(), y_HW.ravel(), BINS, [[0, 256], [0, 256]])
    p_xy = joint / joint.sum()
    p = p_xy.sum(1, keepdims=True) * p_xy.sum(0, keepdims=True)
    seen = p_xy > 0
    return float((p_xy[seen] * np.log2(p_xy[seen] / p[seen])).sum())


def patch_distance(x_CHW: np.ndarray, y_CHW: np.ndarray) -> float:
    """The largest root mean square difference over TILES x TILES tiles, as a share of the range 0 to 255."""
    square_HW = np.square((x_CHW.astype(np.float64) - y_CHW) / 255).mean(0)
    tiles = [tile for rows in np.array_split(square_HW, TILES) for tile in np.array_split(rows, TILES, axis=1)]
    return float(np.sqrt(max(tile.mean() for tile in tiles)))
