"""Cuts the volumes of an indexed data set into two stacks of PNG slices, train and test, and writes their manifest."""

import argparse
from pathlib import Path

from understudy.files.outside import json_argument
from understudy.prepare.slices import slice_volumes
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="its name in the config")
    parser.add_argument("--options", type=json_argument, required=True, help="JSON of config datasets.NAME")
    parser.add_argument("--images", type=json_argument, required=True, help="JSON of config images")
    parser.add_argument("--root", type=Path, help="folder of the raw data (default: root of --options)")
    parser.add_argument("--index", type=Path, required=True, help="subjects.csv of index_subjects")
    parser.add_argument("--train", type=Path, required=True, help="stack to write: slices of train that the rule keeps")
    parser.add_argument("--test", type=Path, required=True, help="stack to write: all slices of the test subjects")
    parser.add_argument("--manifest", type=Path, required=True, help="stacks.json to write: hashes, counts, lineage")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished subjects, survives a kill")
    parser.add_argument("--workers", type=int, default=1, help="subjects at the same time, 0.5 GB each")
    args = parser.parse_args()
    root = args.root or args.options.get("root")
    if not root:
        raise ValueError("--root: found none, expected the folder of the raw data here or as root in --options")
    with named_os_errors():
        slice_volumes(
            args.dataset, root, args.options, args.images, args.index, args.train, args.test, args.manifest, args.work,
            workers=args.workers,
        )  # fmt: skip


if __name__ == "__main__":
    run(main)
