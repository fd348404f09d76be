"""Shows how every training and sampling of a study stands: images, speed, time left, restarts, job, last error.

From files alone, in a second, while the workflow runs or after it has died. What is done or not begun is counted; the
rest is listed.
"""

import argparse
from collections import Counter
from pathlib import Path

from understudy.config.study import complete, load_yaml
from understudy.run import command_line
from understudy.run.status import DONE, STATES, WAITING, Standing, standing, wanted

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = ("training", "state", "images", "of all", "s/kimg", "left", "restarts", "job", "last word")
WORD = 100  # letters of the last word; --all shows it whole


def duration(seconds: float | None) -> str:
    """Such as 45 s, 12 min, 7.5 h, 21 d."""
    if seconds is None:
        return ""
    for length, unit in ((86400 * 2, "d"), (7200, "h"), (120, "min")):
        if seconds >= length:
            return f"{seconds / {'d': 86400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.0f} s"


def row(s: Standing, whole: bool) -> tuple[str, ...]:
    share = f"{s.images_seen / s.images:.1%}" if s.images and s.images_seen is not None else ""
    word = s.word if whole or len(s.word) <= WORD else s.word[: WORD - 4] + " ..."
    return (
        s.work.name,
        s.state,
        "" if s.images_seen is None else f"{s.images_seen:,}".replace(",", " "),
        share,
        "" if s.seconds_per_kimg is None else f"{s.seconds_per_kimg:.3g}",
        duration(s.seconds_left) if s.state not in (DONE, WAITING) else "",
        str(s.restarts or ""),
        s.slurm_job,
        word,
    )


def table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    numbers = {COLUMNS.index(name) for name in ("images", "of all", "s/kimg", "left", "restarts")}
    lines = (
        "  ".join(cell.rjust(w) if i in numbers else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths)))  # noqa: B905
        for line in (COLUMNS, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def counted(standings: list[Standing]) -> str:
    """One line per branch: how many are done, not begun, and so on."""
    branches: dict[str, Counter] = {}
    for s in standings:
        branches.setdefault(s.work.branch, Counter())[s.state] += 1
    width = max(map(len, branches))
    return "\n".join(
        f"{branch.ljust(width)}  " + ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
        for branch, states in branches.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", type=Path, default=Path("config/config.yaml"), help="that of the study; default %(default)s"
    )
    parser.add_argument("--all", action="store_true", help="also list what is done or not begun")
    args = parser.parse_args()
    config = complete(load_yaml(args.config))
    standings = [standing(work) for work in wanted(config)]
    listed = [s for s in standings if args.all or s.state not in (DONE, WAITING)]
    print(counted(standings))
    if listed:
        print("\n" + table([row(s, args.all) for s in listed]))
        shown = {s.state for s in listed} - {DONE, WAITING}
        print("\n" + "\n".join(f"{state}: {text}" for state, text in STATES.items() if state in shown))


if __name__ == "__main__":
    command_line.run(main)
