"""Makes the table of every knob in which the generators of a study differ (CSV, Markdown, LaTeX)."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.report.formats import write_table
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        config = config_argument(args.config)
        results, runs = Path(config["results"]), Path(config["runs"])
        for table in made_by("compare_generators"):
            frame = table.build((results, runs, list(config["datasets"]), list(config["generators"])))
            write_table(args.output, table.name, frame, rehearsal=config["rehearsal"])


if __name__ == "__main__":
    run(main)
