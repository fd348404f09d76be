"""Imports a stack of synthetic images from elsewhere, to be used like a generator's samples."""

import argparse
from pathlib import Path

from understudy.generate.imported import TRAINED_ON, write_import
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--name", required=True, help="used like a generator's name in tables")
    parser.add_argument(
        "--images", type=Path, required=True, help="stack; scripts/convert_stack.py makes one of folders"
    )
    parser.add_argument("--train", type=Path, required=True, help="stack of the training subjects")
    parser.add_argument("--trained-on", required=True, choices=TRAINED_ON, help="subjects their generator has seen")
    parser.add_argument("--output", type=Path, required=True, help="samples.zip; samples.json is written beside it")
    a = parser.parse_args()
    with named_os_errors():
        write_import(a.name, Stack.open(a.images), Stack.open(a.train), a.output, a.dataset, a.trained_on)


if __name__ == "__main__":
    run(main)
