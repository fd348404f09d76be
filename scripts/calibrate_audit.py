"""Finds out what is usual among real people: how near test and training images come to those of others, and how many of
some planted copies the detector finds. Thresholds come from it.

Interrupted, it goes on from its run directory. Exit code 75: the time budget is used up, run the same command again.
"""

import argparse
from pathlib import Path

from understudy.audit.calibrate import calibrate
from understudy.audit.detector import place_at
from understudy.audit.resumable_search import search_all
from understudy.audit.search_tasks import calibration_tasks, write_found
from understudy.files.atomic import sha256_of_file, write_json
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
        train, test = Stack.open(a.train), Stack.open(a.test)
        real = len(test.included()) + min(len(train), a.audit["null_images"])
        place_at(real, a.audit["false_positive_rate"])  # before hours are spent
        found = search_all(calibration_tasks(train, test, a.audit, a.seed, a.threads or 4), a)
        about = {"train_sha256": train.sha256, "test_sha256": test.sha256}
        write_found(a.real, found, {**about, "options": a.audit})
        write_json(a.output, calibrate(found, train, test, a.audit) | about | {"real_sha256": sha256_of_file(a.real)})


if __name__ == "__main__":
    command_line.run(main)
