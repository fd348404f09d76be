"""Makes the tables of the study (CSV, Markdown, LaTeX) from the scores of every training.

A scores file that does not exist is a failed training: it is listed in the table, not averaged, and no error.
"""

import argparse
import json
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.grid import Setting
from understudy.report.formats import write_tables
from understudy.report.tables import load_scores, make_tables, settings_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores.csv of each training")
    parser.add_argument("--scores-list", type=Path, help="a text file with one path of a scores.csv per line")
    parser.add_argument("--settings", help="JSON list of {dataset, segmenter, training_set, augmentation, repeats}")
    parser.add_argument("--evaluation", default="{}", help="JSON, the config's section: empties = study|challenge|nan")
    parser.add_argument("--published", default="{}", help="JSON, dataset -> brats2020, brats2021 or null")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables, results/tables")
    args = parser.parse_args()
    with named_os_errors():
        listed = args.scores_list.read_text().split("\n") if args.scores_list else []
        scores = load_scores([*args.scores, *(Path(line) for line in listed if line)])
        settings = [Setting(**s) for s in json.loads(args.settings)] if args.settings else settings_of(scores)
        policy = json.loads(args.evaluation).get("empties", "study")
        write_tables(args.output, make_tables(scores, settings, policy, json.loads(args.published)), policy)


if __name__ == "__main__":
    run(main)
