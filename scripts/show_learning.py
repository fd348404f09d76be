"""Prints how well each generator, or segmenter, of a finished study learned, beside bars that a working one passes.

Distance: Frechet, of random features (understudy.evaluate.random_network), of its samples to the held-out images;
untrained is the same network before its first iteration. Dice: of the segmenter that was trained on its samples alone,
and on real images. Without generators: the Dice of every segmenter trained on real images, over its repeats. Ends with
1 where a bar is missed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.config.study import complete, load_yaml
from understudy.evaluate.frechet import Moments, frechet_distance
from understudy.evaluate.random_network import features
from understudy.files.atomic import write_text_atomically
from understudy.generate.weights import coding_of, read_metadata, seeded_build
from understudy.run import command_line
from understudy.run.progress import last_line
from understudy.stack import Stack
from understudy.study.grid import grid

ROOT = Path(__file__).resolve().parent.parent
DISTANCE, DICE = 1 / 5, 0.6  # of the untrained distance at most, of the real Dice at least
SEGMENTER_DICE = 0.75  # of every repeat at least
UNTRAINED = 128  # samples; their distance is far from any other
BLOCK = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, type=Path)
    a = parser.parse_args()
    config = complete(load_yaml(a.config))
    lines, missed = [], 0
    for dataset in config["datasets"]:
        more, bad = (table if config["generators"] else segmenters_table)(config, dataset)
        lines, missed = lines + more, missed + bad
    write_text_atomically(Path(config["results"]) / "learning.md", "\n".join(lines) + "\n")
    print("\n".join(lines))
    sys.exit(missed > 0)


def table(config: dict, dataset: str) -> tuple[list[str], int]:
    """(lines of Markdown, bars that were missed)."""
    folder = Path(config["results"]) / dataset
    real = moments(folder / "stacks/test.zip")
    floor, best = frechet_distance(moments(folder / "stacks/train.zip"), real), dice(folder, "real")
    lines = [
        f"{dataset}: training images have distance {floor:.2f} to the held-out ones; a segmenter trained on them has "
        f"Dice {best:.3f}.",
        "",
        f"| generator | kimg | minutes | distance | untrained | share (at most {DISTANCE:g}) | Dice | of real "
        f"(at least {DICE:g}) | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    missed = 0
    for name in config["generators"]:
        path = folder / f"generators/{name}/weights.safetensors"
        metadata = read_metadata(path)
        distance = frechet_distance(moments(path.with_name("samples.zip")), real)
        start = frechet_distance(untrained(metadata), real)
        score = dice(folder, name)
        passed = distance <= DISTANCE * start and score >= DICE * best
        missed += not passed
        minutes = training_minutes(Path(config["runs"]) / dataset / "generators" / name)
        lines.append(
            f"| {name} | {metadata['images_seen'] / 1000:g} | {minutes:.1f} | {distance:.2f} | {start:.1f} "
            f"| {distance / start:.3f} | {score:.3f} | {score / best:.2f} | {'passed' if passed else 'MISSED'} |"
        )
    return [*lines, ""], missed


def segmenters_table(config: dict, dataset: str) -> tuple[list[str], int]:
    """The same for segmenters."""
    lines = [
        f"{dataset}: trained on real images, {config['experiments']['repeats']} repeats.",
        "",
        f"| segmenter | images seen | minutes | Dice (at least {SEGMENTER_DICE:g}) | of each repeat | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    missed = 0
    for setting in (s for s in grid(config) if s.dataset == dataset):
        values = [mean_dice(path) for path in setting.files(config["results"], "scores.csv")]
        minutes = sum(training_minutes(Path(run)) for run in setting.files(config["runs"], "")) / setting.repeats
        passed = min(values) >= SEGMENTER_DICE
        missed += not passed
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(
            f"| {setting.segmenter} | {config['segmenters'][setting.segmenter]['samples']} | {minutes:.1f} "
            f"| {np.mean(values):.3f} ± {np.std(values):.3f} | {each} | {'passed' if passed else 'MISSED'} |"
        )
    return [*lines, ""], missed


def moments(path: Path) -> Moments:
    stack = Stack.open(path)
    blocks = (stack.read(range(i, min(i + BLOCK, len(stack)))) for i in range(0, len(stack), BLOCK))
    return Moments.of(np.concatenate([features(x_NCHW) for x_NCHW in blocks]))


def untrained(metadata: dict) -> Moments:
    coding = coding_of(metadata)
    channels = coding.count(len(metadata["channels"]))
    name, size, seed = (metadata[key] for key in ("generator", "size", "seed"))
    generator = seeded_build(name, channels, size, seed, **metadata["options"])
    return Moments.of(features(coding.decode(generator.sample(UNTRAINED, seed))))


def dice(folder: Path, training_set: str) -> float:
    """Mean over segmenters, augmentations and repeats of the mean over labels of the mean over test subjects."""
    paths = sorted(folder.glob(f"segmenters/*/{training_set}/*/repeat*/scores.csv"))
    if not paths:
        raise ValueError(f"{folder}/segmenters: found no scores of {training_set}; run the study first")
    return sum(map(mean_dice, paths)) / len(paths)


def mean_dice(scores: str | Path) -> float:
    return float(pd.read_csv(scores).groupby("label")["dice"].mean().mean())


def training_minutes(runs: Path) -> float:
    newest = max(runs.glob("*/progress.jsonl"), key=lambda path: path.stat().st_mtime, default=None)
    line = last_line(newest.parent) if newest else None
    return line["seconds"] / 60 if line else float("nan")


if __name__ == "__main__":
    command_line.run(main)
