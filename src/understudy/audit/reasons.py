"""Why images must not be shared, and why finding nothing would not mean that nothing is there: one sentence each.

Each is `in a few words: what was found, with its numbers`, so that a page can say the few words alone (`in_short` of
report/audits.py).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .chance import SURE, Chance

BY_CHANCE = 0.025  # of what an attacker finds, as its 95 % interval has so much on this side
LEVEL = SURE / 2  # of each of the two tests: flags, copies beyond all


@dataclass(frozen=True)
class Findings:
    flagged: int  # images beyond the threshold
    copies: int  # images far beyond it
    chance: Chance
    membership: Mapping[str, float]
    disclosure: Mapping[str, Mapping[str, float]]  # of the tumor's place and size; empty where nobody can say
    before: Mapping[str, float]  # images flagged before a filter dropped some, a share with its interval
    power: Mapping[str, float]  # kind of planted copy -> probability that a set with `find_share` of them fails
    people: Mapping[str, int]  # training and test subjects
    leaks: int  # test subjects who are training subjects


def failures(found: Findings, audit: Mapping) -> list[str]:
    """Why the images must not be shared; empty: nothing speaks against it."""
    return [
        *_copies(found, audit),
        *(f"{what}: {how}" for what, how, _ in _given_away(found, audit, surely=True)),
        *_filtered(found.before, audit),
    ]


def told_apart(one: Mapping, limit: float) -> str:
    """How well an attacker does, and what is allowed."""
    return f"AUC {one['auc']:.2f}, {one['low']:.2f} to {one['high']:.2f}; allowed {limit:.2g}"


def _copies(found: Findings, audit: Mapping):
    chance, n = found.chance, found.chance.n
    # tolerated copies are not counted
    flags, copies = (max(0, count - round(audit["limit"] * n)) for count in (found.flagged, found.copies))
    beyond = f" beyond the limit of {audit['limit']:.2g}" * bool(audit["limit"])
    if (p := chance.of_flags(flags)) < LEVEL:
        yield (
            f"too many images look like copies: {found.flagged} of {n} ({found.flagged / n:.2%}) are nearer to an "
            f"image of a training patient than other people's images are{beyond} (false alarms "
            f"{chance.detector.rate:.2g}; by chance alone p {p:.2g})"
        )
    if (p := chance.of_copies(copies)) < LEVEL:
        yield (
            f"there are copies of patients: {found.copies} of {n} images ({found.copies / n:.2%}) are far nearer to an "
            f"image of a training patient than any image of other people (p {p:.2g})"
        )


def _given_away(found: Findings, audit: Mapping, *, surely: bool):
    """What is told beyond its limit; `surely`: more than by chance, or else what may be chance among few people."""
    members, limit = found.membership, audit["membership_limit"]
    if beyond(members, "auc", limit, surely=surely):
        yield (
            "the images give away who was trained on",
            f"an attacker tells training patients from others ({told_apart(members, limit)})",
            members["auc_p"],
        )
    if beyond(members, "found", audit["identified_limit"], surely=surely):
        yield (
            "the images give away some training patients",
            f"an attacker who wrongly accuses {members['wrong']:.1%} of other people finds {members['found']:.0%} of "
            f"the training patients ({members['found_low']:.0%} to {members['found_high']:.0%}; allowed "
            f"{audit['identified_limit']:.0%})",
            members["found_p"],
        )
    for what, one in found.disclosure.items():
        if beyond(one, "auc", limit, surely=surely):
            yield (
                f"the images give away {what} of the annotation of training patients",
                "an attacker who knows the rest of the image guesses it better than for other patients "
                f"({told_apart(one, limit)})",
                one["auc_p"],
            )


def beyond(one: Mapping[str, float], what: str, limit: float, *, surely: bool) -> bool:
    """Of what `membership` returns, `what`: auc or found. `surely`: more than by chance; or else, what may be."""
    low, p = one["low" if what == "auc" else f"{what}_low"], one[f"{what}_p"]
    return low > limit and (p < BY_CHANCE) == surely


def _filtered(before: Mapping, audit: Mapping):
    if before["low"] > audit["most_filtered"]:
        yield (
            f"the generator copies too much: {before['count']} images were flagged before a filter dropped some, "
            f"{before['share']:.2%} relative to the images here (allowed {audit['most_filtered']:.2g}), and a filter "
            "does not find all copies"
        )


def limits(found: Findings, audit: Mapping) -> list[str]:
    """Why finding nothing would not mean that nothing is there; empty: it does, as far as it was tried."""
    reasons = [
        f"too few test patients to say whether {what}: {how}; by chance alone p {p:.2g}"
        for what, how, p in _given_away(found, audit, surely=False)
    ]
    rate = found.chance.detector.rate
    if blind := [kind for kind, power in found.power.items() if power < audit["find_power"]]:
        worst = ", ".join(f"{kind.replace('_', ' ')} ({found.power[kind]:.0%})" for kind in blind)
        reasons.append(
            f"copies may have been missed: of sets with {audit['find_share']:.0%} of copies, the audit would find less "
            f"than {audit['find_power']:.0%} if the copies are: {worst}"
        )
    if rate > (asked := audit["false_positive_rate"]):
        reasons.append(
            f"too few images of real people: {round(1 / rate) - 1} allow a rate of false alarms of {rate:.2g}; the "
            f"{asked:g} of audit.false_positive_rate needs {math.ceil(1 / asked - 1e-9) - 1}"
        )
    for what, people in found.people.items():
        if people < audit["least_subjects"]:
            reasons.append(
                f"too few {what} patients: {people} do not show what is usual, expected {audit['least_subjects']}"
            )
    if found.leaks:
        reasons.append(
            f"the split is wrong: {found.leaks} test patients are training patients under another name "
            "(calibration.json says who); correct it"
        )
    return reasons
