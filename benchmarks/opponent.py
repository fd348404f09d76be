"""Recall of the audit, of a published detector (a learned embedding), and of the audit with that as one more view.

    python benchmarks/opponent.py --train TRAIN.zip --test TEST.zip --calibrate 30 --write

The opponent is the detector of Dar et al., trained on the same training images (contrastive_encoder.py says what is
theirs and what is ours): an image is a copy where Pearson's correlation of its embedding with that of a training image
is above a threshold. Theirs is the 95th percentile of each training image's correlation with the nearest validation
image; here it is that of the audit's rate of false alarms, so that both are compared at the same rate. `wider` is the
same encoder, trained on more variations: it says whether their few are to blame for what it misses.

The first --calibrate test subjects set every threshold; the others are people whom nobody has seen. Disguises and
people are those of disguises.py and further_disguises.py. The phantoms are those of
`phantom: {subjects: 100, size: 64, seed: 1}` with `test_subjects: 60` and `draw: seed`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import further_disguises
import numpy as np
import torch
from contrastive_encoder import BATCH, VARIATIONS, codes, published, trained
from disguises import searched, some_subjects
from torch import nn

from understudy.audit import planted as usual
from understudy.audit.calibrate import BOOTSTRAPS
from understudy.audit.detector import CONFIDENCE, place_at
from understudy.audit.people import Real
from understudy.audit.resumable_search import Task
from understudy.audit.search import Found, Images
from understudy.audit.search_tasks import calibration_tasks, further_tasks
from understudy.audit.views import ALL, View, views_of
from understudy.config.audit import Audit
from understudy.run.machine import use_device
from understudy.stack import Stack

PERCENTILE = 95  # of the published threshold
SEEN = "people whom nobody has seen"
SETS = ("test", "train", "planted", "seen", "unseen", "further")  # of images that are searched for
SELDOM = 0.95  # recall below which a further disguise has a row
Judge = Callable[[str], np.ndarray]  # one of SETS -> bool (N,), which images are copies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--calibrate", type=int, required=True, help="test subjects that calibrate")
    parser.add_argument("--images", type=int, default=400, help="of people whom nobody has seen")
    parser.add_argument("--planted", type=int, default=60, help="copies of each kind that an audit plants")
    parser.add_argument("--copies", type=int, default=40, help="of each further kind")
    parser.add_argument("--write", action="store_true", help="the table, benchmarks/opponent.md")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device, began = use_device(a.device, 0), time.perf_counter()
    audit = Audit().model_dump() | {"planted": a.planted, "null_images": 400}
    train, test = Stack.open(a.train), Stack.open(a.test)
    names = [view.name for view in views_of(audit["views"], train.channels)]
    x_NCHW, encoders, losses = train.read(range(len(train))), {}, {}
    for name, (vary, epochs) in VARIATIONS.items():
        encoders[name], losses[name] = trained(x_NCHW, vary, epochs, device)
        print(f"{name}: loss {losses[name]:.3f} after {time.perf_counter() - began:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        people = list(dict.fromkeys(test.subjects()))
        known = some_subjects(Path(folder, "known.zip"), test, people[: a.calibrate])
        unseen = some_subjects(Path(folder, "unseen.zip"), test, people[a.calibrate :])
        further = further_copies(train, unseen, a.copies)
        places = np.random.default_rng(0).choice(len(unseen), min(a.images, len(unseen)), replace=False)
        owner_N = np.array(unseen.subjects())[np.sort(places)]
        queries = {"unseen": unseen.read(np.sort(places).tolist()), "further": np.concatenate(list(further.values()))}
        tasks = all_tasks(train, known, queries, audit)
        for name, encoder in encoders.items():
            tasks |= tasks_of_embedding(name, encoder, tasks, device)
        found = searched(tasks, device)
        rate, judges = audit["false_positive_rate"], {}
        judges["ours"] = joint(found, Real.of(found, names, train, known, audit), rate)
        for name in encoders:
            r_N = np.sort(found[f"{name}/test"].r[:, 0])  # of people whom the encoder has not seen
            judges[name] = above(found, name, r_N[-place_at(len(r_N), rate)])
            judges[f"ours with {name}"] = joint(found, Real.of(found, [*names, name], train, known, audit), rate)
    as_published = above(found, "theirs", np.percentile(found["theirs/seen"].r[:, 0], PERCENTILE))
    alarms = [of_unseen(judge("unseen"), owner_N) for judge in (as_published, *judges.values())]
    lines = [*head(train, a, rate, losses, alarms[0]), "", *table(judges, alarms[1:], list(further))]
    print("\n".join(lines), f"\n{time.perf_counter() - began:.0f} s", sep="\n")
    if a.write:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


# ------------------------------------------------------------------------------------------------ the images
def further_copies(train: Stack, others: Stack, copies: int) -> dict[str, np.ndarray]:
    """{kind: uint8 (N, C, H, W)}: the disguises that no audit plants, and the variations that the opponent learned."""
    places = np.sort(np.random.default_rng(0).choice(len(train), copies, replace=False)).tolist()
    x_NCHW, y_MCHW = train.read(places), others.read(range(0, len(others), 7))
    made = usual.planted(x_NCHW, y_MCHW, 1, further_disguises.KINDS, further_disguises.OF_TUMORS)
    varied_NCHW = published(torch.from_numpy(x_NCHW).float() / 255, torch.Generator().manual_seed(1))
    return {"a variation that theirs learned": (255 * varied_NCHW).round().byte().numpy()} | made


# ------------------------------------------------------------------------------------------------ the searches
def all_tasks(train: Stack, known: Stack, queries: Mapping[str, np.ndarray], audit: Mapping) -> dict[str, Task]:
    """By name, {view}/{one of SETS}."""
    tasks = calibration_tasks(train, known, audit, 0, 1)
    for name, x_NCHW in queries.items():
        own = further_tasks(Images.in_memory(x_NCHW, name), train, audit, audit["views"], 1)
        tasks |= {f"{view}/{name}": task for view, task in own.items()}
    return tasks


def tasks_of_embedding(name: str, encoder: nn.Module, tasks: Mapping[str, Task], device) -> dict[str, Task]:
    """The tasks of the view `all`, which has the images as they are, with their embeddings in their place: the audit's
    own search finds the nearest."""
    view, own = View(name, (0,)), {}
    for one in SETS:
        task = tasks[f"{ALL}/{one}"]
        queries, references = (embedded(name, encoder, images, device) for images in (task.queries, task.references))
        own[f"{name}/{one}"] = replace(task, queries=queries, references=references, view=view, variants="none")
    return own


def embedded(name: str, encoder: nn.Module, images: Images, device) -> Images:
    """The embeddings as grey images of a row: a correlation does not depend on offset and scale, and rounding to 256
    levels changes it by less than 1e-3."""
    z_ND = codes(encoder, images.read(range(images.count)), device)
    low_N1, high_N1 = z_ND.min(1, keepdims=True), z_ND.max(1, keepdims=True)
    x_NCHW = (255 * (z_ND - low_N1) / (high_N1 - low_N1)).round().astype(np.uint8)[:, None, None]
    key = f"{name} {images.key}"
    return replace(images, read=lambda places: x_NCHW[list(places)], shape=x_NCHW.shape[1:], key=key)


# ------------------------------------------------------------------------------------------------ who judges
def joint(found: Mapping[str, Found], real: Real, rate: float) -> Judge:
    """The audit's detector, with the views that `real` has."""
    detector = real.learned(rate)
    return lambda one: detector.flags({view: found[f"{view}/{one}"] for view in detector.usual})


def above(found: Mapping[str, Found], name: str, threshold: float) -> Judge:
    """A correlation of embeddings."""
    return lambda one: found[f"{name}/{one}"].r[:, 0] > threshold


# ------------------------------------------------------------------------------------------------ the table
def head(train: Stack, a, rate: float, losses: Mapping[str, float], as_published: str) -> Iterator[str]:
    height, width = train.shape_CHW[1:]
    yield (
        f"{len(set(train.subjects()))} training subjects, {a.calibrate} to calibrate on, {height} x {width} pixels, "
        f"stated rate {rate:.2%}; {a.planted} copies of each planted kind, {a.copies} of each further one."
    )
    told = ", ".join(f"{name} {loss:.3f} after {VARIATIONS[name][1]} epochs" for name, loss in losses.items())
    yield f"Loss of the encoders: {told}; of a guess {np.log(2 * BATCH - 1):.2f}."
    yield (
        f"With the published threshold, theirs would flag {as_published} of the images of {SEEN}. Intervals: 95 %, "
        "people resampled."
    )


def table(judges: Mapping[str, Judge], alarms: list[str], further: list[str]) -> Iterator[str]:
    yield f"| images | {' | '.join(judges)} |"
    yield f"| --- |{' --- |' * len(judges)}"
    yield row(SEEN, alarms)
    planted_JKN, further_JKN = (
        np.stack([judge(one).reshape(kinds, -1) for judge in judges.values()])
        for one, kinds in (("planted", len(usual.KINDS)), ("further", len(further)))
    )
    for place, kind in enumerate(usual.KINDS):
        yield recall(kind, planted_JKN[:, place])
    yield recall("all planted", planted_JKN)
    yield recall(further[0], further_JKN[:, 0])
    share_K = further_JKN[0].mean(1)  # ours
    seldom = [place for place in np.argsort(-share_K, kind="stable") if place and share_K[place] < SELDOM]
    for place in seldom:
        yield recall(further[place], further_JKN[:, place])
    others = [place for place in range(1, len(further)) if place not in seldom]
    yield recall(f"the other {len(others)} further disguises", further_JKN[:, others])
    yield recall("all further", further_JKN[:, 1:])


def of_unseen(flags_N: np.ndarray, owner_N: np.ndarray) -> str:
    """Slices of a person are alike, so people are drawn anew, not slices (bootstrap). owner_N: whose each image is."""
    people, place_N = np.unique(owner_N, return_inverse=True)
    flagged_P, images_P = np.bincount(place_N, flags_N), np.bincount(place_N)
    drawn_BP = np.random.default_rng(0).integers(len(people), size=(BOOTSTRAPS, len(people)))
    share_B = flagged_P[drawn_BP].sum(1) / images_P[drawn_BP].sum(1)
    low, high = np.quantile(share_B, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return f"{flags_N.mean():.2%} ({low:.2%} to {high:.2%})"


def recall(kind: str, flags_J: np.ndarray) -> str:
    return row(kind.replace("_", " "), [f"{flags.mean():.2f}" for flags in flags_J])


def row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
