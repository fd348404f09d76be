"""Makes table and figure of an experiment (proportions, few_subjects, ensembles, subset) from its trainings' scores.

A scores file that does not exist is a failed training: it is listed in the table, not averaged, and no error.
"""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.experiments import POINTS, Curves
from understudy.core.forms import StacksCounts
from understudy.core.grid import Setting
from understudy.core.outside import json_value, read_json_as
from understudy.evaluate.scores import LABEL, apply_policy
from understudy.report.cells import cells_of
from understudy.report.curves import draw_curves
from understudy.report.experiment_sentences import experiment_note, published_ends
from understudy.report.experiments import experiment_table
from understudy.report.figures import save
from understudy.report.formats import write_table
from understudy.report.tables import load_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", required=True, choices=list(POINTS))
    parser.add_argument("--results", type=Path, required=True, help="the results folder")
    parser.add_argument("--curves", required=True, help="JSON list of {dataset, segmenter, augmentation, points}")
    parser.add_argument("--repeats", type=int, required=True, help="of each setting")
    parser.add_argument("--evaluation", default="{}", help="JSON, the config's section: empties, bootstrap")
    parser.add_argument("--validation", default="study", choices=["study", "apart"], help="what chose the weights")
    parser.add_argument("--published", default="{}", help="JSON, dataset -> brats2020, brats2021 or null")
    a = parser.parse_args()
    with named_os_errors():
        curves, evaluation = [Curves.of_dict(c) for c in json_value(a.curves)], json_value(a.evaluation)
        scores = load_scores(path for c in curves for path in files_of(c, a))
        counted = apply_policy(scores, evaluation.get("empties", "study"))
        counted = counted[counted["kind"] == LABEL]
        cells = cells_of(counted, ["dice"], list(dict.fromkeys(counted["label"])))
        subjects = {c.dataset: training_subjects(a.results / c.dataset) for c in curves}
        draws = evaluation.get("bootstrap", 2000)
        table = experiment_table(a.experiment, curves, cells, a.repeats, draws, subjects)
        published = published_ends(a.experiment, curves, json_value(a.published))
        note = experiment_note(a.experiment, table, a.validation, published)
        write_table(a.results / "tables", a.experiment, table, note)
        save(draw_curves(a.experiment, table, published), a.results / "figures" / a.experiment)


def files_of(curves: Curves, a: argparse.Namespace) -> list[str]:
    names = dict.fromkeys(point.training_set for point in curves.points)
    settings = (Setting(curves.dataset, curves.segmenter, n, curves.augmentation, a.repeats) for n in names)
    return [path for setting in settings for path in setting.files(str(a.results), "scores.csv")]


def training_subjects(folder: Path) -> int:
    return len(read_json_as(StacksCounts, folder / "stacks/stacks.json", "stacks.json")["splits"]["train"]["subjects"])


if __name__ == "__main__":
    run(main)
