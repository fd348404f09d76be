"""Scores a finished segmenter on the test subjects of another data set, none of whom it or its generator has seen."""

import argparse
from pathlib import Path

from understudy.evaluate.scores import score_subjects, write_scores
from understudy.evaluate.surface import TOLERANCE_MM
from understudy.files.outside import json_argument
from understudy.run import command_line, machine
from understudy.segment.publish import load_to_score, predicted_volumes
from understudy.stack import Stack
from understudy.stack.labels import label_names
from understudy.stack.lineage import check_trained_network


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dataset", "segmenter", "training-set", "augmentation"):
        parser.add_argument(f"--{name}", required=True, help="of the training, as the scores name it")
    parser.add_argument("--repeat", required=True, type=int)
    parser.add_argument("--weights", required=True, type=Path, help="of train_segmenter")
    parser.add_argument("--test", required=True, type=Path, help="stack of the other data set's test subjects")
    parser.add_argument("--slices", default="included", choices=["included", "all"], help="of the test volumes")
    parser.add_argument("--regions", type=json_argument, default={}, help="JSON, name -> labels scored together")
    parser.add_argument("--tolerance-mm", type=float, default=TOLERANCE_MM, help="of surface Dice")
    parser.add_argument("--scores", required=True, type=Path, help="output, .csv")
    machine.add_device_arguments(parser)
    return parser.parse_args()


def main() -> None:
    a = arguments()
    with command_line.named_os_errors():
        machine.require_gpus(a)
        device, test = machine.use_device(a.device, a.threads), Stack.open(a.test)
        network, about = load_to_score(a.weights, device)
        check_trained_network(a.weights, about, test)
        keys = {key: getattr(a, key) for key in ("dataset", "segmenter", "training_set", "augmentation", "repeat")}
        labels = label_names(test.meta["labels"])
        keys["failure"] = about.get("failure") or ""
        predicted = predicted_volumes(network, test, a.slices, device, about["options"])
        write_scores(a.scores, score_subjects(keys, predicted, labels, a.regions, a.tolerance_mm))


if __name__ == "__main__":
    command_line.run(main)
