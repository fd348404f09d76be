"""Makes the table of all audits: images that are memorized, what the detector sees, what subjects give away."""

import argparse
from pathlib import Path

from understudy.report.audits import read_audits
from understudy.report.formats import write_table
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summaries", type=Path, nargs="+", required=True, help="audit.json of every set of images")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    parser.add_argument("--rehearsal", action="store_true", help="the table says that it is no result")
    a = parser.parse_args()
    with named_os_errors():
        for table in made_by("compare_audits"):
            write_table(a.output, table.name, table.build(read_audits(a.summaries)), rehearsal=a.rehearsal)


if __name__ == "__main__":
    run(main)
