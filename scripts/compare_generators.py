"""Makes the table of every knob in which the generators of a study differ (CSV, Markdown, LaTeX)."""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.report.formats import write_table
from understudy.report.treatment import treatment_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the results folder: weights.json, samples.json")
    parser.add_argument("--runs", type=Path, required=True, help="the folder of run directories: hours of training")
    parser.add_argument("--datasets", nargs="+", required=True)
    parser.add_argument("--generators", nargs="*", default=[])
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        table = treatment_table(args.results, args.runs, args.datasets, args.generators)
        write_table(args.output, "generators", table)


if __name__ == "__main__":
    run(main)
