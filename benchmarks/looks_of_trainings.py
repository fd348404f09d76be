"""Looks where trainings collapse, and where each generator is trained several times. Writes looks_of_trainings.md.

Decisions are those of looks.py, with five generators and a standard deviation of 0.045 of differences by subject.

    python benchmarks/looks_of_trainings.py            # six minutes of a core

Ends with 1 where a claim is false in more than 6 % of studies, a point more than the error that was asked for.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from looks import ALPHA, LOOKS, MARGIN, OF_DIFFERENCES, OPEN, Branch, Outcome, simulated

BY_SUBJECT, REPEATS = OF_DIFFERENCES[1], 0.005
COLLAPSES = (
    ("1 of 10, on made and on real images alike", (0.1, 0.1)),
    ("3 of 10, on made and on real images alike", (0.3, 0.3)),
)
UNSEEN = ("1 of 10, on made images alone", (0.1, 0.0))
TRAININGS = ((3, (3, 6, 12)), (5, (3, 5, 10)), (10, (3, 5, 10)))  # of each generator, repeats at the looks
HEAD = "| a false claim, all repeats | in looks | power, all repeats | in looks | repeats | trainings of a generator |"


def branch(name: str, difference: float = 0.0, **how) -> Branch:
    return Branch(name, (difference,) * 5, (REPEATS,) * 5, REPEATS, **how)


def rates(one: Branch, found: Outcome) -> tuple[list[float], float, float]:
    """A false claim and power, each with all repeats and in looks, in %; repeats and trainings of a compared set."""
    truth = one.truth_G1
    wrong = [100 * ((v != OPEN) & (v != truth)).any(axis=0).mean() for v in (found.fixed, found.found)]
    power = [100 * (v == truth).mean() for v in (found.fixed, found.found)]
    return [*wrong, *power], found.repeats.mean(), found.repeats.clip(max=one.trainings).mean()


def cells(found: tuple[list[float], float, float]) -> str:
    shares, repeats, trainings = found
    return " | ".join([*(f"{share:.1f}" for share in shares), f"{repeats:.1f}", f"{trainings:.1f}"])


def table(
    first: str, rows: Sequence[tuple[str, Branch]], studies: int, believed: bool = False
) -> tuple[list[str], float]:
    """Lines, and the largest share of false claims in looks."""
    lines, worst = [f"| {first} {HEAD}", "| --- " * (first.count("|") + 7) + "|"], 0.0
    for name, one in rows:
        found = rates(one, simulated(one, studies, BY_SUBJECT, believed=believed))
        worst = max(worst, found[0][1])
        lines.append(f"| {name} | {cells(found)} |")
        print(lines[-1], flush=True)
    return lines, worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    rows = [(name, branch(name, failing=of)) for name, of in COLLAPSES]
    collapses, wrong = table("collapsed", rows, a.studies)
    believed, _ = table("collapsed", rows, a.studies, believed=True)
    unseen, _ = table("collapsed", [(UNSEEN[0], branch(UNSEEN[0], failing=UNSEEN[1]))], a.studies)
    several = [
        (f"{k} | {', '.join(map(str, looks))} | {luck:g} | {true:g}", (k, looks, luck, true))
        for k, looks in TRAININGS
        for luck in (0.01, 0.02)
        for true in (0.0, -MARGIN)
    ]
    rows = [(name, branch("", true, trainings=k, looks=looks, luck=luck)) for name, (k, looks, luck, true) in several]
    trainings, more = table("trainings | looks | luck of one | true difference", rows, a.studies)
    about = (
        "# Looks, collapses and trainings of generators\n\nWritten by `python benchmarks/looks_of_trainings.py`: "
        f"{a.studies} simulated studies a line as in looks.md, {BY_SUBJECT:g} of differences by subject, all shares in "
        "%.\n"
    )
    said = (
        f"## Trainings that collapse\n\nLooks after {', '.join(map(str, LOOKS))} repeats. A collapsed training has "
        "Dice 0; else all training sets are equally good. With a collapse among fewer than four repeats a look claims "
        "nothing.\n"
    )
    without = "\nThe same without that rule: two collapsed repeats do not differ, so what they show looks certain.\n"
    limit = (
        "\nWhere made images alone let one training in ten collapse, they are worse by 0.075 of Dice on average. A "
        "study in which none has collapsed cannot know of it, and calls them equivalent, in looks and with all "
        "repeats. The page says how many further trainings may fail where none has.\n"
    )
    luck = (
        "\n## Trainings of generators, added in looks\n\nRepeats take turns over the trainings of a generator, and a "
        "look has those trainings that its repeats need.\n"
    )
    a.output.write_text("\n".join([about, said, *collapses, without, *believed, limit, *unseen, luck, *trainings, ""]))
    sys.exit(bool(max(wrong, more) > 100 * (ALPHA + 0.01)))


if __name__ == "__main__":
    main()
