"""Judges a generator's images: which are copies of training images, how sure that is, and whose they are."""

import argparse
import json
from pathlib import Path

from understudy.audit.chain import check_calibration, check_found, check_manifest, check_origin
from understudy.audit.pairs_figure import draw_distributions, draw_pairs
from understudy.audit.recheck import chain_of
from understudy.audit.search_tasks import read_found
from understudy.audit.verdict import judge
from understudy.files.atomic import sha256_of_file, write_json, write_text_atomically
from understudy.files.csv_files import csv_text
from understudy.files.json_forms import Audit, Calibration, Nearest, RealImages
from understudy.files.outside import checked, json_argument, read_json_as
from understudy.release.privacy_page import privacy_page
from understudy.report.figures import save
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
    for name, about in (
        ("summary", "audit.json"),
        ("images", "memorization.csv, a row for each image"),
        ("subjects", "a row for each training subject"),
        ("privacy", "privacy.html, the questions of a data protection officer and of an ethics board"),
        ("figure", "distributions, .png; .pdf lies beside it"),
        ("pairs", "the most similar pairs, .png; .pdf lies beside it"),
    ):
        parser.add_argument(f"--{name}", required=True, type=Path, help=f"output: {about}")
    a = parser.parse_args()
    with named_os_errors():
        samples, train, test = (Stack.open(path) for path in (a.samples, a.train, a.test))
        check_manifest(samples)
        check_origin(samples, train, test)
        found, about = read_found(a.nearest, Nearest)
        check_found(about, a.nearest, samples, train, test, a.audit)
        null, of_real = read_found(a.real, RealImages)
        check_found(of_real, a.real, None, train, test, a.audit)
        calibration = read_json_as(Calibration, a.calibration, "a calibration. Calibrate again")
        check_calibration(calibration, a.calibration, train, test, a.real, a.audit)
        names = {"dataset": a.dataset, "generator": a.generator, "filtered": a.filtered}
        about = names | chain_of(samples, train, test, a.nearest, a.calibration)
        judged = judge(samples, train, test, found, null, calibration, a.audit, about)
        title = f"{a.dataset}, {a.generator}" + (", filtered" if a.filtered else "")
        save(draw_distributions(found, null, calibration, title), a.figure.with_suffix(""))
        save(draw_pairs(samples, train, judged.images, a.audit), a.pairs.with_suffix(""))
        write_text_atomically(a.images, csv_text(judged.images, float_format="%.6g"))
        write_text_atomically(a.subjects, csv_text(judged.subjects))
        summary = judged.summary | {"images_sha256": sha256_of_file(a.images)}
        write_json(a.summary, checked(Audit, summary, str(a.summary), "an audit"))
        write_text_atomically(a.privacy, privacy_page(summary))
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    run(main)
