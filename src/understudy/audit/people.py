"""Real people: how near their images usually come, and who is in the data under two names.

The usual nearness is learned from everybody's images: test subjects, whom no generator has seen, among the training
images, and training subjects among the other training subjects. A few test subjects alone would be too few.

A person with two names says nothing about how near strangers come. The searches show such a person: most of the images
come as near to one training subject as copies do, which strangers' images do not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from understudy.stack import Stack

from .detector import Detector, learned, reachable, with_thresholds
from .search import Found
from .search_tasks import groups, included, null_places

FOLDS = 5  # of people who are left out together
MOST = 0.5  # share of a subject's images
TRIMMED = 0.5  # share of the people, the most similar ones, from whom nothing is learned while they are suspects


@dataclass(frozen=True)
class Real:
    """What images of N real people found among the training images of others: view -> found, and whose each image is:
    the training subjects come first, in the order of their stack, then the test subjects."""

    found: Mapping[str, Found]
    owner: np.ndarray  # (N,)
    training: int = 0  # how many of the people are training subjects

    @classmethod
    def of(cls, null: Mapping[str, Found], views: Sequence[str], train: Stack, test: Stack, audit: Mapping) -> "Real":
        of_train_N = groups(train)[null_places(train, audit)]
        of_test_N = len(people_of(train)) + groups(test)[included(test)]
        for view in views:
            if [len(null[f"{view}/{task}"].index) for task in ("train", "test")] != [len(of_train_N), len(of_test_N)]:
                raise ValueError(f"audit: found a search for other images in {view}. Calibrate again.")
        found = {view: Found.joined([null[f"{view}/train"], null[f"{view}/test"]]) for view in views}
        return cls(found, np.concatenate([of_train_N, of_test_N]), len(people_of(train)))

    def without(self, people: Collection[int]) -> "Real":
        return self.rows(~np.isin(self.owner, list(people)))

    def rows(self, chosen_N: np.ndarray) -> "Real":
        return Real({view: one.rows(chosen_N) for view, one in self.found.items()}, self.owner[chosen_N], self.training)

    def seen_in(self, views: Sequence[str]) -> "Real":
        return replace(self, found={view: self.found[view] for view in views})

    def every_other(self) -> "Real":
        """Half of the people."""
        return self.rows(np.isin(self.owner, np.unique(self.owner)[::2]))

    def unseen(self) -> "Real":
        """Of those whom no generator has seen."""
        return self.rows(self.owner >= self.training)

    def learned(self, rate: float) -> Detector:
        """A detector that raises false alarms at the rate among people from whom it has learned nothing: thresholds are
        those of the scores that people have where they are left out. It raises them no oftener among those whom no
        generator has seen, where their images are enough to say it. Raises ValueError as detector.learned does."""
        detector, score_N, unseen_N = learned(self.found, rate), self.left_out(rate), self.owner >= self.training
        of_all = with_thresholds(detector, score_N, self.owner)
        if rate * (unseen_N.sum() + 1) < 1:
            return of_all
        of_unseen = with_thresholds(detector, score_N[unseen_N], self.owner[unseen_N])
        return max(of_all, of_unseen, key=lambda one: one.threshold)

    def left_out(self, rate: float) -> np.ndarray:
        """(N,): the score of each image by a detector of other people. What is usual fits those best from whom it was
        learned: their own scores would promise too few false alarms. Of one person alone, his own."""
        people = np.unique(self.owner)
        fold_N, score_N = np.searchsorted(people, self.owner) % FOLDS, np.empty(len(self.owner))
        for fold in np.unique(fold_N):
            out = fold_N == fold
            others = self.rows(~out) if len(people) > 1 else self
            detector = learned(others.found, reachable(len(others.owner), rate))
            score_N[out] = detector.scores(self.rows(out).found)[0]
        return score_N


def people_of(stack: Stack) -> list[str]:
    """In the order of their places in `groups`."""
    return list(dict.fromkeys(stack.people()))


def find_twins(real: Real, group_M: np.ndarray, rate: float) -> dict[int, int]:
    """{person: training subject who is the same}. group_M: subject of each training image."""
    score_N = learned(real.found, rate).scores(real.found)[0]
    people = np.unique(real.owner)
    typical = np.array([np.median(score_N[real.owner == one]) for one in people])
    suspects = people[np.argsort(-typical, kind="stable")[: round(TRIMMED * len(people))]]
    others = real.without(suspects)
    # where the rate asks for nearly all images, those of the others are too few for it
    return _twins(learned(others.found, reachable(len(others.owner), rate)), real, group_M)


def _twins(detector: Detector, real: Real, group_M: np.ndarray) -> dict[int, int]:
    score_N, view_N = detector.scores(real.found)
    index_VN = np.stack([real.found[view].index[:, 0] for view in detector.usual])
    whose_N = group_M[index_VN[view_N, np.arange(len(view_N))]]
    twins = {}
    for one in np.unique(real.owner):
        own = real.owner == one
        near = np.bincount(whose_N[own & (score_N > detector.far)], minlength=1)
        if near.max() > MOST * own.sum():
            twins[int(one)] = int(near.argmax())
    return twins
