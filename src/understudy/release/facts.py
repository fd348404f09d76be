"""The facts in the documents of a release, gathered once, so that README.md, croissant.json and ro-crate-metadata.json
agree."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from understudy.files.atomic import sha256_of_file
from understudy.stack import Stack
from understudy.stack.labels import LABEL_CHANNEL, label_names
from understudy.study.bids_names import BIDS_FOLDER

from .about import About
from .quality import Quality
from .steps import Step, steps

WORKFLOW = "workflow.smk"
# name -> (media type, what it is); a folder ends with /
KINDS = {
    "images.zip": (
        "application/zip",
        "all images, an uncompressed ZIP with one 8-bit grey PNG for each, and stack.json",
    ),
    "images/": ("", "the same images as a folder for each channel"),
    "images/metadata.csv": ("text/csv", "which pictures of the folders are of one image, a row each"),
    f"{BIDS_FOLDER}/": ("", "the same images as a BIDS derivative data set, a subject for each image"),
    f"{BIDS_FOLDER}/dataset_description.json": ("application/json", "the BIDS data set: version, terms, authors"),
    f"{BIDS_FOLDER}/README.md": ("text/markdown", "the BIDS data set for people"),
    f"{BIDS_FOLDER}/LICENSE": ("text/plain", "the terms of use, beside the BIDS data set"),
    f"{BIDS_FOLDER}/dseg.tsv": ("text/tab-separated-values", "names of the grey levels of the annotation"),
    **{
        f"{BIDS_FOLDER}/{suffix}.json": ("application/json", f"what all {suffix} volumes have in common")
        for suffix in ("T1w", "T2w", "FLAIR", "dseg")
    },
    "weights.safetensors": ("application/octet-stream", "the generator that drew the images, safetensors"),
    "audit/audit.json": ("application/json", "the audit of the images: are any of them copies of training images?"),
    "tables/dice.csv": ("text/csv", "Dice on real test subjects of segmenters trained on these and on real images"),
    "README.md": ("text/markdown", "this data set card"),
    "privacy.html": ("text/html", "may these images be shared? What a data protection officer and an ethics board ask"),
    "LICENSE": ("text/plain", "the terms of use"),
    "CITATION.cff": ("application/yaml", "how to cite this data set"),
    "croissant.json": ("application/ld+json", "the data set for programs, Croissant 1.1"),
    "datacite.json": ("application/json", "the record of a DOI, DataCite 4.5; the archive adds the DOI"),
    ".zenodo.json": ("application/json", "the form of an upload to Zenodo, filled in"),
    "healthdcat-ap.jsonld": (
        "application/ld+json",
        "the record in a catalogue of health data, HealthDCAT-AP release 8",
    ),
    "sbom.spdx.json": ("application/spdx+json", "files with their terms, and the programs that made them, SPDX 2.3"),
    WORKFLOW: ("text/plain", "the rules that made the images, as a Snakemake workflow for images of your own"),
    "verify.py": ("text/x-python", "checks every file of this folder: python verify.py"),
    "SHA256SUMS": ("text/plain", "the SHA-256 of every file: sha256sum -c SHA256SUMS"),
}
ALWAYS = (
    "README.md",
    "privacy.html",
    "LICENSE",
    "CITATION.cff",
    "croissant.json",
    "datacite.json",
    ".zenodo.json",
    "healthdcat-ap.jsonld",
    "sbom.spdx.json",
    WORKFLOW,
    "verify.py",
    "SHA256SUMS",
)  # in every release


DATA = ("images.zip", "weights.safetensors", "audit/audit.json", "tables/dice.csv")  # the rest is about these


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
    quality: Quality
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

    def sha1(self, name: str) -> str:
        """SPDX asks for it; nothing is checked by it."""
        with open(self.folder / name, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()

    @property
    def files(self) -> list[File]:
        """Those that are finished."""
        there = [(name, self.folder / name) for name in KINDS if (self.folder / name).is_file()]
        return [File(name, *KINDS[name], path.stat().st_size, self.sha256(name)) for name, path in there]

    @property
    def data(self) -> list[File]:
        return [file for file in self.files if file.name in DATA]

    @property
    def steps(self) -> list[Step]:
        return steps(self.training, self.audit, len(self.stack))

    @property
    def method(self) -> str:
        """One sentence on each rule."""
        parts = [f"{step.rule} {step.what}{_in_brackets(step.parameters)}" for step in self.steps]
        return f"The images were {self.origin}, with understudy. " + "; ".join(parts) + "."

    @property
    def versions(self) -> dict[str, str]:
        """Of the programs that trained the generator, such as torch; empty where nobody knows."""
        return dict(self.training.get("versions", {}))

    @property
    def keywords(self) -> list[str]:
        return ["medical imaging", "synthetic images", "segmentation", self.about.generator]

    @property
    def training_data(self) -> str:
        """What the images were derived from, without a name of anybody."""
        return (
            f"images of the training subjects of the data set {self.about.dataset}, which are not part of this release"
        )

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.about.dataset}-{self.about.generator}".lower()).strip("-")

    @property
    def identifier(self) -> str:
        """A name that no other data set has: it ends with the sum of the images."""
        return f"{self.slug}-{self.sha256('images.zip')}"

    @property
    def origin(self) -> str:
        subjects = f"{self.subjects} subjects" if self.subjects else "an unknown number of subjects"
        return f"drawn by a generative model ({self.about.generator}) that was trained on images of {subjects}"

    @property
    def summary(self) -> str:
        """One paragraph."""
        rows, columns = self.stack.meta["height"], self.stack.meta["width"]
        text = f"{len(self.stack)} synthetic medical images of {rows} x {columns} pixels ({', '.join(self.modalities)})"
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


def _in_brackets(parameters: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} {value}" for name, value in parameters.items())
    return f" ({listed})" if listed else ""
