"""Makes the figures of one data set: samples, predictions_{segmenter} and dice, as PNG and PDF; and one image of each
generator, thumbnails/{generator}.png, for the report.

What they show is found in the results folder: stacks, samples of each generator, and of each training its scores and
its prediction of an example slice. A missing example or scores file is a failed training: its place stays empty.
"""

import argparse
from pathlib import Path

import pandas as pd

from understudy.config.study import config_argument
from understudy.evaluate.scores import apply_policy
from understudy.files.csv_files import read_csv
from understudy.report.fidelity_figure import draw_fidelity_beside_use
from understudy.report.figure_note import note_trainings
from understudy.report.figures import (
    REPEATS_SHOWN,
    Example,
    draw_dice,
    draw_predictions,
    draw_samples,
    draw_thumbnail,
    save,
    save_thumbnail,
)
from understudy.report.score_tables import published_of
from understudy.report.study_scores import of_trainings, repeat_means, scores_of
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack
from understudy.study.grid import Setting, base_sources, grid, trainings_of_generators
from understudy.study.looks import after_looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--config", required=True, help="of a study: results/config.yaml, or its parts as JSON")
    parser.add_argument("--table", type=Path, help="tables/dice.csv: its published values become hollow diamonds")
    parser.add_argument("--fidelity", type=Path, help="tables/fidelity.csv, where there is one")
    parser.add_argument("--snapshots", type=Path, help="tables/snapshots.csv, where there is one")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures, results/figures/<dataset>")
    args = parser.parse_args()
    with named_os_errors():
        config = config_argument(args.config)
        settings = [s for s in after_looks(grid(config), config) if s.dataset == args.dataset]
        results = Path(config["results"])
        folder = results / args.dataset
        real = Stack.open(folder / "stacks" / "train.zip")
        if names := base_sources(config):
            samples = {name: Stack.open(folder / "generators" / name / "samples.zip") for name in names}
            save(draw_samples(real, samples), args.output / "samples")
            for name, stack in samples.items():
                save_thumbnail(draw_thumbnail(stack), args.output / "thumbnails" / f"{name}.png")
        for segmenter in dict.fromkeys(s.segmenter for s in settings):
            examples = [e for s in settings if s.segmenter == segmenter for e in examples_of(s, results)]
            save(draw_predictions(examples, real.meta["labels"]), args.output / f"predictions_{segmenter}")
        means = repeat_means(apply_policy(scores_of(settings, results), config["evaluation"]["empties"]), "dice")
        published = published_of(read_csv(args.table), args.dataset) if args.table else None
        figure = note_trainings(draw_dice(means, settings, published), trainings_of_generators(config))
        save(figure, args.output / "dice")
        if args.fidelity:
            wanted = config["experiments"]["augmentations"][0]
            trainings = of_trainings(means, [s for s in settings if s.augmentation == wanted])
            beside = draw_fidelity_beside_use(*rows_of(args, config), trainings, snapshots_of(args, wanted))
            save(note_trainings(beside, trainings_of_generators(config)), args.output / "fidelity_dice")


def examples_of(setting: Setting, results: Path) -> list[Example]:
    paths = setting.files(str(results), "example.png")[:REPEATS_SHOWN]
    return [Example(setting.training_set, setting.augmentation, r, Path(path)) for r, path in enumerate(paths, start=1)]


def rows_of(args: argparse.Namespace, config: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of the tables dice and fidelity, those of the data set; the former of the first augmentation."""
    dice, fidelity = read_csv(args.table), read_csv(args.fidelity)
    wanted = config["experiments"]["augmentations"][0]
    dice = dice[(dice["dataset"] == args.dataset) & (dice["augmentation"] == wanted)]
    return dice, fidelity[fidelity["dataset"] == args.dataset]


def snapshots_of(args: argparse.Namespace, augmentation: str) -> pd.DataFrame | None:
    """Of the table snapshots, the rows of the data set with this augmentation."""
    if not args.snapshots:
        return None
    table = read_csv(args.snapshots)
    return table[(table["dataset"] == args.dataset) & (table["augmentation"] == augmentation)]


if __name__ == "__main__":
    run(main)
