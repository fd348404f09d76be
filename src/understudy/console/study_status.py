"""`understudy status`: how every training and sampling of a study stands: images, speed, time left, last error.

From files alone, in a second, while the workflow runs or after it has died. What is done or not begun is counted; the
rest is listed.
"""

import argparse
from collections import Counter
from pathlib import Path

from understudy.config.study import complete, load_yaml
from understudy.run.status import DONE, STATES, WAITING, Standing, standing, wanted

_COLUMNS = ("training", "state", "images", "of all", "s/kimg", "left", "restarts", "job", "last word")
_WORD = 100  # letters of the last word; --all shows it whole


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("config/config.yaml"), help="that of the study; default %(default)s"
    )
    parser.add_argument("--all", action="store_true", help="also list what is done or not begun")


def command(arguments: argparse.Namespace) -> None:
    """Prints the table. Raises ValueError where the config is none."""
    config = complete(load_yaml(arguments.config))
    standings = [standing(work) for work in wanted(config)]
    listed = [s for s in standings if arguments.all or s.state not in (DONE, WAITING)]
    print(_counted(standings))
    if listed:
        print("\n" + _table([_row(s, arguments.all) for s in listed]))
        shown = {s.state for s in listed} - {DONE, WAITING}
        print("\n" + "\n".join(f"{state}: {text}" for state, text in STATES.items() if state in shown))


def _duration(seconds: float | None) -> str:
    """Such as 45 s, 12 min, 7.5 h, 21 d."""
    if seconds is None:
        return ""
    for length, unit in ((86400 * 2, "d"), (7200, "h"), (120, "min")):
        if seconds >= length:
            return f"{seconds / {'d': 86400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.0f} s"


def _row(s: Standing, whole: bool) -> tuple[str, ...]:
    share = f"{s.images_seen / s.images:.1%}" if s.images and s.images_seen is not None else ""
    word = s.word if whole or len(s.word) <= _WORD else s.word[: _WORD - 4] + " ..."
    return (
        s.work.name,
        s.state,
        "" if s.images_seen is None else f"{s.images_seen:,}".replace(",", " "),
        share,
        "" if s.seconds_per_kimg is None else f"{s.seconds_per_kimg:.3g}",
        _duration(s.seconds_left) if s.state not in (DONE, WAITING) else "",
        str(s.restarts or ""),
        s.slurm_job,
        word,
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    numbers = {_COLUMNS.index(name) for name in ("images", "of all", "s/kimg", "left", "restarts")}
    lines = (
        "  ".join(cell.rjust(w) if i in numbers else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths)))  # noqa: B905
        for line in (_COLUMNS, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def _counted(standings: list[Standing]) -> str:
    """One line per branch: how many are done, not begun, and so on."""
    branches: dict[str, Counter] = {}
    for s in standings:
        branches.setdefault(s.work.branch, Counter())[s.state] += 1
    width = max(map(len, branches))
    return "\n".join(
        f"{branch.ljust(width)}  " + ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
        for branch, states in branches.items()
    )
