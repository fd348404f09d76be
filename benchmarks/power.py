"""Power that is stated beforehand beside the power of simulated studies. Writes power.md.

    python benchmarks/power.py            # four minutes of a core

Ends with 1 where they differ by more than 3 points.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
from looks import EQUIVALENT, Branch
from looks import simulated as simulated_looks

from understudy.statistics.intervals import difference
from understudy.statistics.power import Design, Deviations
from understudy.statistics.sequential import at_last_look

LIMIT, MARGIN = 0.03, 0.02
HEAD = "| subjects | columns, made and real | sd by subject | sd of columns | alpha | true difference "
HEAD += "| stated | simulated |"
HEAD_OF_LOOKS = "| looks after so many repeats | sd by subject | sd of repeats | stated | simulated |"


def simulated(design: Design, true: float, studies: int = 2000, seed: int = 0) -> float:
    """Share of studies that find equivalence."""
    host, n, s, d = np.random.default_rng(seed), studies, design.subjects, design.deviations

    def columns(place: int) -> np.ndarray:
        r = design.columns[place]
        own, rest = host.standard_normal((n, 1, r)), host.standard_normal((n, s, r))
        return d.columns[place] * own + d.rest[place] * rest

    made = true + d.by_subject * host.standard_normal((n, s, 1)) + columns(0)
    found = difference(made, columns(1)).p_equivalent(design.margin)
    return float(np.mean(found < design.alpha))


def lines_of_looks(studies: int) -> tuple[list[str], float]:
    """Equal sets, found by looks; and the largest distance."""
    lines, worst = [HEAD_OF_LOOKS, "| --- " * 5 + "|"], 0.0
    for looks, by_subject, of_columns in product(((2, 3, 5, 10), (3, 6, 12)), (0.03, 0.045, 0.06), (0.005, 0.01)):
        design = Design(56, (looks[-1],) * 2, Deviations(by_subject, (of_columns,) * 2, (0.03, 0.03)), MARGIN)
        last, gain = at_last_look(design, looks)
        stated = last.power() + gain
        found = simulated_looks(Branch("", (0.0,), (of_columns,), of_columns, looks=looks), studies, by_subject).found
        seen = float(np.mean(found == EQUIVALENT))
        worst = max(worst, abs(stated - seen))
        cells = (", ".join(map(str, looks)), by_subject, of_columns)
        lines.append(f"| {' | '.join(map(str, cells))} | {100 * stated:.1f} % | {100 * seen:.1f} % |")
    return lines, worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    lines, worst = [], 0.0
    designs = product((15, 56), ((10, 10), (5, 10), (3, 12)), (0.03, 0.045, 0.06), (0.005, 0.01), (0.05, 0.01))
    for subjects, columns, by_subject, of_columns, alpha in designs:
        rest = (0.03, 0.03)
        design = Design(subjects, columns, Deviations(by_subject, (of_columns, 0.005), rest), MARGIN, alpha)
        for true in (0, 0.005):
            stated, seen = design.power(true), simulated(design, true, a.studies)
            worst = max(worst, abs(stated - seen))
            cells = (subjects, f"{columns[0]}, {columns[1]}", by_subject, of_columns, alpha, true)
            lines.append(f"| {' | '.join(map(str, cells))} | {100 * stated:.1f} % | {100 * seen:.1f} % |")
    of_looks, worst_of_looks = lines_of_looks(a.studies)
    about = (
        f"# Power, stated and simulated\n\nWritten by `python benchmarks/power.py`: {a.studies} simulated studies a "
        f"line, margin {MARGIN:g}, sd of the rest 0.03 and of real repeats 0.005. The largest distance is "
        f"{100 * worst:.1f} points; a share of 50 % is known to {50 / np.sqrt(a.studies) * 2:.1f}. Of "
        f"repeats that are added in looks (below) it is {100 * worst_of_looks:.1f} points.\n"
    )
    about_looks = "\n## Repeats in looks\n\nEqual sets, 56 subjects, alpha 0.05.\n"
    a.output.write_text("\n".join([about, HEAD, "| --- " * 8 + "|", *lines, about_looks, *of_looks, ""]))
    print(about)
    sys.exit(bool(max(worst, worst_of_looks) > LIMIT))


if __name__ == "__main__":
    main()
