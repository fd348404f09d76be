"""One table, three files: CSV with every digit for programs, Markdown and LaTeX with `mean ± sd` for people."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from understudy.core.files import write_text_atomically

NOTHING = "–"
DECIMALS = {
    "dice": 3,
    "hausdorff": 1,
    "relative_dice": 2,
    "ranking": 2,
    "empties": 0,
    "generators": 0,
    "missing": 0,
    "audit": 0,
}
CAPTIONS = {
    "dice": "Dice, mean ± standard deviation over the repeats; `mean` is the average of the labels.",
    "hausdorff": "Hausdorff distance in mm, mean ± standard deviation over the repeats; `mean` is over the labels of "
    "each subject, then over subjects.",
    "relative_dice": "Mean Dice in percent of that of the same network trained on real images with augmentation.",
    "ranking": "Ranks of the generators, 1 is best, by training on their images alone. `criteria`: how many ranks the "
    "mean is taken over.",
    "empties": "In how many of the scored volumes a label is missing from both, from the reference, or from the "
    "prediction alone, over all repeats.",
    "missing": "The trainings that are in no mean of the other tables, and why.",
    "audit": "Are images copies of training images? `flagged`: nearer to a training image, of a subject that stands "
    "out, than real images of other people are, with the 95 % interval; `copies`: nearer than any of those; "
    "`membership AUC`: how well the images tell training subjects from others, 0.5 is chance; `recall`: of copies that "
    "were planted.",
    "generators": "Every knob in which the generators differ; options that all have with one value are left out. "
    "`device hours`: of training, on all its GPUs.",
}


VALIDATION = {
    "study": "Weights were chosen as in the study: by real subjects, which the generators were trained on, where a "
    "training set has real images, and by synthetic images otherwise.",
    "apart": "Weights were chosen by real subjects that no generator and no training set has seen.",
}


def write_tables(
    folder: str | Path, tables: Mapping[str, pd.DataFrame], policy: str, validation: str = "study"
) -> None:
    """Writes {folder}/{name}.csv, .md and .tex of every table."""
    notes = {name: CAPTIONS[name] for name in tables}
    for name in notes.keys() & {"dice", "hausdorff"}:
        notes[name] += f" {VALIDATION[validation]} {empties_note(tables['empties'], policy)}"
    for name, table in tables.items():
        write_table(folder, name, table, notes[name])


def write_table(folder: str | Path, name: str, table: pd.DataFrame, note: str | None = None) -> None:
    """Writes {folder}/{name}.csv, .md and .tex, with the table's caption where no other note is given."""
    cells, note = display(table, DECIMALS[name]), note or CAPTIONS[name]
    write_text_atomically(Path(folder) / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text_atomically(Path(folder) / f"{name}.md", markdown(cells, note))
    write_text_atomically(Path(folder) / f"{name}.tex", latex(cells, note))


def empties_note(empties: pd.DataFrame, policy: str) -> str:
    total = {kind: int(empties[f"{kind}_empty"].sum()) for kind in ("both", "reference", "prediction")}
    return (
        f"Empty labels (policy `{policy}`): of {int(empties['volumes'].sum())} scored labels, {total['both']} are "
        f"empty in both volumes, {total['reference']} in the reference alone, "
        f"{total['prediction']} in the prediction alone."
    )


def display(table: pd.DataFrame, decimals: int) -> pd.DataFrame:
    """Text of every cell; {name}_mean and {name}_sd become one column; a missing value is a dash."""
    columns = {}
    for name in table.columns:
        stem = name.removesuffix("_mean")
        if name.endswith("_sd") and name.removesuffix("_sd") + "_mean" in table:
            continue
        if name != stem and f"{stem}_sd" in table:
            pairs = zip(table[name], table[f"{stem}_sd"], strict=True)
            columns[title(stem)] = [_with_sd(mean, sd, decimals) for mean, sd in pairs]
        else:
            columns[title(name)] = _column(table[name], decimals)
    return pd.DataFrame(columns, dtype=object)


def title(name: str) -> str:
    known = {"et": "ET", "ed": "ED", "ncr_net": "NCR/NET", "percent": "%", "published_percent": "published %"}
    known["progressive_gan"] = "progressive_gan"  # a name, not words
    return known.get(name, name.replace("_", " "))


def _with_sd(mean: float, sd: float, decimals: int) -> str:
    return NOTHING if pd.isna(mean) else f"{mean:.{decimals}f} ± {sd:.{decimals}f}"


def _column(values: pd.Series, decimals: int) -> list[str]:
    """Text, or numbers that all have the same decimals: none where all are whole (counts, ranks, lists)."""
    numbers = values[values.notna()] if pd.api.types.is_float_dtype(values) else []
    decimals = 0 if all(float(v).is_integer() for v in numbers) else decimals
    as_text = [f"{v:.{decimals}f}" if isinstance(v, float) else str(v) for v in values]
    return [NOTHING if pd.isna(v) or v == "" else text for v, text in zip(values, as_text, strict=True)]


def markdown(cells: pd.DataFrame, note: str) -> str:
    rows = [list(cells.columns), *cells.to_numpy().tolist()]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(cells.columns))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    rule = "| " + " | ".join("-" * w for w in widths) + " |"
    return "\n".join([note, "", lines[0], rule, *lines[1:]]) + "\n"


def latex(cells: pd.DataFrame, note: str) -> str:
    """A booktabs tabular, to \\input; the note stands above it as a comment."""
    body = [" & ".join(map(_escaped, row)) + r" \\" for row in cells.to_numpy().tolist()]
    head = " & ".join(map(_escaped, cells.columns)) + r" \\"
    begin = r"\begin{tabular}{" + "l" * len(cells.columns) + "}"
    return "\n".join(["% " + note, begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", ""])


def _escaped(text: str) -> str:
    for character in "&%$#_":
        text = text.replace(character, "\\" + character)
    return text.replace("±", r"$\pm$").replace(NOTHING, "--")
