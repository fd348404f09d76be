"""Makes table and figure of an experiment beyond the grid from its trainings' scores.

A scores file that does not exist is a failed training: it is listed in the table, not averaged, and no error.
"""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.evaluate.scores import LABEL, apply_policy
from understudy.files.json_forms import StacksCounts
from understudy.files.outside import read_json_as
from understudy.report.experiment_figure import draw_curves
from understudy.report.experiment_sentences import published_ends
from understudy.report.experiment_tables import Trained
from understudy.report.figure_note import note_trainings
from understudy.report.figures import save
from understudy.report.formats import write_tables
from understudy.report.notes import of_all
from understudy.report.registry import TABLES
from understudy.report.score_arrays import cells_of
from understudy.report.snapshots_table import along_training
from understudy.report.study_scores import scores_of
from understudy.run.command_line import named_os_errors, run
from understudy.study.experiment_registry import EXPERIMENTS, Curves, curves
from understudy.study.grid import Setting, setting_of
from understudy.study.result_paths import stacks_folder


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--experiment", required=True, choices=list(EXPERIMENTS))
    a = parser.parse_args()
    with named_os_errors():
        config = config_argument(a.config)
        results = Path(config["results"])
        found = list(curves(config, a.experiment))
        trained_settings = list(dict.fromkeys(setting for c in found for setting in settings_of_curves(c, config)))
        scores = scores_of(trained_settings, results)
        counted = apply_policy(scores, config["evaluation"]["empties"])
        counted = counted[counted["kind"] == LABEL]
        cells = cells_of(counted, ["dice"], list(dict.fromkeys(counted["label"])), trained_settings)
        subjects = {c.dataset: training_subjects(results, c.dataset) for c in found}
        trained = Trained(
            a.experiment,
            found,
            cells,
            config["experiments"]["repeats"],
            subjects,
            along_training(config, found) if EXPERIMENTS[a.experiment].of_training else None,
            **of_all(config),
        )
        write_tables(results / "tables", [TABLES[a.experiment]], trained)
        table = trained.table(a.experiment)
        figure = draw_curves(a.experiment, table, published_ends(a.experiment, table, trained.published))
        save(note_trainings(figure, trained.generator_seeds), results / "figures" / a.experiment)


def settings_of_curves(found: Curves, config: dict) -> list[Setting]:
    names = dict.fromkeys(point.training_set for point in found.points)
    return [setting_of(config, found.dataset, found.segmenter, n, found.augmentation) for n in names]


def training_subjects(results: Path, dataset: str) -> int:
    return len(
        read_json_as(StacksCounts, f"{stacks_folder(results, dataset)}/stacks.json", "stacks.json")["splits"]["train"][
            "subjects"
        ]
    )


if __name__ == "__main__":
    run(main)
