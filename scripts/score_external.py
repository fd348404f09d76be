"""Scores a finished segmenter on the test subjects of another data set, none of whom it or its generator has seen."""

import argparse
from pathlib import Path

from understudy.evaluate.scoring import add_scoring_arguments, score_predictions
from understudy.run import command_line, machine
from understudy.segment.publish import load_to_score, predicted_volumes, predicting
from understudy.stack import Stack
from understudy.stack.labels import label_names
from understudy.stack.lineage import check_trained_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scoring_arguments(parser)
    parser.add_argument("--repeat", required=True, type=int)
    parser.add_argument("--weights", required=True, type=Path, help="of train_segmenter")
    parser.add_argument("--scores", required=True, type=Path, help="output, .csv")
    machine.add_device_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        machine.require_gpus(a)
        device, test = machine.use_device(a.device, a.threads), Stack.open(a.test)
        network, about = load_to_score(a.weights, device)
        check_trained_network(a.weights, about, test)
        predicted = predicted_volumes(predicting(network, device, about["options"]), test, a.slices)
        labels = label_names(test.meta["labels"])
        score_predictions(a, predicted, labels, a.scores, a.repeat, about.get("failure") or "")


if __name__ == "__main__":
    command_line.run(main)
