"""Scores the networks of several repeats as one: their softmaxes are averaged."""

import argparse
from pathlib import Path

from understudy.evaluate.scoring import add_scoring_arguments, score_predictions
from understudy.run import command_line, machine
from understudy.segment.network_ensemble import load_ensemble
from understudy.segment.publish import predicted_volumes, predicting
from understudy.stack import Stack
from understudy.stack.labels import label_names

ALL = 0  # number of the repeat in the scores: all of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scoring_arguments(parser)
    parser.add_argument("--weights", required=True, nargs="+", type=Path, help="of train_segmenter, of every repeat")
    parser.add_argument("--scores", required=True, type=Path, help="output, .csv")
    machine.add_device_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        machine.require_gpus(a)
        device, test = machine.use_device(a.device, a.threads), Stack.open(a.test)
        network, options, failure = load_ensemble(a.weights, test, device)
        predicted = predicted_volumes(predicting(network, device, options), test, a.slices)
        score_predictions(a, predicted, label_names(test.meta["labels"]), a.scores, ALL, failure)


if __name__ == "__main__":
    command_line.run(main)
