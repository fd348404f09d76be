"""Shows how every training and sampling of a study stands, from files alone: the command `understudy status`."""

import argparse

from understudy.console.study_status import add_options, command
from understudy.run.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    command(parser.parse_args())


if __name__ == "__main__":
    run(main)
