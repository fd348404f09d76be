"""Differences from real images as a picture that is text (SVG): a line per setting, the margin as a band."""

import math

import pandas as pd

from .names import spoken
from .page import text

WIDTH, LINE, LEFT, RIGHT, TOP, BOTTOM = 720, 26, 250, 24, 12, 46
COLOURS = {"equivalent": "#17734a", "better": "#17734a", "worse": "#b3261e", "undecided": "#8a6100"}


def forest(equivalence: pd.DataFrame, margin: float) -> str:
    """SVG of a table with the columns of comparisons.EQUIVALENCE; rows without an interval have a dot alone."""
    ends = [*equivalence["low"].dropna(), *equivalence["high"].dropna(), *equivalence["difference"], -margin, margin]
    low, high = min(ends), max(ends)
    pad = 0.06 * (high - low)
    scale = (WIDTH - LEFT - RIGHT) / (high - low + 2 * pad)

    def x(value: float) -> str:
        return f"{LEFT + (value - low + pad) * scale:.1f}"

    bottom = TOP + LINE * len(equivalence)
    band = f'<rect x="{x(-margin)}" y="{TOP}" width="{2 * margin * scale:.1f}" height="{bottom - TOP}" fill="#e3ebf2"/>'
    zero = f'<line x1="{x(0)}" x2="{x(0)}" y1="{TOP}" y2="{bottom}" stroke="#586675" stroke-dasharray="3 3"/>'
    several = equivalence["dataset"].nunique() > 1
    rows = [_row(row, TOP + LINE * (i + 0.5), x, several) for i, row in enumerate(equivalence.itertuples(index=False))]
    ticks = [
        f'<line x1="{x(v)}" x2="{x(v)}" y1="{bottom}" y2="{bottom + 5}" stroke="#586675"/>'
        f'<text x="{x(v)}" y="{bottom + 20}" text-anchor="middle">{v:g}</text>'
        for v in nice_ticks(low - pad, high + pad)
    ]
    label = f'<text x="{(LEFT + WIDTH) / 2}" y="{bottom + 40}" text-anchor="middle">difference of mean Dice</text>'
    return (
        '<svg role="img" aria-label="Differences of mean Dice from real images"'
        f' viewBox="0 0 {WIDTH} {bottom + BOTTOM}"'
        ' font-family="system-ui, sans-serif" font-size="13" fill="#1c2733">'
        f"{band}{zero}{''.join(rows)}{''.join(ticks)}{label}</svg>"
    )


def _row(row, y: float, x, several: bool) -> str:
    where = f"{row.dataset}, {row.segmenter}" if several else row.segmenter
    name = f"{spoken(row.training_set)}, {where}, {row.augmentation}"
    colour = COLOURS[row.verdict]
    line = ""
    if pd.notna(row.low):
        line = f'<line x1="{x(row.low)}" x2="{x(row.high)}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>'
    return (
        f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" font-size="12">{text(name)}</text>{line}'
        f'<circle cx="{x(row.difference)}" cy="{y}" r="4" fill="{colour}"/>'
    )


def nice_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between low and high: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(i * step, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
