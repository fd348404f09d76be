"""What stands beside the Dice of the experiment `snapshots`: how many images a generator had been trained on, and
metrics of the images that it drew then."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.files.json_forms import TrainedManifest
from understudy.files.outside import read_json_as
from understudy.study.experiment_registry import Curves
from understudy.study.grid import turns_of
from understudy.study.result_paths import generator_folder

from .fidelity_table import fidelity_table, read_each
from .metrics_of_images import averaged_over_trainings, by_metric

POINT = ["dataset", "training_set"]  # of a point of the curves; `training_set` is a generator, or a snapshot of one
KIMG = "kimg"  # thousand images that the generator was trained on


def along_training(config: Mapping, curves: Iterable[Curves]) -> pd.DataFrame:
    """Columns POINT, KIMG and a column per metric of the images (metrics_of_images.column_of): a row for each point,
    means over the trainings of its generator. Of a failed training KIMG is not known.

    Raises ValueError where a manifest of weights, or what score_fidelity writes, is missing.
    """
    points = dict.fromkeys((c.dataset, point.training_set) for c in curves for point in c.points)
    named = dict.fromkeys(name for _, name in points)
    folders = [
        Path(generator_folder(config["results"], dataset, name))
        for dataset, training_set in points
        for name in turns_of(config, training_set) or (training_set,)
    ]
    fidelity = by_metric(fidelity_table(read_each(folders, "fidelity.csv")))
    metrics = averaged_over_trainings(fidelity, config, named).rename(columns={"generator": "training_set"})
    rows = pd.DataFrame(list(points), columns=POINT)
    rows[KIMG] = [_kimg(config, *point) for point in points]
    return rows.merge(metrics, on=POINT, how="left", validate="one_to_one")


def _kimg(config: Mapping, dataset: str, training_set: str) -> float:
    seen = []
    for name in turns_of(config, training_set) or (training_set,):
        path = f"{generator_folder(config['results'], dataset, name)}/weights.json"
        weights = read_json_as(TrainedManifest, path, "the manifest of weights")
        seen += [] if weights.get("failure") else [weights["images_seen"] / 1000]
    return float(np.mean(seen)) if seen else np.nan
