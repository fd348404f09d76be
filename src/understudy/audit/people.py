"""People, not names: a subject who is there under two names is one person.

A test subject who is a training subject under another name is not one of those whom nobody has seen: what is usual must
not be learned from him. Two training subjects who are one person say nothing of how near strangers come. Either shows
in the searches: most of his images come as near to one training subject as copies do, and strangers' do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .detector import Detector, learned
from .search import Found

MOST = 0.5  # share of a subject's images
TRIMMED = 0.1  # share of the test subjects, the most similar ones, from whom nothing is learned while they are suspects


@dataclass(frozen=True)
class Twins:
    """{subject: training subject} who are one person, as places of subjects in their stacks."""

    of_test: dict[int, int]
    of_training: dict[int, int]


def find_twins(
    real: Mapping[str, Found],
    owner_N: np.ndarray,
    among: Mapping[str, Found],
    of_M: np.ndarray,
    group_G: np.ndarray,
    rate: float,
) -> Twins:
    """Args:
    real, among: view -> found, of test images among the training images, of training images among those of others.
    owner_N, of_M: subject of each of these images. group_G: subject of each training image.
    """
    score_N = learned(real, rate).scores(real)[0]
    people = np.unique(owner_N)
    typical = np.array([np.median(score_N[owner_N == one]) for one in people])
    suspects = people[np.argsort(-typical, kind="stable")[: round(TRIMMED * len(people))]]
    others_N = ~np.isin(owner_N, suspects)
    # where the rate asks for nearly all images, those of the others are too few for it
    detector = learned(rows(real, others_N), max(rate, 1 / (1 + int(others_N.sum()))))
    return Twins(_twins(detector, real, owner_N, group_G), _twins(detector, among, of_M, group_G))


def _twins(detector: Detector, found: Mapping[str, Found], owner_N: np.ndarray, group_G: np.ndarray) -> dict[int, int]:
    score_N, view_N = detector.scores(found)
    index_VN = np.stack([found[view].index[:, 0] for view in detector.usual])
    whose_N = group_G[index_VN[view_N, np.arange(len(view_N))]]
    twins = {}
    for one in np.unique(owner_N):
        own = owner_N == one
        near = np.bincount(whose_N[own & (score_N > detector.far)], minlength=1)
        if near.max() > MOST * own.sum():
            twins[int(one)] = int(near.argmax())
    return twins


def rows(found: Mapping[str, Found], chosen_N: np.ndarray) -> dict[str, Found]:
    """Of some queries alone."""
    return {view: one.rows(chosen_N) for view, one in found.items()}
