"""How near images of different real people come, and which planted copies are found: calibration.json."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from understudy.stack import Stack

from .detector import CONFIDENCE, reachable, share
from .people import Real, find_twins, people_of
from .planted import KINDS
from .search import Found
from .search_tasks import groups
from .views import views_of

FORMAT = 7
FOLDS = 20  # of people, at most, who are left out together
BOOTSTRAPS = 2000


def calibrate(null: Mapping[str, Found], train: Stack, test: Stack, audit: Mapping) -> dict:
    """The detector, that of the filter, its measured false alarms, the recall of planted copies and who is there twice.

    Where the images of real people are too few for the rate, it is the lowest that they can hold, and the verdict says
    so (reasons.py). Raises ValueError where everybody is there twice.
    """
    names, rate = [view.name for view in views_of(audit["views"], train.channels)], audit["false_positive_rate"]
    real = Real.of(null, names, train, test, audit)
    twins = find_twins(real, groups(train), reachable(len(real.owner), rate))
    alone = real.without(twins)
    detector = alone.learned(reachable(len(alone.owner), rate))
    # what drops images knows some views alone, and half of the people: it must not be what judges
    half = alone.every_other().seen_in([view.name for view in views_of(audit["filter_views"], train.channels)])
    dropping = half.learned(reachable(len(half.owner), rate))
    planted = {view: null[f"{view}/planted"] for view in names}
    by_kind = zip(KINDS, np.split(detector.scores(planted)[0], len(KINDS)), strict=True)
    training, tested = people_of(train), people_of(test)
    named = [*training, *tested]
    same = {
        split: {
            named[one]: training[other] for one, other in twins.items() if (one >= len(training)) == (split == "test")
        }
        for split in ("test", "train")
    }
    return {
        "format": FORMAT,
        "view": audit["view"],
        "views": names,
        "detector": asdict(detector),
        "filter": asdict(dropping),
        "false_alarms": false_alarms(alone, rate),
        "recall": {
            kind: {"flagged": _share(score_N > detector.threshold), "far": _share(score_N > detector.far)}
            for kind, score_N in by_kind
        },
        "same_person": same,
        "options": dict(audit),
    }


def false_alarms(real: Real, rate: float, seed: int = 0) -> dict[str, float]:
    """The share of images of real people that a threshold flags which was learned without these people, with a 95 %
    interval over people (bootstrap): it should hold the stated rate."""
    people, rng = np.unique(real.owner), np.random.default_rng(seed)
    fold_P = rng.permutation(len(people)) % min(FOLDS, len(people))
    flagged_P2 = np.zeros((len(people), 2), int)
    for fold in range(fold_P.max() + 1):
        out = real.rows(np.isin(real.owner, people[fold_P == fold]))
        others = real.without(people[fold_P == fold])
        detector = others.learned(reachable(len(others.owner), rate))
        flags_N = detector.scores(out.found)[0] > detector.threshold
        for place in np.flatnonzero(fold_P == fold):
            own_N = out.owner == people[place]
            flagged_P2[place] = flags_N[own_N].sum(), own_N.sum()
    drawn_B2 = flagged_P2[rng.integers(len(people), size=(BOOTSTRAPS, len(people)))].sum(1)
    low, high = np.quantile(drawn_B2[:, 0] / drawn_B2[:, 1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    flags, images = flagged_P2.sum(0).tolist()
    return {"count": flags, "share": flags / images, "low": float(low), "high": float(high)}


def _share(flags_N: np.ndarray) -> dict[str, float]:
    return share(int(flags_N.sum()), len(flags_N))
