"""Makes the table of segmenters of one data set that were scored on the test subjects of another."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.report.external import ExternalScores
from understudy.report.formats import write_tables
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    a = parser.parse_args()
    with named_os_errors():
        write_tables(a.output, made_by("compare_external"), ExternalScores.of_config(config_argument(a.config)))


if __name__ == "__main__":
    run(main)
