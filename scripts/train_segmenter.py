"""Trains a segmenter on one training set, one repeat or several on the data that is loaded once; predicts the test
volumes and scores them.

Interrupted, it goes on from its run directories; finished, it publishes again in seconds. Exit code 75: the time budget
is used up, run the same command again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from understudy.core import cli, distributed, machine
from understudy.core.attempts import FailedRunError
from understudy.core.checkpoint import remove_checkpoints
from understudy.core.files import sha256_of_file
from understudy.core.grid import REAL, parts
from understudy.core.labels import label_names
from understudy.core.lineage import check_training_stacks
from understudy.core.seeds import seed_of
from understudy.core.stack import Stack
from understudy.core.training import run_directory, train
from understudy.evaluate.scores import score_volume, write_scores
from understudy.evaluate.surface import TOLERANCE_MM
from understudy.segment.data import TrainingSet, load_training_set
from understudy.segment.publish import predicted_volumes, publish_weights, write_example, write_history
from understudy.segment.train import SegmenterTrainee


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dataset", "segmenter", "training-set"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--augmentation", required=True, choices=["augmented", "plain"])
    parser.add_argument("--repeats", required=True, type=int, nargs="+", help="each with other seeds")
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--options", required=True, type=json.loads, help="the segmenter's config block as JSON")
    parser.add_argument("--stacks", required=True, nargs="+", type=Path, help="one per part of the training set")
    parser.add_argument("--apart", type=Path, help="stack of the real images, whose held-out subjects validate")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--slices", default="included", choices=["included", "all"], help="of the test volumes")
    parser.add_argument("--regions", type=json.loads, default={}, help="JSON, name -> labels scored together")
    parser.add_argument("--tolerance-mm", type=float, default=TOLERANCE_MM, help="of surface Dice")
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="output; without, neither weights nor checkpoints are kept"
    )
    for name in ("history", "scores", "example"):
        parser.add_argument(f"--{name}", required=True, type=Path, nargs="+", help="output, one for each repeat")
    machine.add_machine_arguments(parser)
    return parser.parse_args()


def identity(a: argparse.Namespace, stacks: dict[str, Stack], repeat: int) -> dict:
    """What the result depends on; it names the run directory."""
    return {
        "segmenter": a.segmenter,
        "options": a.options,
        "training_set": a.training_set,
        "augmentation": a.augmentation,
        "seed": seed_of(a.seed, a.dataset, a.segmenter, a.training_set, a.augmentation, repeat),
        "stacks": {part: stack.fingerprint for part, stack in stacks.items()},
        "validation": Stack.open(a.apart).fingerprint if a.apart else "study",
        **({"pretrained": sha256_of_file(a.options["pretrained"])} if a.options.get("pretrained") else {}),
    }


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


def score(a: argparse.Namespace, place: int, trainee: SegmenterTrainee, test: Stack, device) -> None:
    """Predicts the test volumes with the best weights and writes their scores; the scores come last, as they are what
    says that a training is done."""
    network = trainee.network
    network.load_state_dict(trainee.best["weights"])
    keys = {key: getattr(a, key) for key in ("dataset", "segmenter", "training_set", "augmentation")}
    labels = label_names(test.meta["labels"])
    rows = [
        {**keys, "repeat": a.repeats[place], "subject": subject, **one}
        for subject, predicted, reference, spacing_mm in predicted_volumes(network, test, a.slices, device, a.options)
        for one in score_volume(predicted, reference, labels, spacing_mm, a.regions, a.tolerance_mm)
    ]
    write_example(network, test, a.example[place], device, a.options)
    write_scores(a.scores[place], rows)


def train_repeat(a, place: int, training_set: TrainingSet, stacks: dict, test: Stack, limits, device) -> Path:
    """Trains, publishes and scores one repeat; its run directory."""
    config = identity(a, stacks, a.repeats[place])
    shape = {
        "channels": len(test.channels) - 1,
        "classes": len(test.meta["labels"]) + 1,
        "size": test.meta["height"],
    }
    data, augmented = replace(training_set, seed=config["seed"]), a.augmentation == "augmented"
    how = {**shape, "augmented": augmented, "seed": config["seed"], "device": device}
    trainee = SegmenterTrainee(a.segmenter, a.options, data, **how)
    run_dir = run_directory(a.runs / f"repeat{a.repeats[place]}", config)
    outcome = train(trainee, run_dir, a.options["samples"], config=config, limits=limits)
    if not outcome.finished:
        machine.leave(outcome.reason, a.on_budget)
    if distributed.rank():
        return run_dir
    if a.weights:
        about = {
            **config,
            **shape,
            "labels": test.meta["labels"],
            "images_seen": outcome.images_seen,
            "training_seconds": round(outcome.seconds),
            "torch": torch.__version__,
            "lineage": sorted({identity for stack in stacks.values() for identity in stack.meta["lineage"]}),
        }
        publish_weights(trainee, a.weights[place], about)
    write_history(trainee, a.history[place])
    score(a, place, trainee, test, device)
    return run_dir


def main() -> None:
    a = arguments()
    with cli.named_os_errors():
        limits = machine.limits(a)
        if machine.spread_or_leave(a):
            return
        device, test = machine.use_device(a.device, a.threads), Stack.open(a.test)
        stacks = {part: Stack.open(path) for part, path in zip(parts(a.training_set), a.stacks, strict=True)}
        check_training_stacks([*stacks.values(), *([Stack.open(a.apart)] if a.apart else [])], test)
        training_set, finished, failures = loaded(a, stacks, device), [], []
        for place in range(len(a.repeats)):
            try:
                finished.append(train_repeat(a, place, training_set, stacks, test, limits, device))
            except FailedRunError as error:  # the others are not to wait for somebody to look at it
                failures.append(str(error))
        if failures:
            raise ValueError("\n".join(failures))
        if not a.weights and not distributed.rank():
            for run_dir in finished:  # until here a restart publishes from them what Snakemake has removed
                remove_checkpoints(run_dir)


if __name__ == "__main__":
    cli.run(main)
