"""Makes results/report.html, one file that a browser opens without a network: the answers for each generator on one
screen, then figures, tables, how the generators were treated, failed trainings, cost, methods. It shows images of
patients and must not be shared; with --shareable it has no image of a head, and no name of a subject or a reader.
The answers are also written as text, answers.txt beside it."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.console.study_report import write_report
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--fidelity", type=Path, help="tables/fidelity.csv, where there is one")
    parser.add_argument("--audits", type=Path, nargs="*", default=[], help="audit.json of every generator")
    parser.add_argument("--experiments", nargs="*", default=[], help="names of those beyond the grid")
    parser.add_argument("--readers", action="store_true", help="there is a reader study: its tables are in --results")
    parser.add_argument("--shareable", action="store_true", help="without any image of a head and names of people")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    a = parser.parse_args()
    with named_os_errors():
        config = config_argument(a.config)
        write_report(config, a.output, a.fidelity, a.audits, a.experiments, a.readers, a.shareable)


if __name__ == "__main__":
    run(main)
