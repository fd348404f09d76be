"""Random subsets of the subjects: put them in a random order, then take the first k or the first percent."""

from collections.abc import Iterable

import numpy as np

from understudy.run.seeds import seed_of


def in_order(subjects: Iterable[str], *lot: int | str) -> list[str]:
    """The distinct subjects in an order drawn by `lot`. The first ten are among the first twenty."""
    known = sorted(set(subjects))
    return [known[i] for i in np.random.default_rng(seed_of(*lot, "subjects")).permutation(len(known))]


def first_percent(subjects: Iterable[str], percent: int, seed: int, training: int = 1) -> set[str]:
    """A random subset with this percentage of the subjects, at least one.

    Args:
        percent: 1 to 100.
        seed: random seed of the study and the data set.
        training: number of the subset, 1 the first. Each training of a generator has its own subset.
    """
    ordered = in_order(subjects, seed, "part", training)
    return set(ordered[: max(1, round(len(ordered) * percent / 100))])
