"""Converts a stack into a folder per channel (the layout of the published data set), or such folders into a stack.

python scripts/convert_stack.py export results/phantom/stacks/train.zip folders
python scripts/convert_stack.py import folders samples.zip --channels t1=T1 t1ce=T1CE t2=T2 flair=FLAIR seg=Seg
"""

import argparse
from pathlib import Path

from understudy.files.outside import json_argument
from understudy.run.command_line import named_os_errors, run
from understudy.stack import Stack
from understudy.stack.channel_folders import export_folders, folders_named, import_folders

LABELS = '{"ncr_net": 51, "ed": 102, "et": 204}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("direction", choices=["export", "import"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument(
        "--channels", nargs="+", default=[], metavar="NAME=FOLDER", help="where a folder's name differs"
    )
    parser.add_argument("--labels", type=json_argument, default=LABELS, help=f"grey levels of an import, {LABELS}")
    parser.add_argument("--lineage", type=Path, metavar="STACK", help="of an import: made from this stack's subjects")
    a = parser.parse_args()
    given = folders_named(a.channels)
    with named_os_errors():
        if a.direction == "export":
            stack = Stack.open(a.source)
            count = export_folders(stack, a.target, {c: given.get(c, c) for c in stack.channels})
        else:
            names = given or {c: c for c in ("t1", "t1ce", "t2", "flair", "seg")}
            lineage = Stack.open(a.lineage).meta["lineage"] if a.lineage else None
            count = import_folders(a.source, names, a.labels, a.target, lineage)
    print(f"{count} images: {a.target}")


if __name__ == "__main__":
    run(main)
