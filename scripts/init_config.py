"""Looks at a folder of images with annotations and writes a config for it: the command `understudy init`."""

import argparse

from understudy.begin.commands import add_options, init
from understudy.run.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    init(parser.parse_args())


if __name__ == "__main__":
    run(main)
