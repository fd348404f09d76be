"""Prints what a study will cost before anything is spent: the command `understudy forecast`."""

import argparse
from pathlib import Path

from understudy.console.study_forecast import add_options, command
from understudy.run.command_line import run

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.set_defaults(snakefile=ROOT / "Snakefile")
    command(parser.parse_args())


if __name__ == "__main__":
    run(main)
