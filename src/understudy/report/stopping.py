"""Comparisons over looks: p that is valid over all looks, and which comparisons go on to the next look.

Every look compares the first n repeats of two settings, so the scores themselves show what earlier looks have seen.
docs/evaluation.md says how error is spent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from understudy.statistics.intervals import Difference, difference
from understudy.statistics.power import deviations_of
from understudy.statistics.sequential import FEWEST, FUTILE, chance_to_decide, level_at, sequential_p, share_of_repeats
from understudy.study.looks import Open

from .comparisons import ALPHA, BASELINE, PRIMARY, UNDECIDED, Found, Key, Matrices
from .score_arrays import KEYS

GO_ON, FUTILE_NOW, STOPPED = "goes on", "futile", "stopped before"
STOPS = ["dataset", "segmenter", "training_set", "repeats", "of", "outcome", "failed"]


@dataclass(frozen=True)
class Looks:
    repeats: Sequence[int]  # at every look, all at the last
    dice: Sequence[Matrices]  # of as many repeats, of those settings that have them
    margin: float
    failed: Sequence[Mapping[Key, int]]  # of these repeats, how many of a setting's trainings have failed
    columns: Mapping[Key, int]  # of the matrix at the last look: repeats, or trainings of its generators

    def reached(self, key: Key, other: Key) -> int:
        """The last look that both settings have come to, 1 the first; 0: none."""
        return max((k for k, dice in enumerate(self.dice, start=1) if key in dice and other in dice), default=0)

    def found(self, key: Key, other: Key) -> Found | None:
        """At the last look that both have come to, with p that holds over the looks, and the interval of that look;
        None where they have come to none."""
        if not (count := self.reached(key, other)):
            return None
        seen, shares = [], []
        for dice in self.dice[:count]:
            there = key in dice and other in dice  # else too few of these repeats have scores
            seen.append(difference(dice[key], dice[other]) if there else None)
            shares.append(self._share(dice, key, other) if there else 1.0)
        equal = [float(one.p_equivalent(self.margin)) if one else np.nan for one in seen]
        beyond = [float(one.p_beyond(self.margin)) / 2 if one else np.nan for one in seen]
        for look in range(count):
            if seen[look] and not self._tests(key, other, look):
                equal[look] = beyond[look] = 1.0
        p, p_beyond = (sequential_p(p_looks, self.repeats, shares) for p_looks in (equal, beyond))
        level = 1 - 2 * level_at(ALPHA, count - 1, self.repeats, shares[-1])
        return Found(seen[-1], level, p, min(2 * p_beyond, 1.0))

    def _tests(self, key: Key, other: Key, look: int) -> bool:
        """Whether a look (0 the first) tests at all. Few columns of which all have failed look as if they could not
        differ, so with a failed training among fewer than FEWEST of them nothing is claimed before the last look."""
        both = self.dice[look], self.failed[look]
        few = min(both[0][one].shape[1] for one in (key, other)) < FEWEST
        return look == len(self.repeats) - 1 or not (few and any(both[1][one] for one in (key, other)))

    def failed_of(self, key: Key, repeats: int) -> int:
        """Trainings of a setting and of the real images it is compared with that have failed, of so many repeats."""
        counted = self.failed[list(self.repeats).index(repeats)]
        return sum(counted.get(one, 0) for one in (key, (*key[:2], *BASELINE)))

    def _share(self, dice: Matrices, key: Key, other: Key) -> float:
        last = (self.columns[key], self.columns[other])
        return share_of_repeats(deviations_of(dice[key], dice[other]), len(dice[other]), last)

    def chance(self, key: Key, other: Key, now: Difference) -> float:
        """That the last look decides, as the difference is seen now, even without correction for the other comparisons;
        1 where repeats are too few to say."""
        look = self.reached(key, other) - 1
        if self.repeats[look] < FEWEST:
            return 1.0
        dice = self.dice[look]
        last = (len(dice[other]), self.columns[key])
        return chance_to_decide(now, self._share(dice, key, other), last, look, self.repeats, ALPHA, self.margin)


def decide(equivalence: pd.DataFrame, looks: Looks, look: int, opened: Open | None) -> dict:
    """What results/looks/look{k}.json says: of every primary comparison its outcome, and what is `open`.

    Args:
        equivalence: columns of comparisons.EQUIVALENCE, over the looks until this one.
        look: 1 the first. opened: what has come to this look; None: everything.
    """
    rows, still = equivalence[equivalence["question"] == PRIMARY], []
    told = []
    for row in rows.itertuples():
        key: Key = tuple(getattr(row, name) for name in KEYS)
        outcome = _outcome(row, key, looks, opened)
        if outcome == GO_ON:
            still.append(key[:3])
        told.append({"comparison": key[:3], "difference": row.difference, "p_holm": row.p_holm, "outcome": outcome})
    return {"look": look, "repeats": looks.repeats[look - 1], "comparisons": told, "open": still}


def _outcome(row, key: Key, looks: Looks, opened: Open | None) -> str:
    if opened is not None and key[:3] not in opened:
        return STOPPED
    if row.verdict != UNDECIDED:
        return row.verdict
    other: Key = (*key[:2], *BASELINE)
    now = looks.found(key, other)
    if now is None or np.isnan(now.difference.error):
        return GO_ON
    return GO_ON if looks.chance(key, other, now.difference) >= FUTILE else FUTILE_NOW


def stops(decisions: Sequence[Mapping], looks: Looks | None, equivalence: pd.DataFrame) -> pd.DataFrame:
    """Columns STOPS: after how many repeats each primary comparison has stopped, why, and how many of the trainings
    behind that (its own, and those on real images) have failed."""
    if not (looks and decisions):
        return pd.DataFrame(columns=STOPS)
    ended, last = {}, looks.repeats[-1]
    for decision in decisions:
        for one in decision["comparisons"]:
            if one["outcome"] not in (GO_ON, STOPPED):
                ended[tuple(one["comparison"])] = (decision["repeats"], last, one["outcome"])
    rows = []
    for row in equivalence[equivalence["question"] == PRIMARY].itertuples():
        key: Key = tuple(getattr(row, name) for name in KEYS)
        found = ended.get(key[:3], (last, last, row.verdict))
        rows.append((*key[:3], *found, looks.failed_of(key, found[0])))
    return pd.DataFrame(rows, columns=STOPS)
