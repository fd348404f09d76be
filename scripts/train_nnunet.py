"""Trains nnU-Net v2 on one training set, one repeat; predicts the test volumes and scores them as train_segmenter does.

Interrupted, it goes on from nnU-Net's last checkpoint in its run directory. A training that collapses or diverges is a
result: its scores say why it failed. Exit code 75: the time budget is used up, run the same command again.
"""

import argparse
from functools import partial
from pathlib import Path

from understudy.evaluate.scoring import add_scoring_arguments, score_predictions
from understudy.files.outside import json_argument
from understudy.run import command_line, machine
from understudy.run.attempts import FailedRunError
from understudy.run.seeds import seed_of
from understudy.run.training_loop import run_directory
from understudy.segment.nnunet_folder import Limits, export_training_set
from understudy.segment.nnunet_training import NnUNet, collapse_of, require_nnunet
from understudy.segment.publish import Predict, finds_nothing, predicted_volumes, write_example, write_history
from understudy.segment.training_images import failed_generator, is_even, open_parts
from understudy.stack import Stack
from understudy.stack.labels import label_names
from understudy.stack.lineage import check_training_stacks
from understudy.study.grid import NNUNET
from understudy.study.sources import REAL, is_control, parts


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_scoring_arguments(parser)
    parser.add_argument("--repeat", required=True, type=int, help="each with another seed")
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--options", required=True, type=json_argument, help="nnU-Net's config block as JSON")
    parser.add_argument("--stacks", required=True, nargs="+", type=Path, help="one per part of the training set")
    parser.add_argument("--apart", type=Path, help="stack of the real images, whose held-out subjects validate")
    parser.add_argument("--images", type=int, default=20000, help="at most; of more, some are drawn by lot")
    parser.add_argument("--keep", action="store_true", help="keep nnU-Net's results in the run directory")
    for name in ("history", "scores", "example"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="output")
    machine.add_machine_arguments(parser)
    return parser.parse_args()


def training(a: argparse.Namespace, stacks: dict[str, Stack], device) -> tuple[NnUNet, dict]:
    """(the training, what its result depends on)"""
    setting = (a.dataset, NNUNET, a.training_set, a.augmentation)
    config = {
        "segmenter": NNUNET,
        "options": a.options,
        "training_set": a.training_set,
        "augmentation": a.augmentation,
        "images": a.images,
        "seed": seed_of(a.seed, *setting, a.repeat),
        "stacks": {part: stack.fingerprint for part, stack in stacks.items()},
        "validation": Stack.open(a.apart).fingerprint if a.apart else "study",
    }
    named = parts(a.training_set)
    return NnUNet(
        run_dir=run_directory(a.runs / f"repeat{a.repeat}", config).absolute(),
        dataset=a.dataset,
        augmentation=a.augmentation,
        options=a.options,
        parts=named if len(named) > 1 and is_even(a.training_set) else [],
        seed=config["seed"],
        device=device,
        processes=max(1, a.threads),
    ), config


def export(a: argparse.Namespace, stacks: dict[str, Stack], folder: Path) -> None:
    """The training set with one fold, which holds out what the study's other segmenters hold out."""
    export_training_set(
        a.training_set,
        {part: stack.path for part, stack in stacks.items()} | ({REAL: a.apart} if a.apart else {}),
        folder,
        a.dataset,
        limits=Limits(a.images, a.options["validation_fraction"], folds=1),
        split_seed=seed_of(a.seed, a.dataset),
        repeat=a.repeat,
        apart=a.apart is not None,
    )


def publish(a: argparse.Namespace, predict: Predict, history: list[dict], failure: str, test: Stack) -> None:
    """Writes what a training leaves; the scores come last, as they are what says that it is done."""
    if failure:
        print(f"repeat {a.repeat} failed, which counts: {failure}", flush=True)
    write_history(history, a.history)
    write_example(predict, test, a.example)
    predicted = predicted_volumes(predict, test, a.slices)
    score_predictions(a, predicted, label_names(test.meta["labels"]), a.scores, a.repeat, failure)


def train(a: argparse.Namespace) -> str:
    """Trains, publishes and scores; says why it ended: finished, or what stopped it."""
    device = machine.use_device(a.device, a.threads)
    stacks, test = open_parts(a.training_set, a.stacks), Stack.open(a.test)
    check_training_stacks([*stacks.values(), *([Stack.open(a.apart)] if a.apart else [])], test)
    if failure := failed_generator(stacks):
        publish(a, finds_nothing, [], failure, test)
        return "finished"
    require_nnunet()
    run, config = training(a, stacks, device)
    try:
        outcome = run.train(config, partial(export, a, stacks), machine.limits(a))
    except FailedRunError as error:
        publish(a, finds_nothing, [], str(error), test)
        return "finished"
    if outcome.finished:
        predict, history = run.learned()
        publish(a, predict, history, collapse_of(history, a.options, is_control(a.training_set)), test)
        run.clean(a.keep)
    return outcome.reason


def main() -> None:
    a = arguments()
    with command_line.named_os_errors():
        if a.gpus > 1:
            raise ValueError(f"--gpus: found {a.gpus}, expected at most 1: nnU-Net trains on one GPU here (gpu=1)")
        machine.require_gpus(a)
        if (reason := train(a)) != "finished":
            machine.leave(reason, a.on_budget)


if __name__ == "__main__":
    command_line.run(main)
