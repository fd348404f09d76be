"""How often the audit fails a set in which nobody is copied: people whom no generator has seen, split again and again.

    python benchmarks/clean_sets.py --train TRAIN.zip --test TEST.zip --output benchmarks/clean_sets.md

Test subjects are searched for among the training images once. Then, --partitions times, half of them and the training
subjects calibrate, and --images of the others are judged as a generator's. Prints how many sets had more flags, or more
copies, than the audit lets chance explain (docs/audit.md), beside the stated probability, and the same for sets with
--share of images that are as near to a training image as planted copies. Ends with 1 where clean sets fail in more than
2 %, or others in less than 95 %.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from disguises import searched

from understudy.audit.chance import SURE, Chance
from understudy.audit.detector import share
from understudy.audit.people import Real, people_of
from understudy.audit.planted import KINDS
from understudy.audit.reasons import LEVEL
from understudy.audit.search_tasks import calibration_tasks
from understudy.audit.views import views_of
from understudy.config.audit import Audit
from understudy.run.machine import use_device
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--share", type=float, default=0.05, help="of copies")
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device, began = use_device(a.device, 0), time.perf_counter()
    audit = Audit().model_dump() | {"planted": 40, "null_images": 400}
    train, test = Stack.open(a.train), Stack.open(a.test)
    null, host = searched(calibration_tasks(train, test, audit, 0, 1), device), np.random.default_rng(0)
    names = [view.name for view in views_of(audit["views"], train.channels)]
    planted = {view: null[f"{view}/planted"] for view in names}
    real, training = Real.of(null, names, train, test, audit), len(people_of(train))
    people, failed = np.unique(real.owner[real.owner >= training]), {"clean": 0} | dict.fromkeys(KINDS, 0)
    for _ in range(a.partitions):
        judged_N = np.isin(real.owner, host.permutation(people)[: len(people) // 2])
        known = real.rows(~judged_N)
        detector = known.learned(audit["false_positive_rate"])
        score_N, of_copies = detector.scores(real.found)[0], np.split(detector.scores(planted)[0], len(KINDS))
        clean_n = host.choice(score_N[judged_N], min(a.images, int(judged_N.sum())), replace=False)
        left_out, unseen = known.left_out(detector.rate), known.owner >= training
        seed = int(host.integers(1 << 31))
        chance = Chance.of(detector, left_out[unseen], known.owner[unseen], len(clean_n), seed)
        sets = {"clean": clean_n} | {
            kind: np.concatenate(
                [host.choice(copies, round(a.share * len(clean_n))), clean_n[round(a.share * len(clean_n)) :]]
            )
            for kind, copies in zip(KINDS, of_copies, strict=True)
        }
        for kind, x_n in sets.items():
            flags, copies = int((x_n > detector.threshold).sum()), int((x_n > detector.far).sum())
            failed[kind] += bool(chance.of_flags(flags) < LEVEL or chance.of_copies(copies) < LEVEL)
    lines = [
        f"{len(people)} test subjects, {len(set(train.subjects()))} training subjects, {train.meta['height']} x "
        f"{train.meta['width']} pixels; {a.partitions} partitions; sets of {a.images} images, {a.share:.0%} of them "
        "copies; stated probability that a clean one fails: "
        f"{SURE:.0%}.",
        "",
        "| set | failed | 95 % interval |",
        "| --- | --- | --- |",
        *(row(kind, share(count, a.partitions)) for kind, count in failed.items()),
    ]
    print("\n".join(lines), f"\n{time.perf_counter() - began:.0f} s", sep="\n")
    if a.output:
        a.output.write_text("\n".join(lines) + "\n")
    missed = [kind for kind, count in failed.items() if kind != "clean" and count < 0.95 * a.partitions]
    print(f"failed in less than 95 %: {missed}")
    sys.exit(bool(missed or failed["clean"] > 0.02 * a.partitions))


def row(kind: str, failed: dict) -> str:
    return f"| {kind.replace('_', ' ')} | {failed['share']:.1%} | {failed['low']:.1%} to {failed['high']:.1%} |"


if __name__ == "__main__":
    main()
