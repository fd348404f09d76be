"""How a training set does beside a hospital's own real images: the difference of mean Dice over the hospital's own test
subjects."""

import numpy as np

from understudy.statistics.intervals import difference

from .comparisons import LEVEL
from .score_arrays import Cells, matrix_of

FROM_OWN = ["from_own", "from_own_low", "from_own_high"]


def from_own(cells: Cells, key: tuple, own: tuple) -> dict[str, float]:
    """The difference of two settings that were scored on the same subjects, and its 95 % interval; nan where one has no
    scores, or both are the same."""
    if key == own or key not in cells or own not in cells:
        return dict.fromkeys(FROM_OWN, np.nan)
    found = difference(matrix_of(cells[key], "dice"), matrix_of(cells[own], "dice"))
    return dict(zip(FROM_OWN, map(float, (found.value, *found.interval(LEVEL))), strict=True))


def spoken_difference(row, of: str) -> str:
    """of a row of a table with FROM_OWN: "+0.012 from site_b's own real images (95 % interval ...)"."""
    if np.isnan(row.from_own):
        return f"not compared with {of}'s own real images, which have no scores"
    known = f"95 % interval {row.from_own_low:+.3f} to {row.from_own_high:+.3f}"
    known = "too few repeats or subjects for an interval" if np.isnan(row.from_own_low) else known
    return f"{row.from_own:+.3f} from {of}'s own real images ({known})"
