"""What the images say about each training subject: how near any of them comes, and whether that gives them away.

A subject's score is the distance from its nearest synthetic image, over that from the nearest real image of anybody
else. Below 1, the synthetic images are nearer than people usually are. Test subjects, which the generator has never
seen, get the same score: how well scores tell the two apart (AUC) is what an attacker learns of who was trained on.
"""

import numpy as np
import pandas as pd
from scipy import stats

from .search import Found

BOOTSTRAPS = 2000


def scores(synthetic: Found, real: Found) -> np.ndarray:
    """(G,) of the groups of the references: `synthetic` images, `real` ones of other subjects, searched for in them."""
    near_G, usual_G = (np.sqrt(np.clip(1 - found.group_r, 0, None)) for found in (synthetic, real))
    return np.divide(near_G, usual_G, out=np.ones_like(near_G), where=usual_G > 0)


def membership(members_G: np.ndarray, others_T: np.ndarray, seed: int = 0) -> dict[str, float]:
    """AUC of telling members from others by their scores, with a 95 % interval over subjects: 0.5 is chance."""
    rng = np.random.default_rng(seed)
    drawn = [
        _auc(rng.choice(members_G, len(members_G)), rng.choice(others_T, len(others_T))) for _ in range(BOOTSTRAPS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"auc": _auc(members_G, others_T), "low": float(low), "high": float(high)}


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
