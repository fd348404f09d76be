"""The study's measurements of a generator's images that a release reports: Dice, fidelity, annotation.

Others may have written the files. A release takes only the columns that it knows, and refuses a cell of another form.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.files.outside import read_rows, shortened
from understudy.study.sources import REAL, generators_of

TABLE_KEYS = ("dataset", "segmenter", "training_set", "augmentation")  # of tables/dice.csv
_OWN = ("dataset", "generator", "samples_sha256")
_FIDELITY = (*_OWN, "images_of", "space", "channel", "frechet_matched", "precision", "coverage")
_ANNOTATION = (*_OWN, "label", "measure", "real", "real_test", "synthetic")
_SIDES = ("synthetic", "real_test")
_MODALITIES = "modalities"  # in the place of a channel, of a space that takes all of them at once
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,20})?(e-?\d{1,3})?")
_NAME = re.compile("[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Pair:
    """A measure of the synthetic images, and of real test images."""

    synthetic: float
    test: float


@dataclass(frozen=True)
class Likeness:
    """In a feature space, to the real training images; the Frechet distance is that of equally many images."""

    space: str
    channel: str
    frechet: Pair
    precision: Pair
    coverage: Pair


@dataclass(frozen=True)
class Anatomy:
    """Of the annotation, from evaluate/annotation_fidelity.py."""

    illegal: Pair  # share of images with labels that touch in hardly any training image
    enclosed: tuple[str, Pair] | None  # the label that lies inside other labels most often in training images, and the
    # share of its pieces that do; None: there is no such label


@dataclass(frozen=True)
class Quality:
    """`dice`: rows of dice.csv of this generator and of real images. Fidelity and annotation are those of the images as
    they were drawn, before any filter."""

    dice: Sequence[Mapping[str, str]] = ()
    likeness: Sequence[Likeness] = ()
    anatomy: Anatomy | None = None


def dice_rows(path: str | Path, dataset: str, generator: str, labels: Iterable[str]) -> list[dict[str, str]]:
    """Of dice.csv the rows of a data set whose training set is real images, or has images of the generator; of these
    the columns that we know, so that a note in another one does not leave. Raises ValueError."""
    numbers = [f"{name}_{kind}" for name in (*labels, "mean") for kind in ("mean", "sd", "low", "high", "median")]
    numbers += ["repeats", "failed", "undefined"]
    rows = []
    for line, row in read_rows(path, TABLE_KEYS, "tables/dice.csv"):
        if row["dataset"] != dataset or not _is_of(row["training_set"], generator, path):
            continue
        named = row["augmentation"] in ("augmented", "plain") and _NAME.fullmatch(row["segmenter"])
        wrong = [] if named else ["segmenter and augmentation"]
        wrong += [name for name in numbers if row.get(name) and not _NUMBER.fullmatch(row[name])]
        if wrong:
            raise ValueError(f"{path}, line {line}: found another {wrong[0]} than in tables/dice.csv. Make it again.")
        rows.append({name: row[name] for name in (*TABLE_KEYS, *numbers) if name in row})
    return rows


def _is_of(training_set: str, generator: str, path: str | Path) -> bool:
    try:
        return training_set == REAL or generator in generators_of(training_set)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def dice_text(rows: Sequence[Mapping[str, str]]) -> str:
    """The rows as CSV."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def likeness(path: str | Path, own: Sequence[str], channels: Sequence[str]) -> list[Likeness]:
    """Of fidelity.csv a Likeness for each space and channel that was computed.

    `own`: data set, generator, and the SHA-256 of the stack of its images as they were drawn. Raises ValueError where
    the file is of others.
    """
    found: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for line, row in _own_rows(path, _FIDELITY, own):
        if not row["frechet_matched"]:  # of a space without weights
            continue
        if not _NAME.fullmatch(row["space"]) or row["channel"] not in (*channels, _MODALITIES):
            raise ValueError(f"{path}, line {line}: found another space or channel than score_fidelity writes.")
        found.setdefault((row["space"], row["channel"]), {})[row["images_of"]] = row
    if any({"synthetic", "test"} - sides.keys() for sides in found.values()):
        raise ValueError(f"{path}: found no rows of synthetic and of test images, expected both. Make it again.")
    measures = ("frechet_matched", "precision", "coverage")
    return [
        Likeness(
            *where,
            *(Pair(*(_number(path, sides[side][name]) for side in ("synthetic", "test"))) for name in measures),
        )
        for where, sides in found.items()
    ]


def anatomy(path: str | Path, own: Sequence[str], labels: Sequence[str]) -> Anatomy:
    """Of annotation.csv; as likeness."""
    rows = {(row["label"], row["measure"]): row for _, row in _own_rows(path, _ANNOTATION, own)}
    wanted = [("all", "illegal_share"), *((label, "enclosed_share") for label in labels)]
    if missing := [" ".join(key) for key in wanted if key not in rows]:
        raise ValueError(f"{path}: found no row {missing[0]}, expected one. Make it again.")
    numbers = {key: {side: _number(path, rows[key][side]) for side in ("real", *_SIDES)} for key in wanted}
    illegal, *enclosed = (Pair(*(numbers[key][side] for side in _SIDES)) for key in wanted)
    in_training = [numbers[key]["real"] for key in wanted[1:]]
    most = max(range(len(labels)), key=lambda i: in_training[i] if in_training[i] > 0 else 0)  # nan: no such label
    return Anatomy(illegal, (labels[most], enclosed[most]) if in_training[most] > 0 else None)


def _own_rows(path: str | Path, columns: Sequence[str], own: Sequence[str]) -> list[tuple[int, dict]]:
    dataset, generator, sha256 = own
    rows = read_rows(path, columns, "what score_fidelity writes")
    for line, row in rows:
        if (row["dataset"], row["generator"]) != (dataset, generator):
            found = f"{shortened(row['generator'])} on {shortened(row['dataset'])}"
            raise ValueError(f"{path}, line {line}: found {found}, expected {generator} on {dataset}")
        if row["samples_sha256"] != sha256:
            raise ValueError(
                f"{path}, line {line}: was computed from images with SHA-256 {shortened(row['samples_sha256'][:16])}, "
                f"expected {sha256[:16]}...: it is out of date. Make it again: -R score_fidelity"
            )
    return rows


def _number(path: str | Path, cell: str) -> float:
    """nan of an empty cell: there was nothing to measure."""
    if cell and not _NUMBER.fullmatch(cell):
        raise ValueError(f"{path}: found {shortened(cell)}, expected a number that score_fidelity writes")
    return float(cell or "nan")
