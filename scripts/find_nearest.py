"""Finds the nearest training image of every synthetic image, in every view, and the nearest test image.

Interrupted, it goes on from its run directory. Exit code 75: the time budget is used up, run the same command again.
"""

import argparse
from pathlib import Path

from understudy.audit.chain import check_manifest
from understudy.audit.run_searches import find_nearest
from understudy.files.outside import json_argument
from understudy.run import command_line, machine
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", required=True, type=Path, help="synthetic images; its .json lies beside it")
    parser.add_argument("--train", required=True, type=Path, help="stack of the training subjects")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--audit", required=True, type=json_argument, help="section `audit` of the config, as JSON")
    parser.add_argument("--memory-mb", required=True, type=float, help="that the search may take")
    parser.add_argument("--output", required=True, type=Path, help="nearest.safetensors")
    machine.add_machine_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        samples, train, test = (Stack.open(path) for path in (a.samples, a.train, a.test))
        check_manifest(samples)
        find_nearest(samples, train, test, a.audit, a, a.output)


if __name__ == "__main__":
    command_line.run(main)
