"""The trainings that the tables lack, and why: failed for good, killed, out of time, under way, not begun."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from understudy.run.status import STATES, standing, work_of
from understudy.study.grid import Setting

COLUMNS = ["dataset", "segmenter", "training_set", "augmentation", "repeat", "state", "images_seen", "images", "why"]


def missing_trainings(settings: Sequence[Setting], results: str, runs: str) -> pd.DataFrame:
    """A row for every training without scores, with what its run directory tells. Columns: COLUMNS."""
    rows = []
    for setting in settings:
        for repeat in setting.numbers:
            work = work_of(setting, repeat, results, runs)
            if not Path(work.output).exists():  # where it does, a failure has scores, too
                now = standing(work)
                keys = {key: value for key, value in setting.as_dict().items() if key != "repeats"}
                seen = {"images_seen": now.images_seen, "images": now.images}
                rows.append(
                    {**keys, "repeat": repeat, "state": now.state, **seen, "why": now.word or STATES[now.state]}
                )
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"images_seen": "Int64", "images": "Int64"})
