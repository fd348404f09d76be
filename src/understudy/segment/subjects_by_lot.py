"""Subjects in an order by lot, of which a study takes the first ones: a share of them, or so many."""

from collections.abc import Iterable

import numpy as np

from understudy.run.seeds import seed_of


def in_order(subjects: Iterable[str], *lot: int | str) -> list[str]:
    """Each subject once, in an order that is a function of the lot. The first ten are among the first twenty."""
    known = sorted(set(subjects))
    return [known[i] for i in np.random.default_rng(seed_of(*lot, "subjects")).permutation(len(known))]


def first_percent(subjects: Iterable[str], percent: int, seed: int, training: int = 1) -> set[str]:
    """The subjects of a part of the data set, at least one.

    Args:
        seed: of the study and the data set. training: which of several parts (the seed of a generator's training).
    """
    ordered = in_order(subjects, seed, "part", training)
    return set(ordered[: max(1, round(len(ordered) * percent / 100))])
