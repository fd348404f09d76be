"""What a finished study took, from its run directories: hours of devices, trainings, images."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from understudy.run.taken_so_far import Actual, read_actual
from understudy.study.grid import Setting

from .verdict_marks import Said

COLUMNS = ["dataset", "what", "trainings", "images_seen", "device_hours"]
WORK = {"training": "generators", "sampling": "samples"}  # of a generator -> where its run directories are


def costs_so_far(runs: str | Path, settings: Sequence[Setting], generators: Sequence[str]) -> pd.DataFrame:
    """A row for every generator (its training, its sampling) and segmenter of a data set, and their sum. Columns
    COLUMNS; hours are nan where a run directory is gone."""
    rows = []
    for dataset in dict.fromkeys(s.dataset for s in settings):
        for generator in generators:
            for what, folder in WORK.items():
                found = [read_actual(Path(runs) / dataset / folder / generator, {})]
                rows.append((dataset, f"{generator}: {what}", *_of(found)))
        for segmenter in dict.fromkeys(s.segmenter for s in settings if s.dataset == dataset):
            own = [s for s in settings if (s.dataset, s.segmenter) == (dataset, segmenter)]
            folders = [folder for s in own for folder in s.files(str(runs), "")]
            rows.append((dataset, f"{segmenter}: all trainings", *_of([read_actual(f, {}) for f in folders])))
    table = pd.DataFrame(rows, columns=COLUMNS)
    if len(table):
        total = ("all", "sum of what is known", *(table[name].sum() for name in COLUMNS[2:]))
        table.loc[len(table)] = total
    return table


def cost_of(runs: str | Path, datasets: Sequence[str], trainings: Sequence[str]) -> Said:
    """What a generator's trainings took, with the sampling of their images."""
    hours = {
        what: _of([read_actual(Path(runs) / d / folder / name, {}) for d in datasets for name in trainings])[-1]
        for what, folder in WORK.items()
    }
    total = sum(hours.values())
    if math.isnan(total):
        return Said("", "Not known", why=["its run directories are gone, or others made the images"])
    said = [f"{what} {spoken_hours(one)}" for what, one in hours.items()]
    return Said("", spoken_hours(total), said, [f"{len(trainings)} trainings"] * (len(trainings) > 1))


def spoken_hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{60 * hours:.1f} minutes" if 60 * hours >= 1 else f"{3600 * hours:.0f} seconds"


def _of(found: Sequence[Actual | None]) -> tuple[int, int, float]:
    """(trainings, images seen, device hours); an unknown training makes the hours unknown."""
    known = [one for one in found if one]
    hours = sum(one.device_seconds for one in known) / 3600 if len(known) == len(found) else float("nan")
    return len(found), sum(one.images_seen for one in known), hours
