"""What the documents of a release tell, gathered once: README.md, croissant.json and ro-crate-metadata.json agree."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from understudy.files.atomic import sha256_of_file
from understudy.files.outside import read_rows
from understudy.stack import Stack
from understudy.stack.labels import LABEL_CHANNEL, label_names
from understudy.study.sources import REAL, generators_of

from .about import About

# name -> (media type, what it is); a folder ends with /
KINDS = {
    "images.zip": (
        "application/zip",
        "all images, an uncompressed ZIP with one 8-bit grey PNG for each, and stack.json",
    ),
    "images/": ("", "the same images as a folder for each channel"),
    "weights.safetensors": ("application/octet-stream", "the generator that drew the images, safetensors"),
    "audit/audit.json": ("application/json", "the audit of the images: are any of them copies of training images?"),
    "tables/dice.csv": ("text/csv", "Dice on real test subjects of segmenters trained on these and on real images"),
    "README.md": ("text/markdown", "this data set card"),
    "privacy.html": ("text/html", "may these images be shared? What a data protection officer and an ethics board ask"),
    "LICENSE": ("text/plain", "the terms of use"),
    "CITATION.cff": ("application/yaml", "how to cite this data set"),
    "croissant.json": ("application/ld+json", "the data set for programs, Croissant 1.0"),
    "verify.py": ("text/x-python", "checks every file of this folder: python verify.py"),
    "SHA256SUMS": ("text/plain", "the SHA-256 of every file: sha256sum -c SHA256SUMS"),
}
TABLE_KEYS = ("dataset", "segmenter", "training_set", "augmentation")  # of tables/dice.csv
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,20})?(e-?\d{1,3})?")
ALWAYS = (
    "README.md",
    "privacy.html",
    "LICENSE",
    "CITATION.cff",
    "croissant.json",
    "verify.py",
    "SHA256SUMS",
)  # in every release


@dataclass(frozen=True)
class File:
    name: str
    media: str
    what: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Facts:
    """Of one release; `folder` is where its files are being written."""

    about: About
    folder: Path
    audit: Mapping  # the public one
    subjects: int
    training: Mapping  # weights.json; empty where nobody knows
    dice: Sequence[Mapping[str, str]]  # rows of this generator and of real images
    _hashes: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def stack(self) -> Stack:
        return Stack.open(self.folder / "images.zip")

    @property
    def modalities(self) -> list[str]:
        return [channel for channel in self.stack.channels if channel != LABEL_CHANNEL]

    @property
    def labels(self) -> dict[str, int]:
        return {name: self.stack.meta["labels"][name] for name in label_names(self.stack.meta["labels"])}

    def sha256(self, name: str) -> str:
        """Of a file that is finished; large ones are read once."""
        if name not in self._hashes:
            self._hashes[name] = sha256_of_file(self.folder / name)
        return self._hashes[name]

    @property
    def files(self) -> list[File]:
        """Those that are finished."""
        there = [(name, self.folder / name) for name in KINDS if (self.folder / name).is_file()]
        return [File(name, *KINDS[name], path.stat().st_size, self.sha256(name)) for name, path in there]

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.about.dataset}-{self.about.generator}".lower()).strip("-")

    @property
    def origin(self) -> str:
        subjects = f"{self.subjects} subjects" if self.subjects else "an unknown number of subjects"
        return f"drawn by a generative model ({self.about.generator}) that was trained on images of {subjects}"

    @property
    def summary(self) -> str:
        """One paragraph."""
        rows, columns = self.stack.meta["height"], self.stack.meta["width"]
        text = (
            f"{len(self.stack)} synthetic magnetic resonance images of {rows} x {columns} pixels "
            f"({', '.join(self.modalities)})"
        )
        text += f" with annotation of {', '.join(self.labels)}" if LABEL_CHANNEL in self.stack.channels else ""
        return f"{text}, {self.origin}. No image is a picture that a scanner took of a patient."

    @property
    def personal_data(self) -> str:
        kept, share = self.audit["memorized"], self.audit["memorized"].get("share", 0)
        return (
            "The images were drawn by a generator that has seen patients. Each was compared with every training image; "
            f"{kept.get('count', 0):g} of {self.audit['count']} ({100 * share:.3g} %) are flagged as copies at a false "
            f"positive rate of {100 * self.audit['false_positive_rate']:.3g} %. Names of subjects are not part of it."
        )


def dice_rows(path: str | Path, dataset: str, generator: str, labels: Iterable[str]) -> list[dict[str, str]]:
    """Of dice.csv the rows of a data set whose training set is real images, or has images of the generator; of these
    the columns that we know, so that a note in another one does not leave. Raises ValueError."""
    numbers = [f"{name}_{kind}" for name in (*labels, "mean") for kind in ("mean", "sd", "low", "high", "median")]
    numbers += ["repeats", "failed", "undefined"]
    rows = []
    for line, row in read_rows(path, TABLE_KEYS, "tables/dice.csv"):
        if row["dataset"] != dataset or not _is_of(row["training_set"], generator, path):
            continue
        named = row["augmentation"] in ("augmented", "plain") and re.fullmatch("[a-z][a-z0-9_]{0,63}", row["segmenter"])
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
