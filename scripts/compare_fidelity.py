"""Makes the tables of how like real images and annotations each generator's are (CSV, Markdown, LaTeX)."""

import argparse
from pathlib import Path

from understudy.config.study import config_argument
from understudy.report.formats import write_table
from understudy.report.registry import made_by
from understudy.run.command_line import named_os_errors, run
from understudy.study.grid import published_names, sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="of a study: results/config.yaml, or its parts as JSON")
    parser.add_argument("--generators", nargs="+", help="default: all that there are images of")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        config = config_argument(args.config)
        made = Path(config["results"])
        folders = [made / d / "generators" / g for d in config["datasets"] for g in args.generators or sources(config)]
        for table in made_by("compare_fidelity"):
            write_table(args.output, table.name, table.build((folders, published_names(config))))


if __name__ == "__main__":
    run(main)
