"""Checks configs against what a config may say and says what study each one asks for."""

import argparse
from collections import Counter
from pathlib import Path

from understudy.config.study import complete, load_yaml
from understudy.run import command_line
from understudy.study.grid import grid

ROOT = Path(__file__).resolve().parent.parent


def summary(config: dict) -> str:
    """One line per dataset: settings, segmenters, repeats, trainings."""
    settings = Counter((s.dataset, s.segmenter) for s in grid(config))
    segmenters, repeats = len(config["segmenters"]), config["experiments"]["repeats"]
    lines = []
    for dataset in config["datasets"]:
        per_segmenter = settings[dataset, next(iter(config["segmenters"]))]
        total = per_segmenter * segmenters * repeats
        lines.append(
            f"  {dataset}: {len(config['generators'])} generators; {per_segmenter} settings x {segmenters} segmenters"
            f" x {repeats} repeats = {total} trainings"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", type=Path)
    for path in parser.parse_args().configs:
        given = load_yaml(path)  # names the file by itself
        try:
            print(f"{path}: valid\n{summary(complete(given))}")
        except ValueError as error:
            raise ValueError(f"{path}:\n{error}") from error


if __name__ == "__main__":
    command_line.run(main)
