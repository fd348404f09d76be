"""Numbers and tables for a terminal. Free of torch, as a dry run of Snakemake imports it."""

from collections.abc import Sequence

HOUR, DAY = 3600.0, 86400.0
NOTHING = "-"


def unit_of(seconds: float) -> tuple[str, float]:
    """Name and length in seconds of what times of a study are told in, by their sum."""
    return ("minutes", 60.0) if seconds < 5 * HOUR else ("hours", HOUR)


def number(value: float) -> str:
    """Three digits that count, and hundredths at most; thousands with commas."""
    if 0 < value < 0.005:
        return "<0.01"
    decimals = 0 if value >= 99.95 or value == 0 else 1 if value >= 9.995 else 2
    return f"{value:,.{decimals}f}"


def size(count: float) -> str:
    return f"{number(count / 1e12)} TB" if count >= 1e12 else f"{number(count / 1e9)} GB"


def kwh(joules: float | None) -> str:
    return NOTHING if joules is None else number(joules / 3.6e6)


def duration(seconds: float) -> str:
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{number(seconds / length)} {unit}"
    return f"{number(seconds)} seconds"


def short(seconds: float) -> str:
    value, unit = duration(seconds).split(" ")
    return value + {"days": " d", "hours": " h", "minutes": " min", "seconds": " s"}[unit]


def table(rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,), total: bool = False) -> str:
    """Columns two spaces apart, numbers to the right; a line below the head, and one above a total."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()

    lines = [line(row) for row in rows]
    rule = "-" * max(map(len, lines))
    lines.insert(1, rule)
    if total:
        lines.insert(-1, rule)
    return "\n".join(lines)
