"""Prints what a finished study says and where its tables and figures are."""

import argparse
from pathlib import Path

from understudy.config.study import complete, load_yaml
from understudy.run import command_line
from understudy.study.grid import grid

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path)
    a = parser.parse_args()
    config = complete(load_yaml(a.config))
    results = Path(config["results"])
    answers = results / "answers.txt"
    if not answers.is_file():
        raise ValueError(f"{answers}: no such file; the study of {a.config} is not finished")
    print(answers.read_text())
    print(f"{sum(s.repeats for s in grid(config))} trainings of segmenters. Look at:")
    print(f"  tables    {results / 'tables'} (CSV, Markdown, LaTeX)")
    for dataset in config["datasets"]:
        print(f"  figures   {results / 'figures' / dataset}")
        for generator in config["generators"]:
            print(f"  samples   {results / dataset / 'generators' / generator / 'samples.png'}")
    for dataset in config["datasets"] if config["reader_study"]["generators"] else []:
        print(f"  readers   {results / dataset / 'reader_study' / 'page.html'} (can you tell?)")
    who = "shows no image" if config["report"]["shareable"] else "shows patients: do not share it"
    print(f"  report    {results / 'report.html'} (opens in any browser, without a network; {who})")
    print(f"  logs      {results / 'logs'}")


if __name__ == "__main__":
    command_line.run(main)
