"""Counts how sure a finished segmenter is of the test subjects, and how often it is right."""

import argparse
from pathlib import Path

import pandas as pd

from understudy.files.atomic import write_text_atomically
from understudy.files.csv_files import csv_text
from understudy.run import command_line, machine
from understudy.segment.calibration import COLUMNS, calibration_counts
from understudy.segment.publish import load_to_score
from understudy.stack import Stack
from understudy.stack.lineage import check_trained_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, type=Path, help="of train_segmenter")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--slices", default="included", choices=["included", "all"], help="of the test volumes")
    parser.add_argument("--output", required=True, type=Path, help="calibration.csv")
    machine.add_device_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        machine.require_gpus(a)
        device, test = machine.use_device(a.device, a.threads), Stack.open(a.test)
        network, about = load_to_score(a.weights, device)
        check_trained_network(a.weights, about, test)
        rows = calibration_counts(network, test, a.slices, device, about["options"])
        write_text_atomically(a.output, csv_text(pd.DataFrame(rows, columns=COLUMNS)))


if __name__ == "__main__":
    command_line.run(main)
