"""The pixels inside polygons."""

from collections.abc import Sequence

import numpy as np

_DIGITS = 4  # of a coordinate, in pixels: a point on a centre stays there through the arithmetic of its place in mm


def filled(polygons: Sequence[np.ndarray], shape_XY: tuple[int, int]) -> np.ndarray:
    """bool (X, Y): the pixels whose centres lie in an odd number of polygons.

    So a polygon in another one is a hole, and so is what a keyhole leaves out. Of a centre that lies on an edge, those
    on the low side of x and y are inside and those on the high side outside: polygons that share an edge share no pixel
    and leave none out.

    Along each row a pixel is inside if an odd number of edges cross the row before or at its centre. So every crossing
    flips the first pixel behind it, and the running parity of flips is the answer. An edge is taken from its lower end,
    whichever way its polygon goes round: two polygons, or both sides of a keyhole, then find the same crossing.

    Args:
        polygons: each (N, 2), x and y in pixels, where the centre of the first pixel is (0, 0); the last point is
            joined to the first. They may reach beyond the image.
    """
    columns, rows = shape_XY
    edges_E22 = np.concatenate([np.stack([polygon, np.roll(polygon, -1, axis=0)], axis=1) for polygon in polygons])
    edges_E22 = edges_E22.round(_DIGITS)
    low, high = np.where((edges_E22[:, 0, 1] <= edges_E22[:, 1, 1])[:, None], edges_E22.transpose(1, 0, 2),
                         edges_E22[:, ::-1].transpose(1, 0, 2))  # fmt: skip
    first, last = (np.clip(np.ceil(end[:, 1]), 0, rows).astype(int) for end in (low, high))  # rows low <= y < high
    count = last - first
    of = np.repeat(np.arange(len(count)), count)
    y = first[of] + np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    along = (y - low[of, 1]) / (high[of, 1] - low[of, 1])
    x = np.clip(np.ceil(low[of, 0] + along * (high[of, 0] - low[of, 0])), 0, columns).astype(int)
    flips = np.bincount(x * rows + y, minlength=(columns + 1) * rows).reshape(columns + 1, rows)[:columns] % 2
    return np.cumsum(flips, axis=0) % 2 == 1


def crossings(polygon: np.ndarray, rows: int) -> int:
    """Upper bound of what `filled` computes for it."""
    y = np.clip(polygon[:, 1], 0, rows)
    return int(np.ceil(np.abs(np.roll(y, -1) - y)).sum())
