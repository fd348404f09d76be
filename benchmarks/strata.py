"""Does the interval of a group of patients hold its true Dice? Simulated studies, written to strata.md.

A group of a stratum has few of the 56 test subjects; the model of a score is that of conclusions.py, and the truth is
the mean over all patients of the group and over all trainings. Each line is of 2000 studies: a share of 95 % is known
to half a point.

    python benchmarks/strata.py                 # twelve seconds of a core
"""

import argparse
from pathlib import Path

import conclusions
import numpy as np
from conclusions import DESIGNS, LUCK, Simulated, covered

from understudy.statistics.intervals import interval

SIZES = (5, 8, 14, 19, 28)  # subjects of a group; below 5 the table marks it as too few


def held(subjects: int, design: Simulated, seed: int = 3) -> float:
    """Share of studies."""
    host = np.random.default_rng(seed)
    shared = conclusions.BY_SUBJECT * host.standard_normal((design.studies, subjects, 1))
    conclusions.SUBJECTS = subjects
    return covered(*interval(design.setting(host, shared), draws=500))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    lines = ["| trainings x repeats | luck of a training | " + " | ".join(f"{n} subjects" for n in SIZES) + " |"]
    lines += ["| --- " * (2 + len(SIZES)) + "|"]
    for trainings, repeats in DESIGNS:
        for luck in LUCK:
            shares = [held(n, Simulated(a.studies, trainings, repeats, luck)) for n in SIZES]
            lines.append(
                f"| {trainings} x {repeats // trainings} | {luck:g} | " + " | ".join(f"{s:.1%}" for s in shares) + " |"
            )
            print(lines[-1], flush=True)
    a.output.write_text(
        f"{a.studies} simulated studies a number; 95 % intervals that hold the group's true Dice.\n\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
