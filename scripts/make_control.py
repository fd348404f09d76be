"""Makes a control: a stack of copies of the training images, or of noise, in the place of a generator's samples."""

import argparse
from pathlib import Path

from understudy.generate.control import write_control
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack
from understudy.study.sources import MADE_CONTROLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name that the stack is labelled with")
    parser.add_argument("--control", required=True, choices=MADE_CONTROLS)
    parser.add_argument("--stack", type=Path, required=True, help="training images, train.zip")
    parser.add_argument("--leave-out", type=float, help="share of the subjects that segmenters alone see, to validate")
    parser.add_argument("--output", type=Path, required=True, help="samples.zip; samples.json lies beside it")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with named_os_errors():
        stack = Stack.open(args.stack)
        write_control(args.control, stack, args.output, args.dataset, args.seed, args.leave_out)


if __name__ == "__main__":
    run(main)
