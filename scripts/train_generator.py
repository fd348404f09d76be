"""Trains a generator on a stack and publishes its averaged weights; the same command resumes what was interrupted.

A training that collapses or diverges is a result: a file without weights says why it failed, and what learns from its
images counts as failed too.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from understudy.files.outside import json_value
from understudy.generate.annotation_channel import Coding
from understudy.generate.generator_training import GeneratorTrainee, identity
from understudy.generate.weights import describe, publish_weights, seeded_build
from understudy.run import distributed, machine
from understudy.run.attempts import FailedRunError
from understudy.run.command_line import named_os_errors, run
from understudy.run.device_images import DeviceImages, hold_out
from understudy.run.seeds import seed_of
from understudy.run.trackers import add_tracking_arguments, tracked
from understudy.run.training_loop import run_directory, train
from understudy.segment.subjects_by_lot import first_percent
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name that the weights are labelled with")
    parser.add_argument("--generator", required=True, help="stylegan2, ...")
    parser.add_argument("--options", default="{}", help="the generator's config block, a JSON object")
    parser.add_argument("--stack", type=Path, required=True, help="training images, train.zip")
    parser.add_argument("--leave-out", type=float, help="share of the subjects that segmenters alone see, to validate")
    parser.add_argument("--percent", type=int, default=100, help="share of the training subjects that it sees")
    parser.add_argument("--training", type=int, default=1, help="which of several: with another seed, other subjects")
    parser.add_argument("--keep", type=int, nargs="*", default=[], help="also keep the weights after so many percent")
    parser.add_argument("--publish", type=int, default=100, help="the weights after so many percent, one of --keep")
    parser.add_argument("--output", type=Path, required=True, help="weights.safetensors; weights.json lies beside it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--microbatch", type=int, default=0, help="images in one forward pass, where memory is short; 0: the batch"
    )
    machine.add_machine_arguments(parser)
    add_tracking_arguments(parser)
    args = parser.parse_args()
    if args.publish not in (*args.keep, 100):
        parser.error(f"--publish: found {args.publish}, expected one of --keep, or 100")

    with named_os_errors():
        limits = machine.limits(args)
        if machine.spread_or_leave(args):
            return
        device = machine.use_device(args.device, args.threads)
        stack = Stack.open(args.stack)
        channels, height, width = stack.shape_CHW
        if height != width or not len(stack):
            raise ValueError(f"{args.stack}: found {len(stack)} images of {height} x {width}, expected square ones")
        options = read_options(args.options)
        if args.microbatch:
            options["microbatch"] = args.microbatch
        coding = Coding.of(options.get("annotation", "grey"), stack.meta["channels"], stack.meta["labels"])
        seed = args.seed if args.training == 1 else seed_of(args.seed, "training", args.training)
        generator = seeded_build(args.generator, coding.count(channels), height, seed, **options).to(device)
        people = stack.people()
        seen, left_out = seen_images(stack, people, args)
        people = [people[i] for i in seen] if people else None
        trainee = GeneratorTrainee(generator, DeviceImages(stack.read(seen), device), seed, coding, people, args.keep)
        o = generator.options
        trained_on = stack.sha256
        config = identity(args.generator, o, seed, trained_on)
        config |= {"left_out": left_out} if left_out else {}
        config |= {"subjects": sorted(set(people))} if args.percent < 100 else {}
        config |= {"keep": args.keep} if args.keep else {}
        run_dir = run_directory(args.runs, config)
        failure, weights, images_seen = "", {}, 0
        try:
            outcome = train(
                trainee, run_dir, round(o.kimg * 1000), config=config, limits=limits, tracking=tracked(args)
            )
            if not outcome.finished:
                machine.leave(outcome.reason, args.on_budget)
            weights, images_seen = trainee.published(outcome.images_seen, args.publish)
        except FailedRunError as error:
            failure = str(error)
            print(f"failed, which counts: {failure}", flush=True)
        if distributed.rank():
            return
        about = {"dataset": args.dataset, "seed": seed, "images_seen": images_seen}
        told = trainee.snapshots.told() if trainee.snapshots and not failure else []
        snapshots = [one for one in told if one["images_seen"] <= images_seen] if args.publish < 100 else told
        meta = stack.meta if args.percent == 100 else stack.meta | {"lineage": lineage_of(stack, people)}
        about |= {"left_out": len(left_out), "snapshots": snapshots, "training_sha256": trained_on}
        about |= {"failure": failure} if failure else {}
        metadata = describe(args.generator, generator, meta, **about)
        publish_weights(weights, args.output, metadata)


def seen_images(stack: Stack, people: list[str] | None, args: argparse.Namespace) -> tuple[Sequence[int], list[str]]:
    """(places of the images that it sees, the subjects that segmenters hold out)."""
    seen, held_out = range(len(stack)), {}
    if args.leave_out is None and args.percent == 100:
        return seen, []
    if people is None:
        raise ValueError(f"{args.stack}: found no subjects, expected to know whose images they are, to leave some out")
    seed = seed_of(args.seed, args.dataset)  # as scripts/train_segmenter.py
    if args.leave_out is not None:
        seen, held_out = hold_out(len(stack), stack.subjects(), people, args.leave_out, len(stack), seed)
    if args.percent < 100:
        first = first_percent((people[i] for i in seen), args.percent, seed, args.training)
        seen = [i for i in seen if people[i] in first]
    return seen, list(held_out)


def lineage_of(stack: Stack, people: list[str]) -> list[str]:
    """The identities of those people alone."""
    return sorted({stack.meta["subjects"][name]["identity"] for name in people})


def read_options(text: str) -> dict:
    options = json_value(text)
    if not isinstance(options, dict):
        raise ValueError(f"--options: found {text!r}, expected a JSON object")
    return options


if __name__ == "__main__":
    run(main)
