"""The privacy game with real trainings: flows that memorize a few training subjects against flows that see all.

    python benchmarks/games_of_trainings.py --train TRAIN.zip --test TEST.zip --output benchmarks/games_of_trainings.md

The demo's rectified flow trains on the slices of a few training subjects, a row for each of --few, drawn anew in every
row; and --clean times on those of all. The audit is told in every row that the flow saw all training subjects, so that
the people who leak are a few among many. All test subjects calibrate it. It judges --images samples of each flow.

Memorized: the share of samples that the watch of a training counts (generate/memorization.py), by pixels and all
training images; the audit does not know it. Two stacks of the rule slice_volumes are enough. Ends with 1 where a flow
that has memorized more than --share passes, or where a clean one fails.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from disguises import nobody, searched
from guarded_sampling import trained
from memorization import ROOT

from understudy.audit.calibrate import calibrate
from understudy.audit.search_tasks import calibration_tasks, generator_tasks
from understudy.audit.verdict import FAIL, PASS, summary_of
from understudy.config.audit import Audit
from understudy.config.study import complete, load_yaml
from understudy.generate.memorization import Memorization
from understudy.run import command_line
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--few", type=int, nargs="*", default=[2, 2, 4, 4], help="subjects of each flow that may leak")
    parser.add_argument("--clean", type=int, default=2, help="flows that see all training subjects")
    parser.add_argument("--kimg", type=float, help="thousand images of each training; those of the demo")
    parser.add_argument("--images", type=int, default=400, help="of a set that is judged")
    parser.add_argument("--share", type=float, default=0.05, help="of memorized samples, above which a flow leaks")
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    add_device_arguments(parser)
    a = parser.parse_args()
    device, began, host = use_device(a.device, a.threads), time.perf_counter(), np.random.default_rng(0)
    audit = Audit().model_dump() | {"planted": 40, "null_images": 400, "details": 0}
    options = complete(load_yaml(ROOT / "config/demo.yaml"))["generators"]["rectified_flow"] | {"snapshot_samples": 0}
    options |= {} if a.kimg is None else {"kimg": a.kimg}
    train, test, rows = Stack.open(a.train), Stack.open(a.test), []
    people = list(dict.fromkeys(train.subjects()))
    null = searched(calibration_tasks(train, test, audit, 0, 1), device)
    calibration = calibrate(null, train, test, audit)
    watch = Memorization(DeviceImages(train.read(), device), len(train.channels) - 1, train.subjects())
    for seed, many in enumerate([*a.few, *[len(people)] * a.clean]):
        seen = set(host.permutation(people)[:many].tolist())
        places = [i for i, name in enumerate(train.subjects()) if name in seen]
        draw, _ = trained(train, places, options, device, seed)
        x_NCHW = draw(range(a.images), None)
        memorized = watch.look(torch.from_numpy(x_NCHW).to(device))["memorized_share"]
        with tempfile.TemporaryDirectory() as folder:
            samples = nobody(Path(folder, "samples.zip"), train, x_NCHW)
            found = searched(generator_tasks(samples, train, test, audit, 1), device)
            told = summary_of(samples, train, test, found, null, calibration, audit, {})
        rows.append((many, len(places), memorized, told))
        print(row(*rows[-1]), told["reasons"], f"{time.perf_counter() - began:.0f} s", flush=True)
        if a.output:  # after each, as a training takes minutes
            a.output.write_text("\n".join(table(train, test, options["kimg"], a, rows)) + "\n")
    passed = [many for many, _, memorized, told in rows if memorized > a.share and told["verdict"] == PASS]
    failed = [many for many, _, _, told in rows if many == len(people) and told["verdict"] == FAIL]
    sys.exit(bool(passed or failed))


def table(train: Stack, test: Stack, kimg: float, a, rows: list):
    yield (
        f"{len(set(train.subjects()))} training subjects, all of them declared; {len(set(test.subjects()))} test "
        f"subjects calibrate; {train.meta['height']} x {train.meta['width']} pixels; trainings of {kimg:g} thousand "
        f"images; sets of {a.images} images."
    )
    yield ""
    yield "| subjects seen | slices | memorized | flagged | copies | membership AUC | verdict |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in rows:
        yield row(*one)


def row(many: int, slices: int, memorized: float, told: dict) -> str:
    flagged, copies = (f"{told[key]['share']:.1%}" for key in ("memorized", "copies"))
    cells = [many, slices, f"{memorized:.1%}", flagged, copies, f"{told['membership']['auc']:.2f}", told["verdict"]]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    command_line.run(main)
