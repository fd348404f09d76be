"""Judges a generator's images: which are copies of training images, how sure that is, and whose they are."""

import argparse
import json
from pathlib import Path

from understudy.audit.chain import check_manifest
from understudy.console.audit_files import OUTPUTS, Judging, audit_samples
from understudy.files.outside import json_argument
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dataset", "generator"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--samples", required=True, type=Path, help="stack of synthetic images")
    parser.add_argument("--train", required=True, type=Path, help="stack of the training subjects")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--nearest", required=True, type=Path, help="of find_nearest")
    parser.add_argument("--calibration", required=True, type=Path, help="of calibrate_audit")
    parser.add_argument("--real", required=True, type=Path, help="of calibrate_audit")
    parser.add_argument("--audit", required=True, type=json_argument, help="section `audit` of the config, as JSON")
    parser.add_argument("--filtered", action="store_true", help="the images are those that a filter left")
    for name, about in OUTPUTS.items():
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"output: {about}")
    a = parser.parse_args()
    with named_os_errors():
        samples, train, test = (Stack.open(path) for path in (a.samples, a.train, a.test))
        check_manifest(samples)
        of = Judging(samples, train, test, a.nearest, a.calibration, a.real, a.audit)
        names = {"dataset": a.dataset, "generator": a.generator, "filtered": a.filtered}
        summary = audit_samples(of, names, {name: getattr(a, name) for name in OUTPUTS})
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    run(main)
