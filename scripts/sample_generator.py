"""Draws images from published generator weights: a stack, its manifest, and a grid to look at."""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.training import add_device_arguments, use_device
from understudy.generate.sample import sample_to_stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of train_generator")
    parser.add_argument("--output", type=Path, required=True, help="samples.zip; samples.json lies beside it")
    parser.add_argument("--grid", type=Path, help="picture of the first images, .png")
    parser.add_argument("--count", type=int, required=True, help="number of images")
    parser.add_argument("--seed", type=int, default=0)
    add_device_arguments(parser)
    args = parser.parse_args()

    device = use_device(args.device, args.threads)
    settings = {"grid": args.grid, "device": device, "threads": args.threads or 2}
    with named_os_errors():
        sample_to_stack(args.weights, args.output, args.count, args.seed, **settings)


if __name__ == "__main__":
    run(main)
