"""What depends on a subject who withdraws consent: every stack, generator, segmenter and release that has seen the
subject, and the synthetic images that come too near.

Lineages are lists of identities (hashes), which stacks and weights carry; a subject is found by its identity in the
stacks of its dataset. Segmenters name their training set in their path.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from understudy.files.csv_files import read_csv
from understudy.stack import Stack
from understudy.study.result_paths import stacks_folder
from understudy.study.sources import Source, origins_of, parts

TEXTS = {"image": str, "flagged": str, "nearest": str, "correlation": float}


@dataclass(frozen=True)
class Dependent:
    path: str
    why: str


def identity_of(results: Path, dataset: str, subject: str) -> tuple[str, str]:
    """(identity, split). Raises ValueError where the dataset has no such subject."""
    known: list[str] = []
    for split in ("train", "test"):
        subjects = Stack.open(f"{stacks_folder(results, dataset)}/{split}.zip").meta.get("subjects", {})
        if subject in subjects:
            return subjects[subject]["identity"], split
        known += subjects
    example = min(known, default="none")
    raise ValueError(
        f"{results / dataset}/stacks: found no subject {subject!r}, expected one of {len(known)}, such as {example}; "
        "names are in subjects.csv beside them"
    )


def dependents(results: Path, identity: str) -> Iterator[Dependent]:
    """Stacks and what was made of them, in every dataset: a patient may be in several."""
    for path in sorted(results.glob("*/stacks/*.zip")):
        for name, subject in Stack.open(path).meta.get("subjects", {}).items():
            if subject["identity"] == identity:
                yield Dependent(str(path), f"holds the images of {name}")
    seen = []
    for path in sorted(results.glob("*/generators/*/*.zip")):
        if identity in Stack.open(path).meta["lineage"]:
            seen.append(path)
            yield Dependent(str(path), "its generator was trained on the subject")
    for path in seen:
        if (weights := path.with_name("weights.safetensors")).is_file() and path.stem == "samples":
            yield Dependent(str(weights), "trained on the subject")
        if (release := path.parents[2] / "release" / path.parent.name).is_dir() and path.stem == "samples":
            yield Dependent(str(release), "released images of this generator: tell who received them")
    yield from _segmenters(results, identity, seen)


def _segmenters(results: Path, identity: str, seen: list[Path]) -> Iterator[Dependent]:
    generators = {(path.parents[2].name, path.parent.name) for path in seen}
    for folder in sorted(results.glob("*/segmenters/*/*")):
        dataset = folder.relative_to(results).parts[0]
        real = identity in Stack.open(f"{stacks_folder(results, dataset)}/train.zip").meta["lineage"]
        if generators.intersection(origins_of(folder.name, dataset)):
            yield Dependent(str(folder), "trained on images of a generator that has seen the subject")
        elif real and any(Source.of(part).is_real for part in parts(folder.name)):
            yield Dependent(str(folder), "trained on the subject")


def near_images(results: Path, dataset: str, subject: str) -> pd.DataFrame:
    """The flagged images of every generator of the dataset whose nearest training image is the subject's."""
    found = []
    for path in sorted((results / dataset / "generators").glob("*/*memorization.csv")):
        table = read_csv(path, "memorization.csv", ("image", "flagged", "nearest", "correlation"), dtype=TEXTS)
        own = table[(table["flagged"] == "True") & table["nearest"].fillna("").str.startswith(f"{subject}/")]
        images = "filtered.zip" if path.name.startswith("filtered_") else "samples.zip"
        found.append(own.assign(stack=str(path.with_name(images)))[["stack", "image", "nearest", "correlation"]])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
