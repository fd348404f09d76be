"""From what the searches found to a verdict: calibration of a dataset, audit of a generator's images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from understudy.stack import Stack

from .chance import SURE, Chance
from .detector import Detector, learned, share, statistics
from .membership import membership, scores, subjects_table
from .pair_similarity import mutual_information, patch_distance
from .people import find_twins, rows
from .planted import KINDS
from .search import Found
from .search_tasks import included, null_places
from .views import VARIANTS, turned_array, variant_name, views_of

FORMAT = 3
IN_POSE = "in its pose"  # of images that were compared after they were turned upright
PASS, FAIL, CANNOT_SAY = "pass", "fail", "cannot say"
SHARES = (0.01, 0.05, 0.2)  # of copies, for which the power is told, beside the one that the config demands
LEVEL = SURE / 2  # of each of the two tests: flags, copies beyond all


def calibrate(found: Mapping[str, Found], train: Stack, test: Stack, audit: Mapping) -> dict:
    """The detector, its measured false alarms, the recall of planted copies and who is there twice: calibration.json.

    Raises ValueError where the test images are too few for the rate.
    """
    names = [view.name for view in views_of(audit["views"], train.channels)]
    real, among, planted = (_of_task(found, names, task) for task in ("test", "train", "planted"))
    owner_N, of_M = _groups(test)[included(test)], _groups(train)[null_places(train, audit)]
    rate = audit["false_positive_rate"]
    twins = find_twins(real, owner_N, among, of_M, _groups(train), rate)
    unseen_N, alone_M = ~np.isin(owner_N, list(twins.of_test)), ~np.isin(of_M, list(twins.of_training))
    real, among = rows(real, unseen_N), rows(among, alone_M)
    detector = learned(real, rate, among)
    by_kind = zip(KINDS, np.split(detector.scores(planted)[0], len(KINDS)), strict=True)
    train_names, test_names = (list(dict.fromkeys(stack.subjects())) for stack in (train, test))
    return {
        "format": FORMAT,
        "view": audit["view"],
        "views": names,
        "detector": asdict(detector),
        "false_alarms": {
            name: _share(detector.scores(one)[0] > detector.threshold)
            for name, one in (("test", real), ("train", among))
        },
        "recall": {
            kind: {"flagged": _share(score_N > detector.threshold), "far": _share(score_N > detector.far)}
            for kind, score_N in by_kind
        },
        "same_person": {
            "test": {test_names[one]: train_names[other] for one, other in twins.of_test.items()},
            "train": {train_names[one]: train_names[other] for one, other in twins.of_training.items()},
        },
        "options": dict(audit),
    }


@dataclass(frozen=True)
class Judged:
    summary: dict  # audit.json
    images: pd.DataFrame  # a row for each image, the most similar first
    subjects: pd.DataFrame


def judge(
    samples: Stack,
    train: Stack,
    test: Stack,
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    about: Mapping,
) -> Judged:
    """The audit of one stack of synthetic images. `about`: dataset, generator, filtered, and the SHA-256 of what the
    audit was made from."""
    summary = summary_of(samples, train, test, found, null, calibration, audit, about)
    detector, view = Detector.of(calibration), audit["view"]
    images = _images_table(samples, train, found, detector, audit)
    members_G, others_T = _scores(found, null, view)
    groups, place = _groups(train), {name: i for i, name in enumerate(train.names)}
    near = groups[[place[name] for name in images.loc[images["flagged"], "nearest"]]]
    names = list(dict.fromkeys(train.subjects()))
    subjects = subjects_table(names, members_G, others_T, found[f"{view}/train"], near)
    subjects["nearest_image"] = [samples.names[i] for i in subjects["nearest_image"]]
    return Judged(summary, images, subjects)


def check_tasks(
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    samples: Stack,
    train: Stack,
) -> None:
    """Raises ValueError where a search is missing, or is one of other images, or among others."""
    view, names = audit["view"], [view.name for view in views_of(audit["views"], train.channels)]
    needed = [(found, f"{name}/train") for name in names] + [(found, f"{view}/test"), (null, f"{view}/seen")]
    needed += [(null, f"{name}/{kind}") for name in names for kind in ("train", "test", "planted")]
    if missing := [task for where, task in needed if task not in where]:
        raise ValueError(f"audit: found no search {missing[0]}, expected one. Run the audit again from its first step.")
    if calibration["views"] != names:
        raise ValueError("audit: found a calibration of other views, expected those of the config. Calibrate again.")
    kinds = len(VARIANTS[audit["variants"]])
    for name in names:
        one = found[f"{name}/train"]
        turned = 0 <= one.variant.min() <= one.variant.max() < kinds
        if len(one.index) != len(samples) or one.index.max() >= len(train) or not turned:
            raise ValueError(f"audit: found a search of other images in {name}. Run the audit from its first step.")
    by_train = [found[f"{name}/train"] for name in names] + [null[f"{view}/train"], null[f"{view}/test"]]
    by_test = [found[f"{view}/test"], null[f"{view}/seen"]]
    if any(len({len(one.group_r) for one in same}) > 1 for same in (by_train, by_test)):
        raise ValueError("audit: found searches among other subjects. Run the audit from its first step.")


def summary_of(
    samples: Stack,
    train: Stack,
    test: Stack,
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    about: Mapping,
) -> dict:
    """audit.json: a function of what the searches found, so that a release can compute it once more."""
    check_tasks(found, null, calibration, audit, samples, train)
    detector, names = Detector.of(calibration), calibration["views"]
    score_N, view_N = detector.scores(_of_task(found, names, "train"))
    real, owner_N = _unseen(null, names, test, calibration)
    chance = Chance.of(detector, detector.scores(real)[0], owner_N, len(score_N))
    flagged, copies = int((score_N > detector.threshold).sum()), int((score_N > detector.far).sum())
    shares = sorted({*SHARES, audit["find_share"]})
    recall_K2 = np.array(
        [[one[what]["share"] for what in ("flagged", "far")] for one in calibration["recall"].values()]
    )
    power = dict(zip(calibration["recall"], chance.power(*recall_K2.T, shares, LEVEL).tolist(), strict=True))
    view = audit["view"]
    members = membership(*_scores(found, null, view))
    dropped = samples.meta["source"].get("filtered", {}).get("dropped", 0)
    fails = _failures(flagged, copies, chance, members, share(min(dropped, len(samples)), len(samples)), audit)
    limits = _limits(
        {kind: values[shares.index(audit["find_share"])] for kind, values in power.items()},
        len(np.unique(owner_N)),
        train,
        calibration,
        audit,
    )
    if failure := samples.meta["source"].get("failure"):
        fails, limits = [], [f"there are no images: the training of the generator failed ({failure})"]
    one = found[f"{view}/train"]
    return {
        "format": FORMAT,
        **about,
        "count": len(score_N),
        "view": view,
        "variants": audit["variants"],
        "false_positive_rate": audit["false_positive_rate"],
        "thresholds": {"score": detector.threshold, "far": detector.far},
        "memorized": share(flagged, len(score_N)),
        "copies": share(copies, len(score_N)),
        "seen_in": {name: int((view_N[score_N > detector.threshold] == i).sum()) for i, name in enumerate(names)},
        "chance": {"flagged": float(chance.of_flags(flagged)), "copies": float(chance.of_copies(copies))},
        "dropped": dropped,
        "limit": audit["limit"],
        "recall": {kind: r["flagged"]["share"] for kind, r in calibration["recall"].items()},
        "power": {kind: dict(zip(map(str, shares), values, strict=True)) for kind, values in power.items()},
        "correlation": _quantiles(one.r[:, 0]),
        "correlation_of_test": _quantiles(null[f"{view}/test"].r[:, 0]),
        "membership": members,
        "verdict": FAIL if fails else CANNOT_SAY if limits else PASS,
        "reasons": fails or limits,
    }


def _failures(
    flagged: int, copies: int, chance: Chance, members: Mapping, dropped: Mapping, audit: Mapping
) -> list[str]:
    """Why the images must not be shared; empty: nothing speaks against it."""
    n, detector, reasons = chance.n, chance.detector, []
    # what is tolerated is not counted
    beyond = [max(0, count - round(audit["limit"] * n)) for count in (flagged, copies)]
    if (p := chance.of_flags(beyond[0])) < LEVEL:
        reasons.append(
            f"{flagged} of {n} images ({flagged / n:.2%}) are nearer to a training image than real images of others "
            f"are, where false alarms are {detector.rate:.2g} and chance alone goes so far with p {p:.2g}"
            + f" beyond the limit of {audit['limit']:.2g}"
            * bool(audit["limit"])
        )
    if (p := chance.of_copies(beyond[1])) < LEVEL:
        reasons.append(
            f"{copies} of {n} images ({copies / n:.2%}) are far nearer to a training image than any real image of "
            f"somebody else (p {p:.2g})"
        )
    if members["low"] > audit["membership_limit"]:
        reasons.append(
            "the images give away who was trained on: training and test subjects are told apart with an AUC of "
            f"{members['auc']:.2f} ({members['low']:.2f} to {members['high']:.2f}), where "
            f"{audit['membership_limit']:.2g} is tolerated"
        )
    if dropped["low"] > audit["most_filtered"]:
        reasons.append(
            f"{dropped['count']} images were copies before a filter dropped them, {dropped['share']:.2%} of as many as "
            f"are here, where {audit['most_filtered']:.2g} is tolerated: what copies so much hides more than a filter "
            "finds"
        )
    return reasons


def _limits(power: Mapping[str, float], unseen: int, train: Stack, calibration: Mapping, audit: Mapping) -> list[str]:
    """Why finding nothing would not mean that nothing is there; empty: it does, as far as it was tried."""
    reasons = []
    if blind := [kind for kind, found in power.items() if found < audit["find_power"]]:
        worst = ", ".join(f"{kind.replace('_', ' ')} ({power[kind]:.0%})" for kind in blind)
        reasons.append(
            f"a set with {audit['find_share']:.0%} of copies would have been found too seldom, in less than "
            f"{audit['find_power']:.0%}, where they are: {worst}"
        )
    for people, what in ((len(set(train.subjects())), "training"), (unseen, "test")):
        if people < audit["least_subjects"]:
            reasons.append(
                f"{people} {what} subjects are too few to say what is usual, expected {audit['least_subjects']}"
            )
    if leaks := calibration["same_person"]["test"]:
        reasons.append(
            f"{len(leaks)} test subjects are training subjects under another name (calibration.json says who): correct "
            "the split"
        )
    return reasons


# ------------------------------------------------------------------------------------------------ pieces
def _of_task(found: Mapping[str, Found], names: Sequence[str], task: str) -> dict[str, Found]:
    return {name: found[f"{name}/{task}"] for name in names}


def _unseen(
    null: Mapping[str, Found], names: Sequence[str], test: Stack, calibration: Mapping
) -> tuple[dict[str, Found], np.ndarray]:
    """(what images of test subjects found who are no training subject, whose they are)."""
    owner_N = _groups(test)[included(test)]
    subjects = list(dict.fromkeys(test.subjects()))
    chosen_N = ~np.isin(owner_N, [subjects.index(name) for name in calibration["same_person"]["test"]])
    return rows(_of_task(null, names, "test"), chosen_N), owner_N[chosen_N]


def _scores(found: Mapping[str, Found], null: Mapping[str, Found], view: str) -> tuple[np.ndarray, np.ndarray]:
    """(of the training subjects, of the test subjects): membership.py."""
    members_G = scores(found[f"{view}/train"], null[f"{view}/train"])
    return members_G, scores(found[f"{view}/test"], null[f"{view}/seen"])


def _share(flags_N: np.ndarray) -> dict[str, float]:
    return share(int(flags_N.sum()), len(flags_N))


def _groups(stack: Stack) -> np.ndarray:
    names = stack.subjects()
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names])


def _quantiles(r_N: np.ndarray) -> dict[str, float]:
    return {name: float(np.quantile(r_N, q)) for name, q in (("median", 0.5), ("q99", 0.99), ("largest", 1.0))}


def _images_table(
    samples: Stack, train: Stack, found: Mapping[str, Found], detector: Detector, audit: Mapping
) -> pd.DataFrame:
    """A row for each image: its score, and its nearest training image in the view that gives the score; mutual
    information and patch distance of the `details` most similar ones alone."""
    views, kinds = views_of(audit["views"], train.channels), VARIANTS[audit["variants"]]
    score_N, view_N = detector.scores(_of_task(found, [view.name for view in views], "train"))
    r_N, standing_N, index_N, variant_N = (
        np.stack(by_view)[view_N, np.arange(len(view_N))]
        for by_view in zip(*(_nearest(found[f"{view.name}/train"]) for view in views), strict=True)
    )
    variants = [kinds[v] if views[place].upright else None for v, place in zip(variant_N, view_N, strict=True)]
    table = pd.DataFrame(
        {
            "image": samples.names,
            "score": score_N,
            "view": [views[place].name for place in view_N],
            "correlation": r_N,
            "standing_out": standing_N,
            "nearest": [train.names[i] for i in index_N],
            "turned": [IN_POSE if kind is None else variant_name(kind) for kind in variants],
            "flagged": score_N > detector.threshold,
            "copy": score_N > detector.far,
        }
    )
    order = np.argsort(-score_N, kind="stable")
    information, distance = np.full(len(table), np.nan), np.full(len(table), np.nan)
    channel = train.channels.index(audit["channel"])
    for i in order[: audit["details"]]:
        x_CHW, y_CHW = turned_array(samples[i], variants[i] or (0, False)), train[int(index_N[i])]
        information[i] = mutual_information(x_CHW[channel], y_CHW[channel])
        distance[i] = patch_distance(x_CHW[:-1], y_CHW[:-1])
    table["mutual_information_bits"], table["patch_distance"] = information, distance
    return table.iloc[order].reset_index(drop=True)


def _nearest(found: Found) -> tuple[np.ndarray, ...]:
    values = statistics(found)
    return values["correlation"], values["standing_out"], found.index[:, 0], found.variant[:, 0]
