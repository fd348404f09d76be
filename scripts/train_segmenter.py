"""Trains a segmenter on one training set, one repeat or several on the data that is loaded once, in turn or several at
the same time; predicts the test volumes and scores them.

Interrupted, it goes on from its run directories; finished, it publishes again in seconds. A training that collapses or
diverges is a result: its scores say why it failed. Exit code 75: the time budget is used up, run the same command
again.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from understudy.config.fields import MACHINE
from understudy.config.segmenters import block
from understudy.evaluate.scoring import add_scoring_arguments, score_predictions
from understudy.files.atomic import sha256_of_file
from understudy.files.outside import json_argument
from understudy.run import command_line, distributed, machine
from understudy.run.attempts import FailedRunError
from understudy.run.checkpoint import remove_checkpoints
from understudy.run.parallel_trainings import Ending, run_in_turn, run_together
from understudy.run.seeds import seed_of
from understudy.run.trackers import add_tracking_arguments, tracked
from understudy.run.training_loop import run_directory, train
from understudy.segment.publish import (
    FindsNothing,
    failure_of,
    load_segmenter,
    predicted_volumes,
    predicting,
    publish_failure,
    publish_weights,
    write_example,
    write_history,
)
from understudy.segment.segmenter_training import SegmenterTrainee
from understudy.segment.training_images import TrainingSet, failed_generator, load_training_set, open_parts
from understudy.stack import Stack
from understudy.stack.labels import label_names
from understudy.stack.lineage import check_training_stacks
from understudy.study.sources import REAL


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_scoring_arguments(parser)
    parser.add_argument("--repeats", required=True, type=int, nargs="+", help="each with other seeds")
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--options", required=True, type=json_argument, help="the segmenter's config block as JSON")
    parser.add_argument("--stacks", required=True, nargs="+", type=Path, help="one per part of the training set")
    parser.add_argument("--apart", type=Path, help="stack of the real images, whose held-out subjects validate")
    parser.add_argument("--start", nargs="*", type=Path, default=[], help="weights that each repeat starts from")
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="output; without, neither weights nor checkpoints are kept"
    )
    parser.add_argument("--at-once", type=int, default=1, help="repeats that train at the same time, on one GPU")
    for name in ("history", "scores", "example"):
        parser.add_argument(f"--{name}", required=True, type=Path, nargs="+", help="output, one for each repeat")
    machine.add_machine_arguments(parser)
    add_tracking_arguments(parser)
    return parser.parse_args()


def identity(a: argparse.Namespace, stacks: dict[str, Stack], place: int) -> dict:
    """What the result of a repeat depends on; it names the run directory."""
    repeat, left_out = a.repeats[place], block(a.segmenter).of_use(MACHINE)
    left_out |= {"patience"} if a.options.get("patience") is None else set()  # as trainings of before there was any
    return {
        "segmenter": a.segmenter,
        "options": {key: value for key, value in a.options.items() if key not in left_out},
        "training_set": a.training_set,
        "augmentation": a.augmentation,
        "seed": seed_of(a.seed, a.dataset, a.segmenter, a.training_set, a.augmentation, repeat),
        "stacks": {part: stack.fingerprint for part, stack in stacks.items()},
        "validation": Stack.open(a.apart).fingerprint if a.apart else "study",
        **({"start": sha256_of_file(a.start[place])} if a.start else {}),
        **({"pretrained": sha256_of_file(a.options["pretrained"])} if a.options.get("pretrained") else {}),
    }


def opened(a: argparse.Namespace) -> tuple[dict[str, Stack], Stack]:
    """(the stack of each part of the training set, that of the test subjects)"""
    return open_parts(a.training_set, a.stacks), Stack.open(a.test)


def loaded(a: argparse.Namespace, stacks: dict[str, Stack], device) -> TrainingSet:
    """The training set of all repeats; each sees it in an order of its own."""
    return load_training_set(
        a.training_set,
        {part: stack.path for part, stack in stacks.items()} | ({REAL: a.apart} if a.apart else {}),
        fraction=a.options["validation_fraction"],
        limit=a.options["validation_samples"],
        split_seed=seed_of(a.seed, a.dataset),
        seed=0,
        device=device,
        apart=a.apart is not None,
    )


def score(a: argparse.Namespace, place: int, network: torch.nn.Module, failure: str, test: Stack, device) -> None:
    """Predicts the test volumes and writes their scores; the scores come last, as they are what says that a training is
    done. `failure`: why it failed; empty where it did not."""
    predict = predicting(network, device, a.options)
    write_example(predict, test, a.example[place])
    predicted = predicted_volumes(predict, test, a.slices)
    labels = label_names(test.meta["labels"])
    score_predictions(a, predicted, labels, a.scores[place], a.repeats[place], failure)


def train_repeat(a: argparse.Namespace, training_set: TrainingSet, limits: machine.Limits, device, place: int) -> str:
    """Trains, publishes and scores one repeat; says why it ended: finished, or what stopped it."""
    stacks, test = opened(a)
    config = identity(a, stacks, place)
    shape = {
        "channels": len(test.channels) - 1,
        "classes": len(test.meta["labels"]) + 1,
        "size": test.meta["height"],
    }
    data, augmented = training_set.of_repeat(a.repeats[place], config["seed"]), a.augmentation == "augmented"
    how = {**shape, "augmented": augmented, "seed": config["seed"], "device": device}
    trainee = SegmenterTrainee(a.segmenter, a.options, data, **how)
    behind = {identity for stack in stacks.values() for identity in stack.meta["lineage"]}
    if a.start:
        if why := failure_of(a.start[place]):
            return record_failure(a, place, f"the training that it starts from failed ({why})", device)
        network, learned = load_segmenter(a.start[place], device)
        trainee.network.load_state_dict(network.state_dict())
        behind |= set(learned["lineage"])
    try:
        outcome = train(
            trainee, run_of(a, place, config), a.options["samples"], config=config, limits=limits, tracking=tracked(a)
        )
    except FailedRunError as error:
        return record_failure(a, place, str(error), device)
    if not outcome.finished or distributed.rank():
        return outcome.reason
    if a.weights:
        about = {
            **config,
            **shape,
            "labels": test.meta["labels"],
            "images_seen": outcome.images_seen,
            "training_seconds": round(outcome.seconds),
            "torch": torch.__version__,
            "lineage": sorted(behind),
        }
        publish_weights(trainee, a.weights[place], about)
    write_history(trainee.history, a.history[place])
    trainee.network.load_state_dict(trainee.best["weights"])
    if trainee.failure:
        print(f"repeat {a.repeats[place]} failed, which counts: {trainee.failure}", flush=True)
    score(a, place, trainee.network, trainee.failure, test, device)
    return outcome.reason


def record_failure(a: argparse.Namespace, place: int, failure: str, device) -> str:
    """Publishes a training that has left no network: it finds nothing, so its Dice is 0."""
    if distributed.rank():
        return "finished"
    print(f"repeat {a.repeats[place]} failed, which counts with Dice 0: {failure}", flush=True)
    stacks, test = opened(a)
    network = FindsNothing(len(test.meta["labels"]) + 1)
    if a.weights:
        lineage = sorted({identity for stack in stacks.values() for identity in stack.meta["lineage"]})
        shape = {"channels": len(test.channels) - 1, "classes": network.classes, "size": test.meta["height"]}
        shape["labels"] = test.meta["labels"]
        about = {"segmenter": a.segmenter, "options": a.options, **shape, "lineage": lineage}
        publish_failure(a.weights[place], about, failure)
    write_history([], a.history[place])
    score(a, place, network, failure, test, device)
    return "finished"


def run_of(a: argparse.Namespace, place: int, config: dict) -> Path:
    return run_directory(a.runs / f"repeat{a.repeats[place]}", config)


def train_beside_others(a: argparse.Namespace, training_set: TrainingSet, limits, threads: int, place: int) -> str:
    """`train_repeat` in a process of its own."""
    with command_line.named_os_errors():
        return train_repeat(a, training_set, limits, machine.use_device(a.device, threads), place)


def check_at_once(a: argparse.Namespace) -> int:
    """How many trainings run at once: there may be fewer."""
    if a.at_once < 1:
        raise ValueError(f"--at-once: found {a.at_once}, expected at least 1")
    at_once = min(a.at_once, len(a.repeats))
    if at_once > 1 and a.gpus > 1:
        raise ValueError(
            f"found --at-once {a.at_once} and --gpus {a.gpus}, expected one of them to be 1: several trainings share a "
            "GPU, or several GPUs train one network. Set the resource at_once=1, or gpu=1."
        )
    return at_once


def train_all(a: argparse.Namespace, at_once: int, limits: machine.Limits) -> list[Ending]:
    """How the training of each repeat ended; all have the data that is loaded here."""
    device = machine.use_device(a.device, a.threads)
    stacks, test = opened(a)
    check_training_stacks([*stacks.values(), *([Stack.open(a.apart)] if a.apart else [])], test)
    if failure := failed_generator(stacks):
        return [Ending(record_failure(a, place, failure, device)) for place in range(len(a.repeats))]
    training_set = loaded(a, stacks, device)
    if at_once == 1:
        return run_in_turn(partial(train_repeat, a, training_set, limits, device), len(a.repeats))
    training_set.share()
    threads = max(1, torch.get_num_threads() // at_once)
    names = [f"repeat {repeat}" for repeat in a.repeats]
    return run_together(partial(train_beside_others, a, training_set, limits, threads), names, at_once)


def main() -> None:
    a = arguments()
    with command_line.named_os_errors():
        limits, at_once = machine.limits(a), check_at_once(a)
        if machine.spread_or_leave(a):
            return
        endings = train_all(a, at_once, limits)
        ended = zip(a.repeats, endings, strict=False)  # after the end of the budget no other is begun
        failures = [f"repeat {repeat}: {ending.message}" for repeat, ending in ended if ending.reason == "failed"]
        reasons = {ending.reason for ending in endings}
        for reason in ("asked", "budget", "signal"):  # to be gone on with, which tells of failures again
            if reason in reasons:
                print(*failures, sep="\n", end="\n" * bool(failures), file=sys.stderr, flush=True)
                machine.leave(reason, a.on_budget)
        if failures:
            raise ValueError("\n".join(failures))
        if not a.weights and not distributed.rank():
            stacks, _ = opened(a)
            for place in range(len(a.repeats)):  # until here a restart publishes what Snakemake has removed
                remove_checkpoints(run_of(a, place, identity(a, stacks, place)))


if __name__ == "__main__":
    command_line.run(main)
