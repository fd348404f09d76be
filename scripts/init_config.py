"""Looks at a folder of images with annotations and writes a config for it: the command `understudy init`."""

import argparse

from understudy.begin.init import add_options, command
from understudy.run.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    command(parser.parse_args())


if __name__ == "__main__":
    run(main)
