"""A value that lies far from the others: a training that crashed among trainings that went well.

Means and their intervals take such a training for a part of a spread that few values show. With one crash in ten
trainings, intervals of repeats do not hold the truth as often as they say, and no formula helps: it has to be said.
"""

import numpy as np

FAR = 5  # median absolute deviations, scaled to the standard deviation of normal values
TO_NORMAL = 1.4826
FEWEST = 3  # of fewer, none lies apart


def far_from_others(values: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Which values lie further than FAR deviations from the median, and further than `least`; nan does not.

    Few values know their own deviation badly: of 10 normal ones some is far in 4 % of draws, of 3 in 21 %. `least` is
    what would matter at all.
    """
    known = values[~np.isnan(values)]
    if len(known) < FEWEST:
        return np.zeros(len(values), bool)
    distance = np.abs(values - np.median(known))
    limit = FAR * TO_NORMAL * np.median(np.abs(known - np.median(known)))
    return distance > max(limit, least)
