"""The leaderboard of a challenge: its entries, imported sets of images, ranked by what networks learn from them alone.

Copies of patients are the most useful images there are. So an entry that the audit fails is disqualified: it has no
rank, and the others are ranked without it. An entry of which the audit cannot say is ranked, and its remark says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .audits import CANNOT_SAY, FAIL, in_short
from .comparisons import ALPHA, OF_GENERATORS
from .metrics_of_images import column_of
from .ranking import criteria, ranking
from .verdicts import Answer

RANKED, DISQUALIFIED, NOT_RANKED, REFUSED = "ranked", "disqualified", "not ranked", "refused"
STANDINGS = (RANKED, DISQUALIFIED, NOT_RANKED, REFUSED)  # in the order of the rows
RANKS = ["rank", "rank_low", "rank_high", "first"]
MATCHED = "frechet_matched"  # entries differ in their number of images


@dataclass(frozen=True)
class Challenge:
    """What a leaderboard is made of."""

    entries: Mapping[str, Mapping]  # config `imports`
    audits: Sequence[Mapping]  # summaries, of other images as well
    dice: pd.DataFrame  # the table of this name
    comparisons: pd.DataFrame  # the table of this name
    draws: Mapping[tuple, np.ndarray]  # as ranking.drawn gives them
    answers: Mapping[str, Answer]  # is an entry as useful as real images?
    fidelity: pd.DataFrame  # the table of this name

    def audits_of(self, entry: str) -> list[Mapping]:
        """One for each data set."""
        return [a for a in self.audits if a["generator"] == entry]


def leaderboard(challenge: Challenge) -> pd.DataFrame:
    """A row for each entry, the ranked ones first: rank, entry, standing, rank_low, rank_high, first, better_than,
    dice, percent (of real images), useful, audit, flagged, images, frechet_matched in every feature space, remark."""
    c = challenge
    values = criteria({"dice": c.dice})
    means = values.groupby("generator")["value"].mean()
    placed = {name: standing(entry, c.audits_of(name), name in means) for name, entry in c.entries.items()}
    ranked = [name for name, (word, _) in placed.items() if word == RANKED]
    ranks, better = ranks_of(values[values["generator"].isin(ranked)], c.draws), proven_better(c.comparisons, ranked)
    rows = []
    for name, (word, remark) in placed.items():
        own = c.audits_of(name)
        row = {"rank": np.nan, "entry": name, "standing": word} | dict.fromkeys(RANKS[1:], np.nan)
        row |= ranks.loc[name].to_dict() if name in ranks.index else {}
        row |= {"better_than": " ".join(better.get(name, [])), "dice": means.get(name, np.nan)}
        row |= _useful(c.answers.get(name))
        row |= {
            "audit": " ".join(dict.fromkeys(a["verdict"] for a in own)),
            "flagged": sum(a["memorized"]["count"] for a in own) if own else np.nan,
            "images": sum(a["count"] for a in own) if own else np.nan,
        }
        rows.append(row | {"remark": remark})
    table = pd.DataFrame(rows).join(distances(c.fidelity), on="entry")
    table = table[[*(name for name in table if name != "remark"), "remark"]]
    order = table["standing"].map(STANDINGS.index)
    places = pd.DataFrame({"standing": order, "rank": table["rank"]}).sort_values(["standing", "rank"], kind="stable")
    return table.loc[places.index].reset_index(drop=True)


def standing(entry: Mapping, audits: Sequence[Mapping], learned: bool) -> tuple[str, str]:
    """(one of STANDINGS, why, or what is to be known of it). `learned`: networks have, from its images alone."""
    if entry["refused"]:
        return REFUSED, entry["refused"]
    if reasons := _reasons(audits, FAIL):
        return DISQUALIFIED, f"must not be shared: {reasons}"
    if not audits:
        return NOT_RANKED, "nobody has looked for copies of patients"
    if not learned:
        unknown = entry["trained_on"] != "train"
        why = "nobody says that its generator saw the training subjects alone (`trained_on`)" if unknown else ""
        return NOT_RANKED, why or "no network was trained on its images alone"
    if reasons := _reasons(audits, CANNOT_SAY):
        return RANKED, f"nobody can say whether it may be shared: {reasons}"
    return RANKED, ""


def _reasons(audits: Sequence[Mapping], verdict: str) -> str:
    """Of the audits with this verdict, in a few words; "" where there are none."""
    return "; ".join(dict.fromkeys(in_short(r) for a in audits if a["verdict"] == verdict for r in a["reasons"]))


def _useful(answer: Answer | None) -> dict:
    if answer is None:
        return {"percent": np.nan, "useful": ""}
    return {"percent": answer.percent, "useful": answer.said.word}


def ranks_of(values: pd.DataFrame, draws: Mapping[tuple, np.ndarray]) -> pd.DataFrame:
    """Columns RANKS, indexed by entry: by the criteria of all data sets together."""
    if values.empty:
        return pd.DataFrame(columns=RANKS)
    table = ranking(values, draws)
    together = table["dataset"] == table["dataset"].iloc[-1]  # the only data set, or all of them, which stand last
    return table[together].set_index("generator")[RANKS]


def proven_better(comparisons: pd.DataFrame, entries: Iterable[str]) -> dict[str, list[str]]:
    """Entry -> those that it is better than in every comparison of the two: with every network, on every data set.

    Such a claim about all needs no further correction (intersection-union test, Berger 1982). p_holm is that of the
    table, where disqualified entries and the study's own generators are compared as well.
    """
    found = {name: [] for name in entries}
    between = comparisons["training_set"].isin(found) & comparisons["against"].isin(found)
    asked = comparisons[(comparisons["question"] == OF_GENERATORS) & between]
    for (one, other), rows in asked.groupby(["training_set", "against"], sort=False):
        if not (rows["p_holm"] < ALPHA).all():
            continue
        if (rows["difference"] > 0).all():
            found[one].append(other)
        elif (rows["difference"] < 0).all():
            found[other].append(one)
    return found


def distances(fidelity: pd.DataFrame) -> pd.DataFrame:
    """Indexed by generator: a column for each feature space and channel, the mean over data sets."""
    names = [column_of(MATCHED, *pair) for pair in fidelity[["space", "channel"]].itertuples(index=False)]
    return fidelity.assign(metric=names).pivot_table(MATCHED, index="generator", columns="metric", sort=False)
