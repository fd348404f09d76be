"""Trains one segmenter on one training set, predicts the test volumes and scores them.

Interrupted, it goes on from its run directory; finished, it publishes again in seconds. Exit code 75: the time budget
is used up, run the same command again.
"""

import argparse
import json
from pathlib import Path

import torch

from understudy.core import cli, distributed, machine
from understudy.core.checkpoint import remove_checkpoints
from understudy.core.files import sha256_of_file
from understudy.core.grid import REAL, parts
from understudy.core.labels import label_names
from understudy.core.lineage import check_training_stacks
from understudy.core.seeds import seed_of
from understudy.core.stack import Stack
from understudy.core.training import run_directory, train
from understudy.evaluate.scores import score_volume, write_scores
from understudy.segment.data import load_training_set
from understudy.segment.publish import predicted_volumes, publish_weights, write_example, write_history
from understudy.segment.train import SegmenterTrainee


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dataset", "segmenter", "training-set"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--augmentation", required=True, choices=["augmented", "plain"])
    parser.add_argument("--repeat", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--options", required=True, type=json.loads, help="the segmenter's config block as JSON")
    parser.add_argument("--stacks", required=True, nargs="+", type=Path, help="one per part of the training set")
    parser.add_argument("--apart", type=Path, help="stack of the real images, whose held-out subjects validate")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--slices", default="included", choices=["included", "all"], help="of the test volumes")
    parser.add_argument("--weights", type=Path, help="output; without, neither weights nor checkpoints are kept")
    for name in ("history", "scores", "example"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="output")
    machine.add_machine_arguments(parser)
    return parser.parse_args()


def identity(a: argparse.Namespace, stacks: dict[str, Stack]) -> dict:
    """What the result depends on; it names the run directory."""
    return {
        "segmenter": a.segmenter,
        "options": a.options,
        "training_set": a.training_set,
        "augmentation": a.augmentation,
        "seed": seed_of(a.seed, a.dataset, a.segmenter, a.training_set, a.augmentation, a.repeat),
        "stacks": {part: stack.fingerprint for part, stack in stacks.items()},
        "validation": "apart" if a.apart else "study",
        **({"pretrained": sha256_of_file(a.options["pretrained"])} if a.options.get("pretrained") else {}),
    }


def new_trainee(a: argparse.Namespace, stacks: dict[str, Stack], shape: dict, seed: int, device) -> SegmenterTrainee:
    training_set = load_training_set(
        a.training_set,
        {part: stack.path for part, stack in stacks.items()} | ({REAL: a.apart} if a.apart else {}),
        fraction=a.options["validation_fraction"],
        limit=a.options["validation_samples"],
        split_seed=seed_of(a.seed, a.dataset),
        seed=seed,
        device=device,
        apart=a.apart is not None,
    )
    augmented = a.augmentation == "augmented"
    return SegmenterTrainee(
        a.segmenter, a.options, training_set, **shape, augmented=augmented, seed=seed, device=device
    )


def score(a: argparse.Namespace, trainee: SegmenterTrainee, test: Stack, device) -> None:
    """Predicts the test volumes with the best weights and writes their scores; the scores come last, as they are what
    says that a training is done."""
    network = trainee.network
    network.load_state_dict(trainee.best["weights"])
    keys = {key: getattr(a, key) for key in ("dataset", "segmenter", "training_set", "augmentation", "repeat")}
    labels = label_names(test.meta["labels"])
    rows = [
        {**keys, "subject": subject, **one}
        for subject, predicted, reference, spacing_mm in predicted_volumes(network, test, a.slices, device, a.options)
        for one in score_volume(predicted, reference, labels, spacing_mm)
    ]
    write_example(network, test, a.example, device, a.options)
    write_scores(a.scores, rows)


def main() -> None:
    a = arguments()
    with cli.named_os_errors():
        limits = machine.limits(a)
        if machine.spread_or_leave(a):
            return
        device, test = machine.use_device(a.device, a.threads), Stack.open(a.test)
        stacks = {part: Stack.open(path) for part, path in zip(parts(a.training_set), a.stacks, strict=True)}
        check_training_stacks(stacks.values(), test)
        shape = {
            "channels": len(test.channels) - 1,
            "classes": len(test.meta["labels"]) + 1,
            "size": test.meta["height"],
        }
        config = identity(a, stacks)
        trainee = new_trainee(a, stacks, shape, config["seed"], device)
        run_dir = run_directory(a.runs, config)
        outcome = train(trainee, run_dir, a.options["samples"], config=config, limits=limits)
        if not outcome.finished:
            machine.leave(outcome.reason, a.on_budget)
        if distributed.rank():
            return
        about = {
            **config,
            **shape,
            "labels": test.meta["labels"],
            "images_seen": outcome.images_seen,
            "training_seconds": round(outcome.seconds),
            "torch": torch.__version__,
            "lineage": sorted({identity for stack in stacks.values() for identity in stack.meta["lineage"]}),
        }
        if a.weights:
            publish_weights(trainee, a.weights, about)
        write_history(trainee, a.history)
        score(a, trainee, test, device)
        if not a.weights:
            remove_checkpoints(run_dir)


if __name__ == "__main__":
    cli.run(main)
