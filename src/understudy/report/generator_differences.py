"""Were the generators treated alike? Every option in which they differ, side by side, from the published weights.

A comparison of generators also compares how long each was trained, with which batch and weight average, and how it was
sampled. The table shows this: each option is a row, except those with the same value for all generators. A dash means
that a generator does not have the option.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd

from understudy.files.json_forms import CountManifest, TrainedManifest
from understudy.files.outside import read_json_as
from understudy.run.taken_so_far import read_actual

FACTS = ("images seen (kimg)", "device hours", "samples")


def generator_differences(
    results: str | Path, runs: str | Path, datasets: list[str], generators: list[str]
) -> pd.DataFrame:
    """A row per knob, a column per dataset and generator (dataset left out where there is one alone); all text.

    Training hours come from the run directories: a dash where these are gone.
    """
    columns = {}
    for dataset, name in product(datasets, generators):
        title = f"{dataset} {name}" if len(datasets) > 1 else name
        folder = Path(results) / dataset / "generators" / name
        weights = read_json_as(TrainedManifest, folder / "weights.json", "the manifest of weights")
        samples = read_json_as(CountManifest, folder / "samples.json", "the manifest of samples")
        actual = read_actual(Path(runs) / dataset / "generators" / name, weights["options"])
        hours = f"{actual.device_seconds / 3600:.3g}" if actual else ""
        facts = (f"{weights['images_seen'] / 1000:g}", hours, f"{samples['count']}")
        columns[title] = dict(zip(FACTS, facts, strict=True)) | {k: _text(v) for k, v in weights["options"].items()}
    rows = [*FACTS, *differing(columns)]
    cells = {title: [column.get(row, "") for row in rows] for title, column in columns.items()}
    return pd.DataFrame({"knob": rows, **cells}, dtype=object)


def differing(columns: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The options that not all have, or not all with one value; those of most generators first."""
    count = dict.fromkeys((key for column in columns.values() for key in column if key not in FACTS), 0)
    for key in count:
        count[key] = sum(key in column for column in columns.values())
    alike = {key for key in count if len({column.get(key) for column in columns.values()}) == 1}
    return sorted((key for key in count if key not in alike), key=lambda key: -count[key])


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)
