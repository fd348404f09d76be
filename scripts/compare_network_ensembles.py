"""Makes the table of ensembles: the networks of all repeats as one, beside each of them alone."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.report.formats import write_tables
from understudy.report.network_ensembles import EnsembleScores
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    a = parser.parse_args()
    with named_os_errors():
        tables = made_by("compare_network_ensembles")
        write_tables(a.output, tables, EnsembleScores.of_config(config_argument(a.config)))


if __name__ == "__main__":
    run(main)
