"""What scripts that score a segmenter have alike: their arguments, and how its predictions become a file of scores."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from understudy.files.outside import json_argument

from .scores import Predicted, score_subjects, write_scores
from .surface import TOLERANCE_MM

SETTING = ("dataset", "segmenter", "training_set", "augmentation")


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    for name in ("dataset", "segmenter", "training-set"):
        parser.add_argument(f"--{name}", required=True, help="of the training, as the scores name it")
    parser.add_argument("--augmentation", required=True, choices=["augmented", "plain"])
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--slices", default="included", choices=["included", "all"], help="of the test volumes")
    parser.add_argument("--regions", type=json_argument, default={}, help="JSON, name -> labels scored together")
    parser.add_argument("--tolerance-mm", type=float, default=TOLERANCE_MM, help="of surface Dice")


def score_predictions(
    a: argparse.Namespace, predicted: Iterable[Predicted], labels: Sequence[str], path: Path, repeat: int, failure: str
) -> None:
    """Writes the scores of predicted volumes, under the names of the arguments above. `failure`: why the training
    failed; empty where it did not."""
    keys = {key: getattr(a, key) for key in SETTING} | {"repeat": repeat, "failure": failure}
    write_scores(path, score_subjects(keys, predicted, labels, a.regions, a.tolerance_mm))
