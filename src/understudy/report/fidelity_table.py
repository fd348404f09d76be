"""The tables `fidelity` and `annotation`, of what score_fidelity has written for every generator.

The CSV of `fidelity` names the space in every row; Markdown and LaTeX have one table for each space, as values of
different spaces cannot be compared.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.files.csv_files import read_csv

from .formats import NOTHING, Shown, title
from .published import published_fidelity

REAL = "real (test)"  # in the place of a generator: the real test images against the same reference
NEARER = "nearer_than_test"  # whether a generator is nearer to the training images than real test images are
PEOPLE = ("dataset", "generator", "channel", "images", "frechet", "frechet_interval", "published_frechet")
PEOPLE += (
    "matched_images",
    "frechet_matched",
    NEARER,
    "kernel",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score",
)
PEOPLE += ("published_inception_score", "note")
EACH = {  # columns of the files of score_fidelity
    "fidelity.csv": ("dataset", "generator", "space", "channel", "images_of", "note"),
    "annotation.csv": ("dataset", "generator", "label", "measure", "real", "real_test", "synthetic"),
}
CHAIN = "samples_sha256"  # a column that links these files to the images: for programs alone
SPACES = {
    "inception": "Inception features: `frechet` is FID as pytorch-fid computes it, `kernel` is KID.",
    "radimagenet": "Features of a ResNet-50 trained on radiological images (RadImageNet).",
    "dinov2": "Features of DINOv2, self-supervised.",
    "segmenter": "Bottleneck of a segmenter of this study that was trained on the real training images.",
    "random": "Features of a fixed random network: they order generators, but are no FID.",
}


def fidelity(folders: Iterable[Path], published: Mapping[str, str | None]) -> pd.DataFrame:
    """The table `fidelity` of the folders of all generators."""
    return beside_published(with_nearer(fidelity_table(read_each(folders, "fidelity.csv"))), published)


def annotation(folders: Iterable[Path], published: Mapping[str, str | None]) -> pd.DataFrame:
    """The table `annotation`; of annotations nothing is published."""
    return annotation_table(read_each(folders, "annotation.csv"))


def read_each(folders: Iterable[Path], name: str) -> pd.DataFrame:
    """The tables of all folders, one below the other. Raises ValueError where one is missing."""
    frames = []
    for folder in folders:
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name}: no such file; expected what score_fidelity writes: snakemake tables")
        table = read_csv(folder / name, "what score_fidelity writes", EACH[name], dtype={"weights": str})
        frames.append(table.drop(columns=CHAIN, errors="ignore"))
    return pd.concat(frames, ignore_index=True)


def fidelity_table(rows: pd.DataFrame) -> pd.DataFrame:
    """All rows, those of the test images once for each data set, space and channel, under the name REAL."""
    rows = rows.copy()
    test = rows["images_of"] == "test"
    rows.loc[test, "generator"] = REAL
    keys = ["dataset", "generator", "space", "channel"]
    rows = rows[~(test & rows.duplicated(keys))]
    first = {name: place for place, name in enumerate(dict.fromkeys(rows["space"]))}
    order = pd.DataFrame({"space": rows["space"].map(first), "generator": rows["generator"] != REAL})
    order["dataset"] = rows["dataset"].map({name: place for place, name in enumerate(dict.fromkeys(rows["dataset"]))})
    places = order.sort_values(["space", "dataset", "generator"], kind="stable").index
    return rows.loc[places].reset_index(drop=True)


def with_nearer(table: pd.DataFrame) -> pd.DataFrame:
    """With the column NEARER: yes or no, by the distances of equally many images; empty where they are not known."""
    keys = ["dataset", "space", "channel"]
    real = table[table["generator"] == REAL].set_index(keys)["frechet_matched"]
    of_real = real.reindex(pd.MultiIndex.from_frame(table[keys])).to_numpy(float)
    own = table["frechet_matched"].to_numpy(float)
    known = (table["generator"] != REAL) & ~np.isnan(own) & ~np.isnan(of_real)
    table.insert(table.columns.get_loc("frechet_matched") + 1, NEARER, np.where(own < of_real, "yes", "no"))
    return table.assign(**{NEARER: table[NEARER].where(known, None)})


def nearer_sentences(table: pd.DataFrame) -> list[str]:
    """Which generators are nearer to the training images than real test images, and what that may mean."""
    if NEARER not in table:
        return []
    marked = table[table[NEARER] == "yes"]
    return [
        f"{dataset}: images of `{generator}` are nearer to the training images than real test images are "
        f"({', '.join(f'{row.space} {row.channel}' for row in rows.itertuples())}). No generator should be: it has "
        "memorized them, or was trained on the metric, or the test subjects are too few to be as varied."
        for (dataset, generator), rows in marked.groupby(["dataset", "generator"], sort=False)
    ]


def beside_published(table: pd.DataFrame, published: Mapping[str, str | None]) -> pd.DataFrame:
    """The table with the study's FID and Inception Score, of T1wGd, in the rows of the same; without any, as it is."""
    known = [
        published_fidelity(name).assign(dataset=dataset, space="inception", channel="t1ce")
        for dataset, name in published.items()
        if name
    ]
    if not known:
        return table
    theirs = pd.concat(known).rename(columns={name: f"published_{name}" for name in ("frechet", "inception_score")})
    note = table.pop("note")
    table = table.merge(theirs, on=["dataset", "generator", "space", "channel"], how="left", validate="many_to_one")
    return table.assign(note=note)


def annotation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each data set, label and measure: real, real_test, and a column for each generator."""
    keys = ["dataset", "label", "measure"]
    order = rows[keys].drop_duplicates()
    table = order.merge(rows.drop_duplicates(keys)[[*keys, "real", "real_test"]], on=keys)
    for generator, own in rows.groupby("generator", sort=False):
        table = table.merge(own[[*keys, "synthetic"]].rename(columns={"synthetic": generator}), on=keys, how="left")
    return table


def fidelity_shown(table: pd.DataFrame, note: str, decimals: int) -> list[Shown]:
    """A part for each space."""
    spaces = table.groupby("space", sort=False)
    return [Shown(_cells(rows), f"{SPACES[space]} {note}", heading=space) for space, rows in spaces]


def annotation_shown(table: pd.DataFrame, note: str, decimals: int) -> list[Shown]:
    cells = {title(name): [_text(value) for value in table[name]] for name in table}
    return [Shown(pd.DataFrame(cells, dtype=object), note)]


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    """What people read of one space: columns without any value are left out."""
    columns, notes = {}, rows["note"].fillna("")
    for name in PEOPLE:
        if name == "frechet_interval":
            texts = _intervals(rows)
        elif f"{name}_mean" in rows:
            pairs = zip(rows[f"{name}_mean"], rows[f"{name}_sd"], strict=True)
            texts = [NOTHING if pd.isna(mean) else f"{_text(mean)} ± {_text(sd)}" for mean, sd in pairs]
        else:
            texts = [_text(value) for value in rows.get(name, [None] * len(rows))]
        if name == "frechet":
            texts = [f"{text}*" if note and text != NOTHING else text for text, note in zip(texts, notes, strict=True)]
        if name in ("dataset", "generator") or set(texts) != {NOTHING}:
            columns["95 %" if name == "frechet_interval" else title(name)] = texts
    return pd.DataFrame(columns, dtype=object)


def _intervals(rows: pd.DataFrame) -> list[str]:
    if "frechet_low" not in rows:
        return [NOTHING] * len(rows)
    pairs = zip(rows["frechet_low"], rows["frechet_high"], strict=True)
    return [NOTHING if pd.isna(low) else f"{_text(low)} to {_text(high)}" for low, high in pairs]


def _text(value: object) -> str:
    """Four digits that count; whole numbers whole; nothing as a dash."""
    if pd.isna(value) or value == "":
        return NOTHING
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
