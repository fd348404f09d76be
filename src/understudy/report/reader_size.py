"""How large a reader study has to be, before anybody reads: images of each source, readers, and what they can show.

Balanced accuracy is the mean of two shares. Of one reader its variance is at most (1/r + 1/s) / 16 for r real and s
synthetic images. Right calls of two readers on one image correlate by `agreement`, so R readers are worth R images of
one reader only where that is 0: the variance is multiplied by (1 + (R - 1) agreement) / R. Readers are taken as equally
good.
"""

import math
from collections.abc import Mapping

import pandas as pd
from scipy import stats

Z = stats.norm.ppf(0.975)
WHOLE, EACH = "all generators together", "one generator"


def reader_plan(options: Mapping) -> pd.DataFrame:
    """The table of the section `reader_study`: what is needed, and what the images that it asks for would show.

    Columns: question, of (all generators, or one), readers, images (of each source), total (in a page), half_width and
    power (of the images that the config asks for).
    """
    generators = len(options["generators"])
    rows = []
    for name, share in [(WHOLE, generators)] + [(EACH, 1)] * (generators > 1):
        for readers in options["readers"]:
            worth = readers / (1 + (readers - 1) * options["agreement"])
            precise = images_for_width(options["half_width"], share, worth)
            powerful = images_for_power(options["detect"], options["power"], share, worth)
            own = options["images"]
            rows.append(
                {
                    "of": name,
                    "readers": readers,
                    "images_for_interval": precise,
                    "page_for_interval": precise * (1 + generators),
                    "images_for_power": powerful,
                    "page_for_power": powerful * (1 + generators),
                    "planned_images": own,
                    "planned_half_width": Z * _error(own, share, worth, 0.5),
                    "planned_power": power(options["detect"], own, share, worth),
                }
            )
    return pd.DataFrame(rows)


def images_for_width(half_width: float, generators: float = 1, worth: float = 1) -> int:
    """Images of each source so that the 95 % interval of balanced accuracy is within +- half_width, at worst (0.5)."""
    return max(2, math.ceil((Z * _error(1, generators, worth, 0.5) / half_width) ** 2))


def images_for_power(accuracy: float, wanted: float, generators: float = 1, worth: float = 1) -> int:
    """Images of each source so that a balanced accuracy is told from 0.5 (two-sided, 5 %) with this power."""
    chance, truth = (_error(1, generators, worth, share) for share in (0.5, accuracy))
    return max(2, math.ceil(((Z * chance + stats.norm.ppf(wanted) * truth) / (accuracy - 0.5)) ** 2))


def power(accuracy: float, images: int, generators: float = 1, worth: float = 1) -> float:
    """Of telling a balanced accuracy from 0.5 with so many images of each source."""
    chance, truth = (_error(images, generators, worth, share) for share in (0.5, accuracy))
    return float(stats.norm.cdf((abs(accuracy - 0.5) - Z * chance) / truth))


def _error(images: float, generators: float, worth: float, share: float) -> float:
    """Standard error of balanced accuracy where both kinds are called right with probability `share`."""
    return math.sqrt(share * (1 - share) * (1 / images + 1 / (generators * images)) / 4 / worth)
