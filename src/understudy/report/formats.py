"""One table, three files: CSV with every digit for programs, Markdown and LaTeX with `mean ± sd` for people."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from understudy.config.study import REHEARSAL
from understudy.files import escape
from understudy.files.atomic import write_text_atomically
from understudy.files.csv_files import csv_text

from .notes import Material
from .registry import TABLES, Table, function

NOTHING = "–"
PROBABILITIES = ("p", "p_beyond", "p_holm", "p_kendall", "false_claim")


@dataclass(frozen=True)
class Shown:
    """What people read of a table, or of a part of it."""

    cells: pd.DataFrame  # texts
    note: str
    heading: str = ""


def write_tables(folder: str | Path, tables: Iterable[Table], material: Material) -> None:
    """Writes tables that are built from one material, which they and their notes look each other up in."""
    for table in tables:
        write_table(folder, table.name, material.table(table.name), table.note(material), material.rehearsal)


def write_table(
    folder: str | Path, name: str, frame: pd.DataFrame, note: str | None = None, rehearsal: bool = False
) -> None:
    """Writes {folder}/{name}.md, .tex and .csv, with the table's caption where no other note is given; above it, what a
    rehearsal is.

    The CSV comes last: it is the output that others wait for, and what people read lies beside it then.
    """
    table = TABLES[name]
    shown = function(table.shown_by)(frame, note or table.caption, table.decimals)
    texts = {
        "md": f"{REHEARSAL}\n\n" * rehearsal + "\n".join(map(markdown_part, shown)),
        "tex": f"{escape.latex_comment(REHEARSAL)}\n" * rehearsal + "\n".join(map(latex_part, shown)),
        "csv": csv_text(frame),
    }
    for suffix, text in texts.items():
        write_text_atomically(Path(folder) / f"{name}.{suffix}", text)


def shown(frame: pd.DataFrame, note: str, decimals: int) -> list[Shown]:
    return [Shown(display(frame, decimals), note)]


def display(table: pd.DataFrame, decimals: int) -> pd.DataFrame:
    """Text of every cell, for people. {name}_mean and {name}_sd become one column, and so do low and high; of labels,
    intervals and medians are left to the CSV. A missing value is a dash."""
    columns = {}
    for name in table.columns:
        stem, _, kind = name.rpartition("_")
        summarised = f"{stem}_mean" in table and f"{stem}_sd" in table
        if kind == "mean" and summarised:
            pairs = zip(table[name], table[f"{stem}_sd"], strict=True)
            columns[title(stem)] = [_with_sd(mean, sd, decimals) for mean, sd in pairs]
        elif summarised and kind in ("low", "high", "sd", "median"):
            if name == "mean_low":
                columns["95 %"] = _marked(_range(table["mean_low"], table["mean_high"], decimals), table)
            if name == "mean_median":
                columns["median"] = _column(table[name], decimals)
        elif kind == "low" and f"{name.removesuffix('low')}high" in table:
            whole = name == "rank_low"
            high = table[f"{name.removesuffix('low')}high"]
            said = "interval" if name in ("low", "percent_low") else f"{title(stem)} in 95 %"
            columns[said] = _marked(_range(table[name], high, 0 if whole else decimals), table)
        elif not (kind == "high" and f"{name.removesuffix('high')}low" in table) and name != "power":
            columns[title(name)] = _column(table[name], decimals, name)
    return pd.DataFrame(columns, dtype=object)


def _range(low: pd.Series, high: pd.Series, decimals: int) -> list[str]:
    pairs = zip(low, high, strict=True)
    return [NOTHING if pd.isna(a) else f"{rounded(a, decimals)} to {rounded(b, decimals)}" for a, b in pairs]


def _marked(intervals: list[str], table: pd.DataFrame) -> list[str]:
    """With an asterisk where a repeat lies far from the others: then the interval is not what its column says."""
    far = table["far"].fillna("").astype(str) if "far" in table else [""] * len(table)
    return [f"{text} *" if listed and text != NOTHING else text for text, listed in zip(intervals, far, strict=True)]


def title(name: str) -> str:
    known = {"et": "ET", "ed": "ED", "ncr_net": "NCR/NET", "percent": "%", "published_percent": "published %"}
    known |= {"p_holm": "p Holm", "p_kendall": "p of Kendall", "p_beyond": "p beyond"}
    known["progressive_gan"] = "progressive_gan"  # a name, not words
    return known.get(name, name.replace("_", " "))


def rounded(value: float, decimals: int) -> str:
    """Never "-0.000"."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _with_sd(mean: float, sd: float, decimals: int) -> str:
    return NOTHING if pd.isna(mean) else f"{rounded(mean, decimals)} ± {rounded(sd, decimals)}"


def _column(values: pd.Series, decimals: int, name: str = "") -> list[str]:
    """Text, or numbers that all have the same decimals: none where all are whole (counts, ranks, lists)."""
    if name in PROBABILITIES:
        return [NOTHING if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" for p in values]
    numbers = values[values.notna()] if pd.api.types.is_float_dtype(values) else []
    decimals = 0 if all(float(v).is_integer() for v in numbers) else decimals
    as_text = [rounded(v, decimals) if isinstance(v, float) else str(v) for v in values]
    return [NOTHING if pd.isna(v) or v == "" else text for v, text in zip(values, as_text, strict=True)]


def markdown_part(part: Shown) -> str:
    return (f"## {part.heading}\n\n" if part.heading else "") + markdown(part.cells, part.note)


def latex_part(part: Shown) -> str:
    return latex(part.cells, f"{part.heading}: {part.note}" if part.heading else part.note)


def markdown(cells: pd.DataFrame, note: str) -> str:
    head, *rows = ([escape.markdown(cell) for cell in row] for row in [cells.columns, *cells.to_numpy().tolist()])
    table = tabulate(rows, head, tablefmt="github", disable_numparse=True)
    return "\n".join([escape.markdown_note(note), "", table]) + "\n"


def latex(cells: pd.DataFrame, note: str) -> str:
    """A booktabs tabular, to \\input; the note stands above it as a comment."""
    head, *body = [" & ".join(map(escape.latex, row)) + r" \\" for row in [cells.columns, *cells.to_numpy().tolist()]]
    begin = r"\begin{tabular}{" + "l" * len(cells.columns) + "}"
    lines = [escape.latex_comment(note), begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, ""])
