"""Membership: how near the synthetic images come to each training subject, and whether this gives the subject away.

A subject's score is the distance from its nearest synthetic image, divided by the distance from the nearest real image
of anybody else. Below 1, the synthetic images are nearer than people usually are. Test subjects, which the generator
has never seen, get the same score. How well the scores tell the two groups apart is what an attacker learns about who
was trained on: overall (AUC, advantage), and for the subjects that stand out most (Carlini et al. 2022: the true
positive rate at a low false positive rate).
"""

import numpy as np
import pandas as pd
from scipy import stats

from .detector import CONFIDENCE
from .search import Found

BOOTSTRAPS = 2000
FALSE_POSITIVES = 0.01  # of an attacker who accuses nobody wrongly


def scores(synthetic: Found, real: Found) -> np.ndarray:
    """(G,) of the groups of the references: `synthetic` images, `real` ones of other subjects, searched for in them."""
    near_G, usual_G = (np.sqrt(np.clip(1 - found.group_r, 0, None)) for found in (synthetic, real))
    return np.divide(near_G, usual_G, out=np.ones_like(near_G), where=usual_G > 0)


def membership(members_G: np.ndarray, others_T: np.ndarray, seed: int = 0) -> dict[str, float]:
    """How well members and others are told apart by their scores, with 95 % intervals over subjects (bootstrap).

    auc, low, high: 0.5 is chance. found, found_low, found_high: the share of members whom an attacker finds who takes
    at most the share `wrong` of others for members; of few others, `wrong` is the least that can be tested. advantage:
    the largest difference of the two shares. auc_p, found_p, advantage_p: how probable at least as much is where
    nothing tells the two apart (Mann and Whitney; exact; Kolmogorov and Smirnov). Of few others, a bootstrap does not
    say so: it draws no other who is nearer than the nearest.
    """
    rng, level = np.random.default_rng(seed), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    drawn = [(rng.choice(members_G, len(members_G)), rng.choice(others_T, len(others_T))) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile([_auc(*both) for both in drawn], level)
    found_low, found_high = np.quantile([_found(*both) for both in drawn], level)
    apart = stats.ks_2samp(members_G, others_T, alternative="greater")
    ranks = stats.mannwhitneyu(members_G, others_T, alternative="less")
    return {
        "auc": _auc(members_G, others_T),
        "low": float(low),
        "high": float(high),
        "auc_p": float(ranks.pvalue),
        "wrong": max(FALSE_POSITIVES, 1 / (1 + len(others_T))),
        "found": _found(members_G, others_T),
        "found_low": float(found_low),
        "found_high": float(found_high),
        "found_p": _found_by_chance(members_G, others_T),
        "advantage": float(apart.statistic),
        "advantage_p": float(apart.pvalue),
    }


def _found(members_G: np.ndarray, others_T: np.ndarray) -> float:
    """Members whose score is below that of all others but as many as `wrong` allows."""
    return float((members_G < np.sort(others_T)[_allowed(others_T)]).mean())


def _found_by_chance(members_G: np.ndarray, others_T: np.ndarray) -> float:
    """The probability that, of members and others in any order, as many members come before one other too many: a
    negative hypergeometric distribution."""
    before = round(_found(members_G, others_T) * len(members_G))
    drawn = stats.nhypergeom(len(members_G) + len(others_T), len(members_G), _allowed(others_T) + 1)
    return float(np.clip(drawn.sf(before - 1), 0, 1))


def _allowed(others_T: np.ndarray) -> int:
    return int(FALSE_POSITIVES * len(others_T))


def _auc(members_G: np.ndarray, others_T: np.ndarray) -> float:
    ranks = stats.rankdata(np.concatenate([others_T, members_G]))[: len(others_T)].sum()
    return float((ranks - len(others_T) * (len(others_T) + 1) / 2) / (len(members_G) * len(others_T)))


def subjects_table(
    names: list[str], members_G: np.ndarray, others_T: np.ndarray, synthetic: Found, flagged_of: np.ndarray
) -> pd.DataFrame:
    """A row for each training subject, the nearest first. `flagged_of`: the group of each flagged image's nearest."""
    at_most_G = (others_T[None] <= members_G[:, None]).sum(1)
    table = pd.DataFrame(
        {
            "subject": names,
            "nearest_image": synthetic.group_query,
            "correlation": synthetic.group_r.round(6),
            "score": members_G.round(4),
            "p": ((1 + at_most_G) / (1 + len(others_T))).round(5),
            "flagged_images": np.bincount(flagged_of, minlength=len(names)),
        }
    )
    return table.sort_values(["score", "subject"], ignore_index=True)
