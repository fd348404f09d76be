"""Makes the tables of how like real images and annotations each generator's are (CSV, Markdown, LaTeX)."""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.outside import json_value
from understudy.report.fidelity import (
    annotation_table,
    beside_published,
    fidelity_table,
    read_each,
    write_annotation,
    write_fidelity,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the results folder: fidelity.csv, annotation.csv")
    parser.add_argument("--datasets", nargs="+", required=True)
    parser.add_argument("--generators", nargs="+", required=True)
    parser.add_argument("--published", default="{}", help="JSON, dataset -> brats2020, brats2021 or null")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        folders = [args.results / d / "generators" / g for d in args.datasets for g in args.generators]
        table = fidelity_table(read_each(folders, "fidelity.csv"))
        write_fidelity(args.output, beside_published(table, json_value(args.published)))
        write_annotation(args.output, annotation_table(read_each(folders, "annotation.csv")))


if __name__ == "__main__":
    run(main)
