"""What the audit sees where there are few people: recall of copies in every disguise, leaving subjects out.

    python benchmarks/disguises_leaving_out.py --stacks TRAIN.zip TEST.zip --output benchmarks/disguises_leaving_out.md

The subjects of all stacks are put together. In each of --partitions partitions, --references of them are the training
subjects. Each of the others is left out in turn: the threshold comes from everybody else, the one who is left out says
how many false alarms there really are, and copies of training images are put in disguise and looked for. Stacks of the
rule slice_volumes are enough. Ends with 1 where a disguise is found in less than --least.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from disguises import searched, some_subjects

from understudy.audit.detector import CONFIDENCE
from understudy.audit.people import Real
from understudy.audit.planted import KINDS
from understudy.audit.search_tasks import calibration_tasks
from understudy.audit.views import views_of
from understudy.config.audit import Audit
from understudy.run.machine import use_device
from understudy.stack import Stack, StackWriter

BOOTSTRAPS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=Path, nargs="+", required=True)
    parser.add_argument("--partitions", type=int, default=5)
    parser.add_argument("--references", type=int, default=6, help="training subjects")
    parser.add_argument("--planted", type=int, default=40, help="copies of each kind in a partition")
    parser.add_argument("--least", type=float, default=0.95)
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device, began = use_device(a.device, 0), time.perf_counter()
    audit = Audit().model_dump() | {"planted": a.planted, "null_images": 400}
    host, alarms, found = np.random.default_rng(0), {}, {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        everybody = together(Path(folder, "all.zip"), [Stack.open(path) for path in a.stacks])
        people = list(everybody.meta["subjects"])
        names = [view.name for view in views_of(audit["views"], everybody.channels)]
        for i in range(a.partitions):
            order = [people[place] for place in host.permutation(len(people))]
            chosen = {"train": sorted(order[: a.references]), "test": sorted(order[a.references :])}
            train, test = (
                some_subjects(Path(folder, f"{split}{i}.zip"), everybody, own) for split, own in chosen.items()
            )
            null = searched(calibration_tasks(train, test, audit, i, 1), device)
            copies = {view: null[f"{view}/planted"] for view in names}
            real = Real.of(null, names, train, test, audit)
            for place, left_out in enumerate(chosen["test"], start=a.references):
                detector = real.without([place]).learned(audit["false_positive_rate"])
                flags_N = detector.scores(real.rows(real.owner == place).found)[0] > detector.threshold
                alarms.setdefault(left_out, []).append((int(flags_N.sum()), len(flags_N)))
                by_kind = np.split(detector.scores(copies)[0] > detector.threshold, len(KINDS))
                for kind, flags_n in zip(KINDS, by_kind, strict=True):
                    found[kind].append(float(flags_n.mean()))
            print(f"partition {i + 1} of {a.partitions}: {time.perf_counter() - began:.0f} s", flush=True)
    lines = list(table(a, everybody, audit, alarms, found))
    print("\n".join(lines))
    if a.output:
        a.output.write_text("\n".join(lines) + "\n")
    sys.exit(any(np.mean(shares) < a.least for shares in found.values()))


def table(a, everybody: Stack, audit: dict, alarms: dict, found: dict):
    by_person_S2 = np.array([np.sum(counts, 0) for counts in alarms.values()])
    drawn_BS = np.random.default_rng(0).integers(len(by_person_S2), size=(BOOTSTRAPS, len(by_person_S2)))
    counts_B2 = by_person_S2[drawn_BS].sum(1)
    low, high = np.quantile(counts_B2[:, 0] / counts_B2[:, 1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    flags, images = by_person_S2.sum(0)
    height, width = everybody.shape_CHW[1:]
    yield (
        f"{len(everybody.meta['subjects'])} subjects, {len(everybody)} images of {height} x {width} pixels; "
        f"{a.partitions} partitions with {a.references} training subjects, each of the others left out in turn; stated "
        f"rate {audit['false_positive_rate']:.2%}."
    )
    yield f"Subjects who are left out: {flags / images:.2%} flagged ({low:.2%} to {high:.2%}, over subjects)."
    yield ""
    yield "| planted copy | found | least in a partition |"
    yield "| --- | --- | --- |"
    for kind, shares in found.items():
        yield f"| {kind.replace('_', ' ')} | {np.mean(shares):.2f} | {min(shares):.2f} |"


def together(path: Path, stacks: list[Stack]) -> Stack:
    """The slices that pass the slice rule, of all subjects."""
    first = stacks[0]
    meta = {key: value for key, value in first.meta.items() if key not in ("count", "format")}
    meta["subjects"] = {name: about for stack in stacks for name, about in stack.meta["subjects"].items()}
    meta["lineage"] = [about["identity"] for about in meta["subjects"].values()]
    with StackWriter(path, meta) as writer:
        for stack in stacks:
            for i in stack.included():
                writer.add_png(stack.names[i], stack.checked_png(i))
    return Stack.open(path)


if __name__ == "__main__":
    main()
