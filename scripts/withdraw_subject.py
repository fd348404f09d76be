"""Prints what depends on a subject who withdraws consent: stacks, generators, releases, and images that come too near.

    python scripts/withdraw_subject.py --results results --dataset brats2020 --subject BraTS20_Training_012

Nothing is removed. To leave the subject out, remove its files from the raw data and its line from the split file, if
there is one, and run the study again with `--forcerun index_subjects`: what has seen the subject is made anew.
"""

import argparse
from pathlib import Path

from understudy.audit.withdraw import dependents, identity_of, near_images
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--subject", required=True, help="its name in subjects.csv")
    a = parser.parse_args()
    with named_os_errors():
        identity, split = identity_of(a.results, a.dataset, a.subject)
        print(f"{a.subject} of {a.dataset} is in the {split} set; identity {identity}")
        for one in dependents(a.results, identity):
            print(f"  {one.path}: {one.why}")
        images = near_images(a.results, a.dataset, a.subject)
        print(f"{len(images)} flagged synthetic images have their nearest training image in this subject")
        for row in images.itertuples():
            print(f"  {row.stack}, {row.image}: r {row.correlation:.3f} with {row.nearest}")


if __name__ == "__main__":
    run(main)
