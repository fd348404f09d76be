"""Makes the tables of how like real images and annotations each generator's are (CSV, Markdown, LaTeX)."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.report.formats import write_table
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run
from understudy.study.grid import published_names
from understudy.study.looks import made_sources
from understudy.study.result_paths import generator_folder


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--folders", type=Path, nargs="+", help="of generators; default: all that there are images of")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        config = config_argument(args.config)
        folders = args.folders or [Path(generator_folder(config["results"], *one)) for one in made_sources(config)]
        for table in made_by("compare_fidelity"):
            frame = table.build((folders, published_names(config)))
            write_table(args.output, table.name, frame, rehearsal=config["rehearsal"])


if __name__ == "__main__":
    run(main)
