"""Makes the tables of the study (CSV, Markdown, LaTeX) from the scores of every training.

A scores file that does not exist is a failed training: it is listed in the table, not averaged, and no error.
"""

import argparse
from pathlib import Path

from understudy.config.study import config_argument
from understudy.report.formats import write_table, write_tables
from understudy.report.metrics_of_images import read_fidelity
from understudy.report.registry import TABLES, made_by
from understudy.report.study_scores import StudyScores, load_scores, settings_of
from understudy.run.command_line import named_os_errors, run
from understudy.study.grid import grid, settings
from understudy.study.looks import after_looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="of a study: results/config.yaml, or its parts as JSON")
    parser.add_argument("--so-far", action="store_true", help="of all that it trains; and why some have no scores")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="or: scores.csv of any trainings")
    parser.add_argument("--scores-list", type=Path, help="or: a text file with one path of a scores.csv per line")
    parser.add_argument("--fidelity", type=Path, help="tables/fidelity.csv, or any with dataset, generator, metrics")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        fidelity = read_fidelity(args.fidelity) if args.fidelity else None
        if args.config:
            config = config_argument(args.config)
            trained = after_looks(settings(config) if args.so_far else grid(config), config)
            study = StudyScores.of_config(config, trained, fidelity)
        else:
            listed = args.scores_list.read_text().split("\n") if args.scores_list else []
            scores = load_scores([*args.scores, *(Path(path) for path in listed if path)])
            study = StudyScores(scores, settings_of(scores), fidelity=fidelity)
        write_tables(args.output, made_by("make_tables"), study)
        if args.config and args.so_far:
            missing = TABLES["missing"].build((trained, config["results"], config["runs"]))
            write_table(args.output, "missing", missing, rehearsal=config["rehearsal"])


if __name__ == "__main__":
    run(main)
