"""Makes the figures of one data set: samples, predictions_{segmenter} and dice, as PNG and PDF.

What they show is found in the results folder: stacks, samples of each generator, and of each training its scores and
its prediction of an example slice. A missing example or scores file is a failed training: its place stays empty.
"""

import argparse
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.core.csv_files import read_csv
from understudy.core.grid import Setting
from understudy.core.outside import json_value
from understudy.core.stack import Stack
from understudy.evaluate.scores import apply_policy
from understudy.report.figures import REPEATS_SHOWN, Example, draw_dice, draw_predictions, draw_samples, save
from understudy.report.tables import load_scores, published_of, repeat_means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--results", type=Path, required=True, help="the results folder")
    parser.add_argument("--settings", required=True, help="JSON list of {dataset, segmenter, training_set, ...}")
    parser.add_argument("--table", type=Path, help="tables/dice.csv: its published values become hollow diamonds")
    parser.add_argument("--evaluation", default="{}", help="JSON, the config's section: empties = study|challenge|nan")
    parser.add_argument("--generators", nargs="*", default=[], help="whose samples to show")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures, results/figures/<dataset>")
    args = parser.parse_args()
    with named_os_errors():
        settings = [s for s in (Setting(**s) for s in json_value(args.settings)) if s.dataset == args.dataset]
        folder = args.results / args.dataset
        real = Stack.open(folder / "stacks" / "train.zip")
        if args.generators:
            samples = {name: Stack.open(folder / "generators" / name / "samples.zip") for name in args.generators}
            save(draw_samples(real, samples), args.output / "samples")
        for segmenter in dict.fromkeys(s.segmenter for s in settings):
            examples = [e for s in settings if s.segmenter == segmenter for e in examples_of(s, args.results)]
            save(draw_predictions(examples, real.meta["labels"]), args.output / f"predictions_{segmenter}")
        save(dice_figure(args, settings), args.output / "dice")


def examples_of(setting: Setting, results: Path) -> list[Example]:
    paths = setting.files(str(results), "example.png")[:REPEATS_SHOWN]
    return [Example(setting.training_set, setting.augmentation, r, Path(path)) for r, path in enumerate(paths, start=1)]


def dice_figure(args: argparse.Namespace, settings: list[Setting]):
    scores = load_scores(path for s in settings for path in s.files(str(args.results), "scores.csv"))
    counted = apply_policy(scores, json_value(args.evaluation).get("empties", "study"))
    published = published_of(read_csv(args.table), args.dataset) if args.table else None
    return draw_dice(repeat_means(counted, "dice"), settings, published)


if __name__ == "__main__":
    run(main)
