"""From what the searches found to a verdict: calibration of a dataset, audit of a generator's images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from understudy.stack import Stack

from . import detector as d
from .membership import membership, scores, subjects_table
from .pair_similarity import mutual_information, patch_distance
from .search import Found
from .views import VARIANTS, turned_array, variant_name

FORMAT = 2


def calibrate(found: Mapping[str, Found], audit: Mapping) -> dict:
    """Thresholds, measured false alarms and the recall of planted copies, by view: calibration.json.

    Raises ValueError where the test images are too few for the rate.
    """
    views = {}
    for view in audit["views"]:
        test, train = found[f"{view}/test"], found[f"{view}/train"]
        flagged, sure = d.at_rate(test, audit["false_positive_rate"]), d.beyond_all(test, train)
        kinds = [task.split("/")[2] for task in found if task.startswith(f"{view}/planted/")]
        planted = {kind: found[f"{view}/planted/{kind}"] for kind in kinds}
        views[view] = {
            "detector": asdict(flagged),
            "beyond_all": asdict(sure),
            "false_alarms": {
                "test": d.share(int(flagged.flags(test).sum()), len(test.r)),
                "train": d.share(int(flagged.flags(train).sum()), len(train.r)),
            },
            "recall": {k: d.share(int(flagged.flags(one).sum()), len(one.r)) for k, one in planted.items()},
        }
    return {"format": FORMAT, "view": audit["view"], "views": views, "options": dict(audit)}


@dataclass(frozen=True)
class Judged:
    summary: dict  # audit.json
    images: pd.DataFrame  # a row for each image, the most similar first
    subjects: pd.DataFrame


def judge(
    samples: Stack,
    train: Stack,
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    about: Mapping,
) -> Judged:
    """The audit of one stack of synthetic images. `about`: dataset, generator, filtered, and the SHA-256 of what the
    audit was made from."""
    view = audit["view"]
    check_tasks(found, null, calibration, audit, len(samples), len(train))
    here, one = calibration["views"][view], found[f"{view}/train"]
    flags_N, copies_N = d.Detector(**here["detector"]).flags(one), d.Detector(**here["beyond_all"]).flags(one)
    groups = _groups(train)
    members_G, others_T = _scores(found, null, view)
    names = list(dict.fromkeys(train.subjects()))
    subjects = subjects_table(names, members_G, others_T, one, groups[one.index[flags_N, 0]])
    subjects["nearest_image"] = [samples.names[i] for i in subjects["nearest_image"]]
    summary = summary_of(train, found, null, calibration, audit, about)
    return Judged(summary, _images_table(samples, train, found, flags_N, copies_N, audit), subjects)


def check_tasks(
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    images: int,
    places: int,
) -> None:
    """Raises ValueError where a search is missing, or is not one of `images` images among `places` others."""
    view = audit["view"]
    needed = [(found, f"{name}/train") for name in audit["views"]] + [(found, f"{view}/test")]
    needed += [(null, f"{view}/{kind}") for kind in ("train", "test", "seen")]
    if missing := [task for where, task in needed if task not in where]:
        raise ValueError(f"audit: found no search {missing[0]}, expected one. Run the audit again from its first step.")
    if missing := set(audit["views"]) - calibration["views"].keys():
        raise ValueError(f"audit: found no calibration of {min(missing)}, expected one. Calibrate again.")
    kinds = len(VARIANTS[audit["variants"]])
    for name in audit["views"]:
        one = found[f"{name}/train"]
        turned = 0 <= one.variant.min() <= one.variant.max() < kinds
        if len(one.index) != images or one.index.max() >= places or not turned:
            raise ValueError(f"audit: found a search of other images in {name}. Run the audit from its first step.")
    by_train = [found[f"{name}/train"] for name in audit["views"]] + [null[f"{view}/train"], null[f"{view}/test"]]
    by_test = [found[f"{view}/test"], null[f"{view}/seen"]]
    if any(len({len(one.group_r) for one in same}) > 1 for same in (by_train, by_test)):
        raise ValueError("audit: found searches among other subjects. Run the audit from its first step.")


def _scores(found: Mapping[str, Found], null: Mapping[str, Found], view: str) -> tuple[np.ndarray, np.ndarray]:
    """(of the training subjects, of the test subjects): membership.py."""
    members_G = scores(found[f"{view}/train"], null[f"{view}/train"])
    return members_G, scores(found[f"{view}/test"], null[f"{view}/seen"])


def summary_of(
    train: Stack,
    found: Mapping[str, Found],
    null: Mapping[str, Found],
    calibration: Mapping,
    audit: Mapping,
    about: Mapping,
) -> dict:
    """audit.json: a function of what the searches found, so that a release can compute it once more."""
    view = audit["view"]
    check_tasks(found, null, calibration, audit, len(found[f"{view}/train"].index), len(train))
    here, one = calibration["views"][view], found[f"{view}/train"]
    flagged, sure = d.Detector(**here["detector"]), d.Detector(**here["beyond_all"])
    flags_N, copies_N = flagged.flags(one), sure.flags(one)
    identical = here["recall"].get("identical", {"share": 0.0})["share"]
    counts = int(flags_N.sum()), int(copies_N.sum()), len(flags_N)
    reasons = d.verdict(*counts, flagged, sure, audit["limit"], identical)
    return {
        "format": FORMAT,
        **about,
        "count": len(flags_N),
        "view": view,
        "variants": audit["variants"],
        "false_positive_rate": audit["false_positive_rate"],
        "thresholds": {"correlation": flagged.correlation, "ratio": flagged.ratio},
        "memorized": d.share(int(flags_N.sum()), len(flags_N)),
        "copies": d.share(int(copies_N.sum()), len(copies_N)),
        "other_views": {
            name: d.share(int(d.Detector(**v["detector"]).flags(found[f"{name}/train"]).sum()), len(flags_N))
            for name, v in calibration["views"].items()
            if name != view
        },
        "limit": audit["limit"],
        "recall": {kind: r["share"] for kind, r in here["recall"].items()},
        "correlation": _quantiles(one.r[:, 0]),
        "correlation_of_test": _quantiles(null[f"{view}/test"].r[:, 0]),
        "membership": membership(*_scores(found, null, view)),
        "verdict": "fail" if reasons else "pass",
        "reasons": reasons,
    }


def _groups(train: Stack) -> np.ndarray:
    names = train.subjects()
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names])


def _quantiles(r_N: np.ndarray) -> dict[str, float]:
    return {name: float(np.quantile(r_N, q)) for name, q in (("median", 0.5), ("q99", 0.99), ("largest", 1.0))}


def _images_table(
    samples: Stack,
    train: Stack,
    found: Mapping[str, Found],
    flags_N: np.ndarray,
    copies_N: np.ndarray,
    audit: Mapping,
) -> pd.DataFrame:
    """A row for each image; mutual information and patch distance of the `details` most similar ones alone."""
    view, kinds = audit["view"], VARIANTS[audit["variants"]]
    one = found[f"{view}/train"]
    table = pd.DataFrame(
        {
            "image": samples.names,
            "correlation": one.r[:, 0],
            "nearest": [train.names[i] for i in one.index[:, 0]],
            "turned": [variant_name(kinds[v]) for v in one.variant[:, 0]],
            "distance_ratio": d.distance_ratio(one),
            "flagged": flags_N,
            "copy": copies_N,
            **{f"correlation_{v}": found[f"{v}/train"].r[:, 0] for v in audit["views"] if v != view},
        }
    )
    order = np.lexsort((np.arange(len(table)), -table["correlation"], ~flags_N))
    information, distance = np.full(len(table), np.nan), np.full(len(table), np.nan)
    channel = train.channels.index(audit["channel"])
    for i in order[: audit["details"]]:
        x_CHW, y_CHW = turned_array(samples[i], kinds[one.variant[i, 0]]), train[int(one.index[i, 0])]
        information[i] = mutual_information(x_CHW[channel], y_CHW[channel])
        distance[i] = patch_distance(x_CHW[:-1], y_CHW[:-1])
    table["mutual_information_bits"], table["patch_distance"] = information, distance
    return table.iloc[order].reset_index(drop=True)
