"""One table, three files: CSV with every digit for programs, Markdown and LaTeX with `mean ± sd` for people."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from understudy.core import escape
from understudy.core.csv_files import csv_text
from understudy.core.files import write_text_atomically
from understudy.evaluate.scores import LABEL, REGION

NOTHING = "–"
DECIMALS = {
    "dice": 3, "hausdorff": 1, "hausdorff95": 1, "surface_dice": 3, "volume_error": 2, "regions": 3,
    "regions_hausdorff95": 1, "relative_dice": 2, "ranking": 2, "comparisons": 3, "equivalence": 3, "correlations": 2,
    "controls": 3, "empties": 0, "generators": 0, "missing": 0, "audit": 0, "proportions": 3, "few_subjects": 3,
    "ensembles": 3, "subset": 3,
    "readers": 2, "reader_summary": 2, "reader_areas": 2, "reader_agreement": 2, "reader_plan": 2,
}  # fmt: skip
PROBABILITIES = ("p", "p_holm", "p_kendall")
OVER_REPEATS = (
    "mean ± standard deviation over the repeats; `mean` is {mean}. 95 %: interval over subjects and repeats; median: "
    "of the repeats. Of every label they are in the CSV."
)
SUBJECT_FIRST = OVER_REPEATS.format(mean="over the labels of each subject, then over subjects")
LABELS_LAST = OVER_REPEATS.format(mean="the average of the labels")
CAPTIONS = {
    "dice": f"Dice, {LABELS_LAST}",
    "hausdorff": f"Hausdorff distance in mm, {SUBJECT_FIRST}",
    "hausdorff95": "95th percentile of the Hausdorff distance in mm (the larger of the two directed ones), "
    f"{SUBJECT_FIRST}",
    "surface_dice": f"Surface Dice, {LABELS_LAST}",
    "volume_error": f"Predicted less true volume in ml, {LABELS_LAST}",
    "regions": "Dice of the regions, mean ± standard deviation over the repeats.",
    "regions_hausdorff95": "95th percentile of the Hausdorff distance of the regions in mm, mean ± standard deviation "
    "over the repeats.",
    "relative_dice": "Mean Dice in percent of that of the same network trained on real images with augmentation.",
    "ranking": "Ranks of the generators, 1 is best, by training on their images alone. `criteria`: how many ranks the "
    "mean is taken over. `rank in 95 %` and `first`: the rank in 95 % of the bootstrap draws of subjects and repeats, "
    "and the share of draws in which a generator is best.",
    "comparisons": "Differences of mean Dice on the same test subjects, with 95 % interval; `p Holm` is corrected for "
    "the number of comparisons of the same question, data set and segmenter.",
    "equivalence": "Is training on it as good as training on real images with augmentation? Difference of mean Dice "
    "with its 90 % interval, two one-sided tests against the margin, corrected for their number (Holm). Undecided: too "
    "few subjects or repeats to say.",
    "correlations": "Rank correlation over the generators of a metric of the images with the Dice of segmenters that "
    "were trained on them alone. p is exact: all orders are counted.",
    "controls": "Do the numbers behave where the answer is known? Copies of the training images have to be as useful "
    "as real ones; noise and shuffled annotations of little use. `interval`: 95 % interval of the Dice.",
    "empties": "In how many of the scored volumes a label is missing from both, from the reference, or from the "
    "prediction alone, over all repeats.",
    "missing": "The trainings that are in no mean of the other tables, and why.",
    "audit": "Are images copies of training images? `flagged`: nearer to a training image, of a subject that stands "
    "out, than real images of other people are, with the 95 % interval; `copies`: nearer than any of those; "
    "`membership AUC`: how well the images tell training subjects from others, 0.5 is chance; `recall`: of copies that "
    "were planted.",
    "readers": "What readers called the images of each source, with the 95 % interval of the share called "
    "synthetic. p: is it another share than of real images (Fisher's exact test; of all readers together, "
    "permuted images), corrected for the number of generators (Holm).",
    "reader_summary": "Could they tell? Balanced accuracy: mean of the right shares of real and of synthetic "
    "images, 0.5 is chance, with its 95 % interval (of all readers: for other readers and images like these). "
    "`majority`: accuracy of calling everything what most images are. Sensitivity index: d', 0 is chance. Chi "
    "squared: are all sources called real equally often?",
    "reader_areas": "How well the readers' confidence tells each generator's images from real ones: area under "
    "the ROC curve, 0.5 is chance, with its 95 % interval, and the balanced accuracy of the calls alone.",
    "reader_agreement": "Equal calls of two readers (Cohen's kappa), of more (Fleiss'), and of one reader who saw "
    "an image twice; kappa is 0 where they agree as often as by chance. 95 % intervals over images.",
    "reader_plan": "How many images of each source a reader study needs, and how many its page then has: for a 95 "
    "% interval of balanced accuracy as narrow as was asked for, and to tell the accuracy that was asked for from "
    "chance. `planned`: what the images of the config would show.",
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
    for name in notes.keys() & {"dice", "hausdorff", "hausdorff95", "surface_dice"}:
        notes[name] += f" {VALIDATION[validation]} {empties_note(tables['empties'], policy, LABEL)}"
    for name in notes.keys() & {"regions", "regions_hausdorff95"}:
        notes[name] += f" {empties_note(tables['empties'], policy, REGION)}"
    if len(tables.get("correlations", [])):
        notes["correlations"] += " " + " ".join(dict.fromkeys(tables["correlations"]["power"]))
    for name, table in tables.items():
        write_table(folder, name, table, notes[name])


def write_table(folder: str | Path, name: str, table: pd.DataFrame, note: str | None = None) -> None:
    """Writes {folder}/{name}.csv, .md and .tex, with the table's caption where no other note is given."""
    cells, note = display(table, DECIMALS[name]), note or CAPTIONS[name]
    write_text_atomically(Path(folder) / f"{name}.csv", csv_text(table))
    write_text_atomically(Path(folder) / f"{name}.md", markdown(cells, note))
    write_text_atomically(Path(folder) / f"{name}.tex", latex(cells, note))


def empties_note(empties: pd.DataFrame, policy: str, of: str = LABEL) -> str:
    counted = empties[empties["kind"] == of]
    total = {kind: int(counted[f"{kind}_empty"].sum()) for kind in ("both", "reference", "prediction")}
    return (
        f"Empty {of}s (policy `{policy}`): of {int(counted['volumes'].sum())} scored {of}s, {total['both']} are "
        f"empty in both volumes, {total['reference']} in the reference alone, "
        f"{total['prediction']} in the prediction alone."
    )


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
                columns["95 %"] = _range(table["mean_low"], table["mean_high"], decimals)
            if name == "mean_median":
                columns["median"] = _column(table[name], decimals)
        elif kind == "low" and f"{name.removesuffix('low')}high" in table:
            whole = name == "rank_low"
            high = table[f"{name.removesuffix('low')}high"]
            said = "interval" if name == "low" else f"{title(stem)} in 95 %"
            columns[said] = _range(table[name], high, 0 if whole else decimals)
        elif not (kind == "high" and f"{name.removesuffix('high')}low" in table) and name != "power":
            columns[title(name)] = _column(table[name], decimals, name)
    return pd.DataFrame(columns, dtype=object)


def _range(low: pd.Series, high: pd.Series, decimals: int) -> list[str]:
    pairs = zip(low, high, strict=True)
    return [NOTHING if pd.isna(a) else f"{rounded(a, decimals)} to {rounded(b, decimals)}" for a, b in pairs]


def title(name: str) -> str:
    known = {"et": "ET", "ed": "ED", "ncr_net": "NCR/NET", "percent": "%", "published_percent": "published %"}
    known |= {"p_holm": "p Holm", "p_kendall": "p of Kendall"}
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


def markdown(cells: pd.DataFrame, note: str) -> str:
    rows = [[escape.markdown(cell) for cell in row] for row in [cells.columns, *cells.to_numpy().tolist()]]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(cells.columns))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    rule = "| " + " | ".join("-" * w for w in widths) + " |"
    return "\n".join([escape.markdown_note(note), "", lines[0], rule, *lines[1:]]) + "\n"


def latex(cells: pd.DataFrame, note: str) -> str:
    """A booktabs tabular, to \\input; the note stands above it as a comment."""
    head, *body = [" & ".join(map(escape.latex, row)) + r" \\" for row in [cells.columns, *cells.to_numpy().tolist()]]
    begin = r"\begin{tabular}{" + "l" * len(cells.columns) + "}"
    lines = [escape.latex_comment(note), begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, ""])
