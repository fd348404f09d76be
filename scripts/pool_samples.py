"""Pools the samples of several trainings of one generator: a stack and its manifest, as sample_generator makes them."""

import argparse
from pathlib import Path

from understudy.generate.ensemble import pool_samples
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--name", required=True, help="of the ensemble")
    parser.add_argument("--members", type=Path, nargs="+", required=True, help="samples.zip of each training")
    parser.add_argument("--count", type=int, required=True, help="number of images in all")
    parser.add_argument("--output", type=Path, required=True, help="samples.zip; samples.json lies beside it")
    a = parser.parse_args()
    with named_os_errors():
        pool_samples(a.name, [Stack.open(path) for path in a.members], a.output, a.dataset, a.count)


if __name__ == "__main__":
    run(main)
