"""Draws one branch of a study: the rules that a generator's images pass through in a data set, how many jobs each has,
how many of these are done. An SVG, which any browser shows.

    python scripts/draw_branch.py --config config/mine.yaml mine/stylegan2
"""

import argparse
from pathlib import Path

from understudy.files.atomic import write_text_atomically
from understudy.forecast.jobs import ask
from understudy.forecast.rule_picture import branch_edges, rules_of_stages, svg
from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("branch", help="DATASET/GENERATOR, as `snakemake -n` names it; also DATASET/real, a control")
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"), help="default %(default)s")
    parser.add_argument("--output", type=Path, default=Path("branch.svg"), help="default %(default)s")
    args = parser.parse_args()
    branch = " / ".join(part.strip() for part in args.branch.split("/"))
    edges, notes = branch_edges(ask(ROOT / "Snakefile", args.config).jobs(), branch)
    picture = svg(edges, rules_of_stages(ROOT / "rules"), f"{branch}: its rules and jobs", notes=notes)
    with command_line.named_os_errors():
        write_text_atomically(args.output, picture)
    print(f"{args.output}: written")


if __name__ == "__main__":
    command_line.run(main)
