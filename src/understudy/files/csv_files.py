"""Tables as CSV in which no text is a formula, and the same tables read back."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from .escape import csv_cell, of_csv_cell
from .outside import regular_file


def csv_text(table: pd.DataFrame, **how: object) -> str:
    """`how` as in DataFrame.to_csv."""
    return _texts(csv_cell, table).to_csv(index=False, lineterminator="\n", **how)


def read_csv(path: str | Path, expected: str = "a table", columns: Sequence[str] = (), **how: object) -> pd.DataFrame:
    """A table that `csv_text` has written, with its texts as they were; `how` as in pandas.read_csv. Raises ValueError
    where there is none, or
    it lacks one of the `columns`."""
    path = regular_file(path, expected)
    try:
        table = pd.read_csv(path, **how)
    except (ValueError, OverflowError) as error:  # pandas' own errors are the former
        found = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: found {found}, expected {expected}. Make it again.") from error
    table = _texts(of_csv_cell, table)
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{path}: found no column {', '.join(missing)}, expected {expected}. Make it again.")
    return table


def _texts(change: Callable, table: pd.DataFrame) -> pd.DataFrame:
    """A copy with the names of all columns changed, and the cells of those that are no numbers."""
    changed = table.rename(columns=change)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            cells = [change(value) for value in table.iloc[:, place]]
            changed.isetitem(place, pd.Series(cells, index=table.index, dtype=object))
    return changed
