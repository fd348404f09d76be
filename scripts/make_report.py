"""Makes results/report.html, one file that a browser opens without a network: the answers for each generator on one
screen, then figures, tables, how the generators were treated, failed trainings, cost, methods. It shows images of
patients and must not be shared; with --shareable it has no image of a head, and no name of a subject or a reader."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.files.atomic import write_text_atomically
from understudy.report.page import page
from understudy.report.page_material import Material
from understudy.report.sections import sections
from understudy.report.shareable import banner, check_page
from understudy.report.top_of_page import top_of_page
from understudy.run.command_line import named_os_errors, run

TITLE = "Can synthetic images stand in for real patients?"


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
        material = Material.of_config(
            config,
            fidelity=a.fidelity,
            audits=a.audits,
            experiments=a.experiments,
            readers=a.readers,
            shareable=a.shareable,
        )
        made = page(TITLE, top_of_page(material), sections(material), banner(a.shareable))
        if a.shareable:
            check_page(made, material.manifests)
        write_text_atomically(a.output, made)


if __name__ == "__main__":
    run(main)
