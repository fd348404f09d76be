"""Judges a generator's images: which are copies of training images, how sure that is, and whose they are."""

import argparse
import json
from pathlib import Path

from understudy.audit.figure import draw_distributions, draw_pairs
from understudy.audit.judge import judge
from understudy.audit.tasks import read_found
from understudy.core.cli import named_os_errors, run
from understudy.core.files import read_json, write_json, write_text_atomically
from understudy.core.stack import Stack
from understudy.report.figures import save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dataset", "generator"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--samples", required=True, type=Path, help="stack of synthetic images")
    parser.add_argument("--train", required=True, type=Path, help="stack of the training subjects")
    parser.add_argument("--nearest", required=True, type=Path, help="of find_nearest")
    parser.add_argument("--calibration", required=True, type=Path, help="of calibrate_audit")
    parser.add_argument("--real", required=True, type=Path, help="of calibrate_audit")
    parser.add_argument("--audit", required=True, type=json.loads, help="section `audit` of the config, as JSON")
    parser.add_argument("--filtered", action="store_true", help="the images are those that a filter left")
    for name, about in (
        ("summary", "audit.json"),
        ("images", "memorization.csv, a row for each image"),
        ("subjects", "a row for each training subject"),
        ("figure", "distributions, .png; .pdf lies beside it"),
        ("pairs", "the most similar pairs, .png; .pdf lies beside it"),
    ):
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"output: {about}")
    a = parser.parse_args()
    with named_os_errors():
        samples, train = Stack.open(a.samples), Stack.open(a.train)
        found, about = read_found(a.nearest)
        null, _ = read_found(a.real)
        calibration = read_json(a.calibration)
        names = {"dataset": a.dataset, "generator": a.generator, "filtered": a.filtered}
        about = {**names, "samples_sha256": about["samples_sha256"]}
        judged = judge(samples, train, found, null, calibration, a.audit, about)
        title = f"{a.dataset}, {a.generator}" + (", filtered" if a.filtered else "")
        save(draw_distributions(found, null, calibration, title), a.figure.with_suffix(""))
        save(draw_pairs(samples, train, judged.images, a.audit), a.pairs.with_suffix(""))
        write_text_atomically(a.images, judged.images.to_csv(index=False, float_format="%.6g"))
        write_text_atomically(a.subjects, judged.subjects.to_csv(index=False))
        write_json(a.summary, judged.summary)
    print(json.dumps(judged.summary, indent=1))


if __name__ == "__main__":
    run(main)
