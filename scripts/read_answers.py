"""Makes the tables and the figure of a reader study from the files that its readers have saved; without any, the table
of how many images and readers are needed."""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.outside import json_argument
from understudy.reader.answers import read_answers, read_keys
from understudy.report.figures import save
from understudy.report.formats import CAPTIONS, write_table
from understudy.report.reader_figure import draw_readers
from understudy.report.reader_size import reader_plan
from understudy.report.reader_tables import reader_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=Path, nargs="+", required=True, help="key.json of every page")
    parser.add_argument("--answers", type=Path, nargs="*", default=[], help="what readers saved, any number of them")
    parser.add_argument("--options", type=json_argument, required=True, help="JSON, the section `reader_study`")
    parser.add_argument("--published", type=json_argument, default={}, help="JSON, dataset -> brats2020, brats2021")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the figure")
    a = parser.parse_args()
    with named_os_errors():
        answers = read_answers(a.answers, read_keys(a.keys))
        write_table(a.tables, "reader_plan", reader_plan(a.options))
        if not len(answers):
            print((a.tables / "reader_plan.md").read_text(encoding="utf-8"))
            return
        tables = reader_tables(answers, a.published)
        for name, table in tables.items():
            write_table(a.tables, name, table, f"{CAPTIONS[name]} {missing(answers)}".strip())
        save(draw_readers(tables["readers"], tables["reader_summary"]), a.figures / "readers")
    print((a.tables / "reader_summary.md").read_text(encoding="utf-8"))


def missing(answers) -> str:
    """Who has not answered everything; nothing where all have."""
    left = answers[answers["call"].isna()].groupby(["dataset", "reader"], sort=False).size()
    asked = answers.groupby(["dataset", "reader"], sort=False).size()
    parts = [f"{reader} ({dataset}) {count} of {asked[dataset, reader]}" for (dataset, reader), count in left.items()]
    return f"Without an answer: {', '.join(parts)}." if parts else ""


if __name__ == "__main__":
    run(main)
