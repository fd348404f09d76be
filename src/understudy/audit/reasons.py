"""Why images must not be shared, and why finding nothing would not mean that nothing is there: one sentence each."""

from collections.abc import Mapping
from dataclasses import dataclass

from .chance import SURE, Chance

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
        *_membership(found.membership, audit),
        *_disclosure(found.disclosure, audit),
        *_filtered(found.before, audit),
    ]


def _copies(found: Findings, audit: Mapping):
    chance, n = found.chance, found.chance.n
    # what is tolerated is not counted
    flags, copies = (max(0, count - round(audit["limit"] * n)) for count in (found.flagged, found.copies))
    beyond = f" beyond the limit of {audit['limit']:.2g}" * bool(audit["limit"])
    if (p := chance.of_flags(flags)) < LEVEL:
        yield (
            f"{found.flagged} of {n} images ({found.flagged / n:.2%}) are nearer to a training image than real images "
            f"of others are, where false alarms are {chance.detector.rate:.2g} and chance alone goes so far with p "
            f"{p:.2g}{beyond}"
        )
    if (p := chance.of_copies(copies)) < LEVEL:
        yield (
            f"{found.copies} of {n} images ({found.copies / n:.2%}) are far nearer to a training image than any real "
            f"image of somebody else (p {p:.2g})"
        )


def _membership(members: Mapping, audit: Mapping):
    if members["low"] > audit["membership_limit"]:
        yield (
            "the images give away who was trained on: training and test subjects are told apart with an AUC of "
            f"{members['auc']:.2f} ({members['low']:.2f} to {members['high']:.2f}), where "
            f"{audit['membership_limit']:.2g} is tolerated"
        )
    if members["found_low"] > audit["identified_limit"]:
        yield (
            f"the images give some training subjects away: an attacker who accuses {members['wrong']:.1%} of others "
            f"wrongly finds {members['found']:.0%} of the training subjects ({members['found_low']:.0%} to "
            f"{members['found_high']:.0%}), where {audit['identified_limit']:.0%} is tolerated"
        )


def _disclosure(told: Mapping, audit: Mapping):
    for what, one in told.items():
        if one["low"] > audit["membership_limit"]:
            yield (
                f"the images tell the {what} of training subjects' tumors to who knows the rest of the head: it is "
                f"guessed better than that of test subjects with an AUC of {one['auc']:.2f} ({one['low']:.2f} to "
                f"{one['high']:.2f}), where {audit['membership_limit']:.2g} is tolerated"
            )


def _filtered(before: Mapping, audit: Mapping):
    if before["low"] > audit["most_filtered"]:
        yield (
            f"{before['count']} images were flagged before a filter dropped some, {before['share']:.2%} of as many as "
            f"are here, where {audit['most_filtered']:.2g} is tolerated: what copies so much hides more than a filter "
            "finds"
        )


def limits(found: Findings, audit: Mapping) -> list[str]:
    """Why finding nothing would not mean that nothing is there; empty: it does, as far as it was tried."""
    reasons = []
    if blind := [kind for kind, power in found.power.items() if power < audit["find_power"]]:
        worst = ", ".join(f"{kind.replace('_', ' ')} ({found.power[kind]:.0%})" for kind in blind)
        reasons.append(
            f"a set with {audit['find_share']:.0%} of copies would have been found too seldom, in less than "
            f"{audit['find_power']:.0%}, where they are: {worst}"
        )
    for what, people in found.people.items():
        if people < audit["least_subjects"]:
            reasons.append(
                f"{people} {what} subjects are too few to say what is usual, expected {audit['least_subjects']}"
            )
    if found.leaks:
        reasons.append(
            f"{found.leaks} test subjects are training subjects under another name (calibration.json says who): "
            "correct the split"
        )
    return reasons
