"""Finds, splits and checks all subjects of a data set, and writes its index, subjects.csv."""

import argparse
from pathlib import Path

from understudy.files.outside import json_argument
from understudy.files.salt import drawn_salt
from understudy.prepare.index import index_subjects
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="its name in the config; identities begin with it")
    parser.add_argument("--options", type=json_argument, required=True, help="JSON of config datasets.NAME")
    parser.add_argument("--images", type=json_argument, required=True, help="JSON of config images")
    parser.add_argument("--root", type=Path, help="folder of the raw data (default: root of --options)")
    parser.add_argument("--seed", type=int, default=1, help="draws the test subjects where there is no split file")
    parser.add_argument("--salt", type=Path, help="file of the study's secret, which draws too; made the first time")
    parser.add_argument("--output", type=Path, required=True, help="subjects.csv to write")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished subjects, survives a kill")
    parser.add_argument("--workers", type=int, default=1, help="subjects at the same time, 0.3 GB each")
    args = parser.parse_args()
    root = args.root or args.options.get("root")
    if not root:
        raise ValueError("--root: found none, expected the folder of the raw data here or as root in --options")
    with named_os_errors():
        salt = drawn_salt(args.salt) if args.salt else None
        how = {"seed": args.seed, "workers": args.workers, "salt": salt}
        index_subjects(args.dataset, root, args.options, args.images, output=args.output, work=args.work, **how)


if __name__ == "__main__":
    run(main)
