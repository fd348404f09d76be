"""Finds out what is usual among real people: how near test and training images come to those of others, and how many of
some planted copies the detector finds. Thresholds come from it.

Interrupted, it goes on from its run directory. Exit code 75: the time budget is used up, run the same command again.
"""

import argparse
from pathlib import Path

from understudy.audit.run_searches import calibrate_audit
from understudy.files.outside import json_argument
from understudy.run import command_line, machine
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, type=Path, help="stack of the training subjects")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--audit", required=True, type=json_argument, help="section `audit` of the config, as JSON")
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--memory-mb", required=True, type=float, help="that the search may take")
    parser.add_argument("--real", required=True, type=Path, help="output: what real and planted images found")
    parser.add_argument("--output", required=True, type=Path, help="calibration.json")
    machine.add_machine_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        calibrate_audit(Stack.open(a.train), Stack.open(a.test), a.audit, a.seed, a, a.real, a.output)


if __name__ == "__main__":
    command_line.run(main)
