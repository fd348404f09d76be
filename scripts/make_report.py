"""Makes results/report.html, one file that a browser opens without a network: the answer for each generator, pictures,
tables, methods, how the generators were treated, failed trainings, cost. It shows images of patients and stays in the
house; with --shareable it has no image of a head, and no name of a subject or a reader."""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.files import write_text_atomically
from understudy.core.grid import Setting
from understudy.core.outside import json_value
from understudy.report.page import page
from understudy.report.sections import Material, lead, sections
from understudy.report.shareable import banner, check_page

TITLE = "Can synthetic images stand in for real patients?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the results folder: tables, figures, manifests")
    parser.add_argument(
        "--runs", type=Path, required=True, help="the runs folder: hours, and why trainings are missing"
    )
    parser.add_argument("--settings", required=True, help="JSON list of {dataset, segmenter, training_set, ...}")
    parser.add_argument("--generators", nargs="*", default=[])
    parser.add_argument("--evaluation", required=True, help="JSON, the config's section")
    parser.add_argument("--validation", default="study", choices=["study", "apart"], help="what chose the weights")
    parser.add_argument("--published", default="{}", help="JSON, dataset -> brats2020, brats2021")
    parser.add_argument("--fidelity", type=Path, help="tables/fidelity.csv, where there is one")
    parser.add_argument("--audits", type=Path, nargs="*", default=[], help="audit.json of every generator")
    parser.add_argument("--experiments", nargs="*", default=[], help="names of those beyond the grid")
    parser.add_argument("--readers", action="store_true", help="there is a reader study: its tables are in --results")
    parser.add_argument("--shareable", action="store_true", help="without any image of a head and names of people")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    a = parser.parse_args()
    with named_os_errors():
        material = Material(
            a.results,
            a.runs,
            [Setting(**s) for s in json_value(a.settings)],
            a.generators,
            json_value(a.evaluation),
            a.validation,
            json_value(a.published),
            a.fidelity,
            a.audits,
            a.experiments,
            a.readers,
            a.shareable,
        )
        made = page(TITLE, lead(material), sections(material), banner(a.shareable))
        if a.shareable:
            check_page(made, [a.results / name / "stacks/stacks.json" for name in material.datasets])
        write_text_atomically(a.output, made)


if __name__ == "__main__":
    run(main)
