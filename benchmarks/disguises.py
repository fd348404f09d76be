"""What the audit sees: recall of copies in every disguise, false alarms of people whom nobody has seen.

    python benchmarks/disguises.py --train TRAIN.zip --test TEST.zip --calibrate 30 --output benchmarks/disguises.md

The first --calibrate test subjects calibrate; the others are the images of a generator that copies nobody. The audit
judges them. The last column is of these people's images in the same disguises: a change that a generator makes to
everybody is no sign of a copy. Sets with copies among them: clean_sets.py and privacy_games.py. Two stacks of the rule
slice_volumes are enough. Ends with 1 where a kind is found in less than --least, where the realised rate of false
alarms differs from the stated one by more than its 95 % interval, or where the images of people whom nobody has seen
fail.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from understudy.audit.calibrate import calibrate
from understudy.audit.detector import Detector, share
from understudy.audit.planted import KINDS, planted
from understudy.audit.search import Found, Images
from understudy.audit.search_tasks import calibration_tasks, further_tasks, generator_tasks
from understudy.audit.verdict import FAIL, summary_of
from understudy.config.audit import Audit
from understudy.run.machine import use_device
from understudy.stack import Stack, StackWriter

BLOCK, QUERIES = 512, 128  # references and queries at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--calibrate", type=int, required=True, help="test subjects that calibrate")
    parser.add_argument("--images", type=int, default=400, help="of a set that is judged")
    parser.add_argument("--planted", type=int, default=60)
    parser.add_argument("--least", type=float, default=0.95)
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device, began = use_device(a.device, 0), time.perf_counter()
    audit = Audit().model_dump() | {"planted": a.planted, "null_images": 400, "details": 0}
    train, test = Stack.open(a.train), Stack.open(a.test)
    host, people = np.random.default_rng(0), list(dict.fromkeys(test.subjects()))
    with tempfile.TemporaryDirectory() as folder:
        known = some_subjects(Path(folder, "known.zip"), test, people[: a.calibrate])
        unseen = some_subjects(Path(folder, "unseen.zip"), test, people[a.calibrate :])
        null = searched(calibration_tasks(train, known, audit, 0, 1), device)
        calibration = calibrate(null, train, known, audit)
        places = np.sort(host.choice(len(unseen), min(a.images, len(unseen)), replace=False))
        clean = unseen.read(places.tolist())

        samples = nobody(Path(folder, "samples.zip"), train, clean)
        found = searched(generator_tasks(samples, train, known, audit, 1), device)
        alone = summary_of(samples, train, known, found, null, calibration, audit, {})
        detector = Detector.of(calibration)
        disguised = alarms(detector, planted(*strangers(clean, a.planted), 1), train, audit, device)
    score_N, _ = detector.scores({view: found[f"{view}/train"] for view in calibration["views"]})
    realised = share(int((score_N > detector.threshold).sum()), len(score_N))
    copies = {view: null[f"{view}/planted"] for view in calibration["views"]}
    lines = list(table(train, a, calibration, realised, alone, detector.scores(copies), disguised))
    print("\n".join(lines), f"\n{time.perf_counter() - began:.0f} s", sep="\n")
    if a.output:
        a.output.write_text("\n".join(lines) + "\n")
    missed = [kind for kind, one in calibration["recall"].items() if one["flagged"]["share"] < a.least]
    off = not realised["low"] <= detector.rate <= realised["high"]
    print(f"found too seldom: {missed}; people whom nobody has seen: {alone['verdict']}")
    sys.exit(bool(missed or off or alone["verdict"] == FAIL))


def strangers(clean_NCHW: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(images to disguise, images of others into whom parts are put), of as many people as there are."""
    places = np.linspace(0, len(clean_NCHW) - 1, count).round().astype(int)
    return clean_NCHW[places], np.roll(clean_NCHW[places], count // 2, 0)


def alarms(detector: Detector, made: Mapping[str, np.ndarray], train: Stack, audit: dict, device) -> dict[str, float]:
    """{kind: share flagged}"""
    images = Images.in_memory(np.concatenate(list(made.values())), "")
    found = searched(further_tasks(images, train, audit, audit["views"], 1), device)
    flags = np.split(detector.flags(found), len(made))
    return {kind: float(flags_N.mean()) for kind, flags_N in zip(made, flags, strict=True)}


def table(train: Stack, a, calibration: dict, realised: dict, alone: dict, copies: tuple, disguised: dict[str, float]):
    subjects, height = len(set(train.subjects())), train.meta["height"]
    rate = calibration["detector"]["rate"]
    yield (
        f"{subjects} training subjects, {a.calibrate} to calibrate on, {height} x {height} pixels, stated rate "
        f"{rate:.2%}."
    )
    yield (
        f"People whom nobody has seen: {realised['share']:.2%} flagged ({realised['low']:.2%} to "
        f"{realised['high']:.2%}), verdict {alone['verdict']}, membership AUC {alone['membership']['auc']:.2f}."
    )
    yield f"In a disguise: {np.mean(list(disguised.values())):.2%} of {a.planted * len(disguised)} images flagged."
    yield ""
    yield "| planted copy | found | beyond all real images | seen in | strangers so disguised, flagged |"
    yield "| --- | --- | --- | --- | --- |"
    for (kind, one), views_n in zip(calibration["recall"].items(), np.split(copies[1], len(KINDS)), strict=True):
        seen = ", ".join(calibration["views"][place] for place in np.argsort(-np.bincount(views_n))[:2])
        cells = [kind.replace("_", " "), f"{one['flagged']['share']:.2f}", f"{one['far']['share']:.2f}", seen]
        yield "| " + " | ".join([*cells, f"{disguised[kind]:.2f}"]) + " |"


def searched(tasks, device) -> dict:
    return {
        name: Found.joined(
            [
                task.search(range(first, min(first + QUERIES, task.queries.count)), device, BLOCK)
                for first in range(0, task.queries.count, QUERIES)
            ]
        )
        for name, task in tasks.items()
    }


def some_subjects(path: Path, stack: Stack, names: Sequence[str]) -> Stack:
    """The slices of some subjects that pass the slice rule."""
    meta = {key: value for key, value in stack.meta.items() if key not in ("count", "format")}
    meta["subjects"] = {name: meta["subjects"][name] for name in names}
    meta["lineage"] = [about["identity"] for about in meta["subjects"].values()]
    with StackWriter(path, meta) as writer:
        for i in stack.included():
            if stack.subjects()[i] in meta["subjects"]:
                writer.add_png(stack.names[i], stack.checked_png(i))
    return Stack.open(path)


def nobody(path: Path, train: Stack, x_NCHW: np.ndarray) -> Stack:
    """As a generator's images."""
    meta = {key: value for key, value in train.meta.items() if key not in ("count", "format", "subjects")}
    with StackWriter(path, meta) as writer:
        for i, x_CHW in enumerate(x_NCHW):
            writer.add(f"{i:06d}.png", np.ascontiguousarray(x_CHW))
    return Stack.open(path)


if __name__ == "__main__":
    main()
