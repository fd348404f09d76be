"""Areas of k x k pixels become one pixel (config `images.downsample`): modalities by mean, annotations by majority.

The sides of an image must be multiples of k; slices are padded to this. k = 1 changes nothing.
"""

import numpy as np


def area_sums(x_HW: np.ndarray, k: int, dtype: type) -> np.ndarray:
    """(H / k, W / k) of `dtype`, which holds them: the sum of every area. Its mean is this divided by k * k."""
    height, width = x_HW.shape
    return x_HW.reshape(height // k, k, width // k, k).sum(axis=(1, 3), dtype=dtype)


def area_majority(grey_HW: np.ndarray, k: int) -> np.ndarray:
    """(H / k, W / k): the commonest grey level of every area, background included.

    Of levels that are equally common the highest wins. So half an area is enough for a label beside the background, and
    of two labels the later one in `images.labels` is taken: with the study's labels the enhancing tumor, a thin rim.
    """
    if k == 1:
        return grey_HW
    levels = np.unique(grey_HW)[::-1]  # argmax takes the first of equal counts
    counts_LHW = np.stack([area_sums(grey_HW == level, k, np.int64) for level in levels])
    return levels[counts_LHW.argmax(axis=0)]
