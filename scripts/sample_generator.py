"""Draws images from published generator weights: a stack, its manifest, and a grid to look at.

Interrupted, it goes on from the images that are in its run directory. Exit code 75: the time budget is used up, run the
same command again.
"""

import argparse
from pathlib import Path

from understudy.core import distributed, machine
from understudy.core.cli import named_os_errors, run
from understudy.generate.sample import Sampling, draw_samples, only_sampler, publish_samples


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of train_generator")
    parser.add_argument("--output", type=Path, required=True, help="samples.zip; samples.json lies beside it")
    parser.add_argument("--grid", type=Path, help="picture of the first images, .png")
    parser.add_argument("--count", type=int, required=True, help="number of images")
    parser.add_argument("--seed", type=int, default=0)
    machine.add_machine_arguments(parser)
    return parser.parse_args()


def draw(sampling: Sampling, args: argparse.Namespace, limits: machine.Limits) -> str:
    device = machine.use_device(args.device, args.threads)
    return draw_samples(sampling, device, args.threads or 2, limits)


def draw_missing(sampling: Sampling, args: argparse.Namespace, limits: machine.Limits) -> str:
    """In this process, or in one for each GPU. Returns why it ended."""
    if not sampling.missing():
        return "finished"
    codes = machine.spread(args)
    return draw(sampling, args, limits) if codes is None else machine.reason_of(codes)


def main() -> None:
    args = arguments()
    with named_os_errors():
        limits = machine.limits(args)
        sampling = Sampling.of(args.weights, args.count, args.seed, args.runs)
        if distributed.is_child():
            if (reason := draw(sampling, args, limits)) != "finished":
                machine.leave(reason, args.on_budget)
            return
        with only_sampler(sampling, limits) as attempt:
            published = None
            while published is None:
                attempt.reason = draw_missing(sampling, args, limits)
                attempt.images_seen = sampling.held()
                if attempt.reason != "finished":
                    break
                published = publish_samples(sampling, args.output, args.grid)
        if attempt.reason != "finished":
            machine.leave(attempt.reason, args.on_budget)


if __name__ == "__main__":
    run(main)
