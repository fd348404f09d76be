"""Makes the tables and the figure of a reader study from the files that its readers have saved; without any, the table
of how many images and readers are needed."""

import argparse
from pathlib import Path

from understudy.files.outside import json_argument
from understudy.reader.answers import read_answers, read_keys
from understudy.report.figures import save
from understudy.report.formats import write_tables
from understudy.report.reader_figure import draw_readers
from understudy.report.reader_tables import Reading
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run

PLAN = "reader_plan"  # the one table that needs no answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=Path, nargs="+", required=True, help="key.json of every page")
    parser.add_argument("--answers", type=Path, nargs="*", default=[], help="what readers saved, any number of them")
    parser.add_argument("--options", type=json_argument, required=True, help="JSON, the section `reader_study`")
    parser.add_argument("--published", type=json_argument, default={}, help="JSON, dataset -> brats2020, brats2021")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the figure")
    parser.add_argument("--rehearsal", action="store_true", help="the tables say that they are no result")
    a = parser.parse_args()
    with named_os_errors():
        answers = read_answers(a.answers, read_keys(a.keys))
        reading = Reading(answers, a.published, a.options, a.rehearsal)
        read = len(answers) > 0
        write_tables(a.tables, [t for t in made_by("read_answers") if read or t.name == PLAN], reading)
        if read:
            save(draw_readers(reading.table("readers"), reading.table("reader_summary")), a.figures / "readers")
    print((a.tables / f"{'reader_summary' if read else PLAN}.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
