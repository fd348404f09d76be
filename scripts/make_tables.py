"""Makes the tables of the study (CSV, Markdown, LaTeX) from the scores of every training.

A scores file that does not exist is a failed training: it is listed in the table, not averaged, and no error.
"""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.grid import Setting
from understudy.core.outside import json_value
from understudy.report.formats import write_table, write_tables
from understudy.report.metrics_of_images import read_fidelity
from understudy.report.missing import missing_trainings
from understudy.report.tables import load_scores, make_tables, settings_of

# argument of make_tables: key of the config
OPTIONS = {"margin": "equivalence_margin", "ceiling": "control_ceiling", "draws": "bootstrap"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="the results folder; scores.csv of every setting are found there")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="or: scores.csv of each training")
    parser.add_argument("--scores-list", type=Path, help="or: a text file with one path of a scores.csv per line")
    parser.add_argument("--settings", help="JSON list of {dataset, segmenter, training_set, augmentation, repeats}")
    parser.add_argument(
        "--evaluation", default="{}", help="JSON, the config's section: empties, equivalence_margin, ..."
    )
    parser.add_argument("--validation", default="study", choices=["study", "apart"], help="what chose the weights")
    parser.add_argument("--fidelity", type=Path, help="tables/fidelity.csv, or any with dataset, generator, metrics")
    parser.add_argument("--published", default="{}", help="JSON, dataset -> brats2020, brats2021 or null")
    parser.add_argument("--runs", type=Path, help="the runs folder: also say why trainings are missing")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        settings = [Setting(**s) for s in json_value(args.settings or "[]")]
        scores = load_scores(scores_files(args, settings))
        settings = settings if args.settings else settings_of(scores)
        evaluation = json_value(args.evaluation)
        policy = evaluation.get("empties", "study")
        how = {key: evaluation[name] for key, name in OPTIONS.items() if name in evaluation}
        fidelity = read_fidelity(args.fidelity) if args.fidelity else None
        tables = make_tables(scores, settings, policy, json_value(args.published), fidelity, **how)
        write_tables(args.output, tables, policy, args.validation)
        if args.runs:
            write_table(args.output, "missing", missing_trainings(settings, str(args.results), str(args.runs)))


def scores_files(args: argparse.Namespace, settings: list[Setting]) -> list[Path]:
    if args.results and not args.settings:
        raise ValueError("--results: found no --settings, expected them to know which scores to look for")
    listed = args.scores_list.read_text().split("\n") if args.scores_list else []
    of_settings = [path for s in settings for path in s.files(str(args.results), "scores.csv")] if args.results else []
    return [*args.scores, *(Path(path) for path in [*listed, *of_settings] if path)]


if __name__ == "__main__":
    run(main)
