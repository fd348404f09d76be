"""Turns the results of the searches into a verdict on a generator's images: audit.json and its lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from understudy.stack import Stack

from .calibrate import FORMAT
from .chance import Chance
from .detector import Detector, share, statistics
from .disclosure import disclosure
from .membership import membership, scores, subjects_table
from .pair_similarity import mutual_information, patch_distance
from .people import Real, people_of
from .reasons import LEVEL, Findings, failures, limits
from .search import Found
from .search_tasks import groups, known_slices
from .views import VARIANTS, turned_array, variant_name, views_of

IN_POSE = "in its pose"  # of images that were compared after they were turned upright
PASS, FAIL, CANNOT_SAY = "pass", "fail", "cannot say"
SHARES = (0.01, 0.05, 0.2)  # of copies, for which the power is told, beside the one that the config demands


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
    images = _images_table(samples, train, found, detector, _to_drop(found, calibration), audit)
    members_G, others_T = _scores(found, null, view)
    group_M, place = groups(train), {name: i for i, name in enumerate(train.names)}
    near = group_M[[place[name] for name in images.loc[images["flagged"], "nearest"]]]
    subjects = subjects_table(people_of(train), members_G, others_T, found[f"{view}/train"], near)
    subjects["nearest_image"] = [samples.names[i] for i in subjects["nearest_image"]]
    return Judged(summary, images, subjects)


def check_tasks(
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    samples: Stack,
    train: Stack,
    test: Stack,
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
    for split, stack in (("train", train), ("test", test)):
        known = found.get(f"{split}/known")
        if known is None:
            right = not known_slices(stack)
        else:
            right = len(known.index) == len(known_slices(stack)) and known.index.min() >= 0
            right &= known.index.max() < len(samples) and 0 <= known.variant.min() <= known.variant.max() < kinds
        if not right:
            raise ValueError("audit: found a search for other people's tumors. Run the audit from its first step.")
    for name in names:
        one = found[f"{name}/train"]
        turned = 0 <= one.variant.min() <= one.variant.max() < kinds
        if len(one.index) != len(samples) or one.index.max() >= len(train) or not turned:
            raise ValueError(f"audit: found a search of other images in {name}. Run the audit from its first step.")
    by_train = [found[f"{name}/train"] for name in names]
    by_train += [null[f"{name}/{kind}"] for name in names for kind in ("train", "test")]
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
    check_tasks(found, null, calibration, audit, samples, train, test)
    detector, names = Detector.of(calibration), calibration["views"]
    score_N, view_N = detector.scores(_of_task(found, names, "train"))
    training = people_of(train)
    same = calibration["same_person"]
    named = {name: place for place, name in enumerate([*training, *people_of(test)])}
    real = Real.of(null, names, train, test, audit).without([named[one] for split in same.values() for one in split])
    left_out_R, counted_R = real.left_out(detector.rate), real.owner >= real.training
    if len(np.unique(real.owner[counted_R])) < audit["least_subjects"]:
        counted_R[:] = True  # else the unseen: they are as far from the training subjects as those of a clean set
    chance = Chance.of(detector, left_out_R[counted_R], real.owner[counted_R], len(score_N))
    flagged, copies = int((score_N > detector.threshold).sum()), int((score_N > detector.far).sum())
    shares = sorted({*SHARES, audit["find_share"]})
    recall_K2 = np.array(
        [[one[what]["share"] for what in ("flagged", "far")] for one in calibration["recall"].values()]
    )
    power = dict(zip(calibration["recall"], chance.power(*recall_K2.T, shares, LEVEL).tolist(), strict=True))
    view = audit["view"]
    members = membership(*_scores(found, null, view))
    told = disclosure(found, samples, train, test, audit)
    filtered = samples.meta["source"].get("filtered", {})
    dropped, before = filtered.get("dropped", 0), filtered.get("flagged", 0)
    findings = Findings(
        flagged, copies, chance, members, told, share(min(max(dropped, before), len(samples)), len(samples)),
        {kind: values[shares.index(audit["find_share"])] for kind, values in power.items()},
        {"training": len(training), "test": len(people_of(test)) - len(same["test"])}, len(same["test"]),
    )  # fmt: skip
    fails, unclear = failures(findings, audit), limits(findings, audit)
    failure = samples.meta["source"].get("failure")
    if failure:
        fails, unclear = [], [f"there are no images: the training of the generator failed ({failure})"]
    one = found[f"{view}/train"]
    return {
        "format": FORMAT,
        **about,
        "count": len(score_N),
        "view": view,
        "variants": audit["variants"],
        "false_positive_rate": detector.rate,
        "thresholds": {"score": detector.threshold, "far": detector.far},
        "memorized": share(flagged, len(score_N)),
        "copies": share(copies, len(score_N)),
        "seen_in": {name: int((view_N[score_N > detector.threshold] == i).sum()) for i, name in enumerate(names)},
        "chance": {"flagged": float(chance.of_flags(flagged)), "copies": float(chance.of_copies(copies))},
        "dropped": dropped,
        "flagged_before": before,
        "filter_drops": int(_to_drop(found, calibration).sum()),
        "limit": audit["limit"],
        "recall": {kind: r["flagged"]["share"] for kind, r in calibration["recall"].items()},
        "power": {kind: dict(zip(map(str, shares), values, strict=True)) for kind, values in power.items()},
        "correlation": _quantiles(one.r[:, 0]),
        "correlation_of_test": _quantiles(null[f"{view}/test"].r[:, 0]),
        "membership": members,
        "disclosure": told,
        "verdict": FAIL if fails else CANNOT_SAY if unclear else PASS,
        "reasons": fails or unclear,
        **({"failure": failure} if failure else {}),
    }


# ------------------------------------------------------------------------------------------------ pieces
def _of_task(found: Mapping[str, Found], names: Sequence[str], task: str) -> dict[str, Found]:
    return {name: found[f"{name}/{task}"] for name in names}


def _scores(found: Mapping[str, Found], null: Mapping[str, Found], view: str) -> tuple[np.ndarray, np.ndarray]:
    """(of the training subjects, of the test subjects): membership.py."""
    members_G = scores(found[f"{view}/train"], null[f"{view}/train"])
    return members_G, scores(found[f"{view}/test"], null[f"{view}/seen"])


def _to_drop(found: Mapping[str, Found], calibration: Mapping) -> np.ndarray:
    """bool (N,): which images a filter drops."""
    detector = Detector.of(calibration, "filter")
    return detector.flags(_of_task(found, list(detector.usual), "train"))


def _quantiles(r_N: np.ndarray) -> dict[str, float]:
    return {name: float(np.quantile(r_N, q)) for name, q in (("median", 0.5), ("q99", 0.99), ("largest", 1.0))}


def _images_table(
    samples: Stack,
    train: Stack,
    found: Mapping[str, Found],
    detector: Detector,
    drop_N: np.ndarray,
    audit: Mapping,
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
            "filter_drops": drop_N,
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
    return found.r[:, 0], statistics(found)["standing_out"], found.index[:, 0], found.variant[:, 0]
