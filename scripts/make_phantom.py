"""Writes a phantom data set: BraTS-like subjects with tumors as .nii.gz files, and phantom.json that lists them."""

import argparse
from pathlib import Path

from understudy.prepare.phantom import make_phantom, read_options
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--options", default="{}", help="JSON object: subjects, size, seed, without_enhancing, ...")
    parser.add_argument("--output", type=Path, required=True, help="<root>/phantom.json; the subjects lie beside it")
    parser.add_argument("--workers", type=int, default=1, help="subjects at the same time (1 GB each at size 240)")
    args = parser.parse_args()
    if args.output.name != "phantom.json":
        raise ValueError(f"--output: found {args.output}, expected a path that ends in /phantom.json")
    with named_os_errors():
        make_phantom(args.output.parent, read_options(args.options), args.workers)


if __name__ == "__main__":
    run(main)
