"""All checks of a release, one after the other."""

import os
import sys

from understudy.study.bids_names import BIDS_FOLDER

from .bids_volumes import bids_problems
from .image_archive import archive_problems
from .isolated import HERE, SUMS
from .listed_files import files_in, sha256_of, shown, sum_problems
from .picture_folders import folder_problems, picture_problems


def image_problems(folder, names):
    """(how many images were looked at, a line for each that is damaged or carries more than pixels)."""
    single = [name for name in names if name.startswith("images/") or name.lower().endswith(".png")]
    volumes = [n for n in names if n.startswith(f"{BIDS_FOLDER}/") or n.lower().endswith((".nii", ".nii.gz"))]
    if "images.zip" not in names:
        return 0, [f"{shown(name)}: found without images.zip" for name in single + volumes]
    inside, about, problems = archive_problems(os.path.join(folder, "images.zip"))
    problems = [f"images.zip, {problem}" for problem in problems]
    if single and about:
        problems += folder_problems(folder, single, inside, about)
        problems += picture_problems(folder, about) if not problems else []
    if volumes and about and not problems:
        problems += bids_problems(folder, volumes, inside, about)
    more = [name for name in single + volumes if name.endswith((".png", ".nii.gz"))]
    return len(inside) + len(more), problems


def main():
    problems = sum_problems(HERE)
    if problems:
        sys.exit("\n".join(problems))
    names = files_in(HERE)
    count, problems = image_problems(HERE, names)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(names)} files are as listed, {count} images hold pixels alone")
    print(f"SHA-256 of {SUMS}: {sha256_of(os.path.join(HERE, SUMS))}")


if __name__ == "__main__":
    main()
