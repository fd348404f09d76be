"""Draws images from published generator weights: a stack, its manifest, and a grid to look at.

Interrupted, it goes on from the images that are in its run directory. Exit code 75: the time budget is used up, run the
same command again.
"""

import argparse
from pathlib import Path

from understudy.generate.sample import Sampling, publish_samples
from understudy.run import machine
from understudy.run.command_line import named_os_errors, run
from understudy.run.parts import finish


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of train_generator")
    parser.add_argument("--output", type=Path, required=True, help="samples.zip; samples.json lies beside it")
    parser.add_argument("--grid", type=Path, help="picture of the first images, .png")
    parser.add_argument("--count", type=int, required=True, help="number of images")
    parser.add_argument("--train", type=Path, help="stack of the training images, where the options ask for a guard")
    parser.add_argument("--seed", type=int, default=0)
    machine.add_machine_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    with named_os_errors():
        sampling = Sampling.of(args.weights, args.count, args.seed, args.runs, args.threads or 2, args.train)
        finish(sampling, args, lambda: publish_samples(sampling, args.output, args.grid))


if __name__ == "__main__":
    run(main)
