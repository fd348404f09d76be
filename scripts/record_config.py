"""Writes down what a study was asked for, defaults included, beside what comes of it."""

import argparse
from pathlib import Path

import yaml

from understudy.files.atomic import write_text_atomically
from understudy.files.outside import json_argument
from understudy.run import command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json_argument, required=True, help="the whole config as JSON")
    parser.add_argument("--output", type=Path, required=True, help="results/config.yaml")
    args = parser.parse_args()
    with command_line.named_os_errors():
        write_text_atomically(args.output, yaml.safe_dump(args.config, sort_keys=False))


if __name__ == "__main__":
    command_line.run(main)
