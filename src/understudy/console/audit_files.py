"""Judges images, from what the searches found to the files of an audit: the rule audit_samples, `understudy audit`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.audit.chain import check_calibration, check_found, check_origin
from understudy.audit.pairs_figure import draw_distributions, draw_pairs
from understudy.audit.recheck import chain_of
from understudy.audit.search_tasks import read_found
from understudy.audit.verdict import judge
from understudy.files.atomic import sha256_of_file, write_json, write_text_atomically
from understudy.files.csv_files import csv_text
from understudy.files.json_forms import Audit, Calibration, Nearest, RealImages
from understudy.files.outside import checked, read_json_as
from understudy.release.privacy_page import privacy_page
from understudy.report.figures import save
from understudy.stack import Stack

OUTPUTS = {
    "summary": "audit.json",
    "images": "memorization.csv, a row for each image",
    "subjects": "a row for each training subject",
    "privacy": "privacy.html, the questions of a data protection officer and of an ethics board",
    "figure": "distributions, .png; .pdf lies beside it",
    "pairs": "the most similar pairs, .png; .pdf lies beside it",
}


@dataclass(frozen=True)
class Judging:
    """The files that a judgement is made from. `audit`: the section of the config."""

    samples: Stack
    train: Stack
    test: Stack
    nearest: Path  # of find_nearest
    calibration: Path  # of calibrate_audit
    real: Path  # of calibrate_audit
    audit: Mapping


def audit_samples(of: Judging, names: Mapping, outputs: Mapping[str, Path]) -> dict:
    """Writes the files of an audit and returns audit.json.

    Args:
        names: dataset, generator; filtered, whether the images are those that a filter left.
        outputs: a file for each of OUTPUTS.
    Raises:
        ValueError: the files do not belong together.
    """
    samples, train, test = of.samples, of.train, of.test
    check_origin(samples, train, test)
    found, about = read_found(of.nearest, Nearest)
    check_found(about, of.nearest, samples, train, test, of.audit)
    null, of_real = read_found(of.real, RealImages)
    check_found(of_real, of.real, None, train, test, of.audit)
    calibration = read_json_as(Calibration, of.calibration, "a calibration. Calibrate again")
    check_calibration(calibration, of.calibration, train, test, of.real, of.audit)
    about = {**names, **chain_of(samples, train, test, of.nearest, of.calibration)}
    judged = judge(samples, train, test, found, null, calibration, of.audit, about)
    title = f"{names['dataset']}, {names['generator']}" + (", filtered" if names["filtered"] else "")
    save(draw_distributions(found, null, calibration, title), outputs["figure"].with_suffix(""))
    save(draw_pairs(samples, train, judged.images, of.audit), outputs["pairs"].with_suffix(""))
    write_text_atomically(outputs["images"], csv_text(judged.images, float_format="%.6g"))
    write_text_atomically(outputs["subjects"], csv_text(judged.subjects))
    summary = judged.summary | {"images_sha256": sha256_of_file(outputs["images"])}
    write_json(outputs["summary"], checked(Audit, summary, str(outputs["summary"]), "an audit"))
    write_text_atomically(outputs["privacy"], privacy_page(summary))
    return summary
