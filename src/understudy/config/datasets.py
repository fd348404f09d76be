"""`datasets`: where subjects are and how they are split."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from .fields import Block, File, Number, Problem, key, word

Name = word("^[a-z0-9][a-z0-9_]*$", "small letters, digits and _, as it becomes a folder")
Preset = Literal["brats2018", "brats2020", "brats2021", "brats2023", "msd"]


class Phantom(Block):
    """Synthetic subjects (phantoms)."""

    subjects: int = key(40, "how many", ge=2)
    size: int = key(64, "voxels along x and y", ge=32, le=240)
    seed: int = key(1, "random seed; subject i is the same whatever the number of subjects", ge=0)
    without_enhancing: Number = key(0.2, "share without an enhancing rim", ge=0, le=1)
    tumor: Number = key(1, "radius of the tumors, relative to the default", ge=0.5, le=2)
    contrast: Number = key(
        1, "contrast of the scanner: power applied to signals relative to white matter; 1: the default", ge=0.5, le=2
    )


class Dataset(Block):
    """Where subjects are and how they are split."""

    root: File | None = key(None, "folder of the raw NIfTI files")
    layout: Preset | Annotated[list[Preset], Field(min_length=1)] | dict[str, str] = key(
        "brats2020",
        "how files are named: a preset, a list of presets whose subjects are combined, or a pattern per "
        'channel such as {t1: "{subject}/{subject}_T1.nii.gz", ..., seg: '
        '"{subject}/{subject}_mask.nii.gz"}; [3] after a pattern takes the fourth volume of a 4D file',
    )
    labels: dict[int | str, str] | None = key(None, "raw label value -> label name; null: the labels of the preset")
    split: File | None = key(None, "CSV with columns subject, split (train or test)")
    subjects: Literal["all", "available"] = key(
        "all", "all: every subject of the split file must exist; available: use those that exist"
    )
    test_subjects: int | None = key(None, "number of test subjects to draw if there is no split file", ge=1)
    draw: Literal["secret", "seed"] = key(
        "secret",
        "how test subjects are drawn. secret: with the study's secret (release.salt_file), so no outsider "
        "can repeat the draw; seed: with the seed alone, so anybody can repeat it, and the study cannot be "
        "released",
    )
    identities: File | None = key(
        None, "CSV with a column per dataset and a row per patient: the patient's name in each dataset"
    )
    attributes: File | None = key(
        None,
        "CSV with a row per subject: the column subject, and any other columns for evaluation.strata, such "
        "as site, scanner, sex, age, grade. A change remakes only the table of strata",
    )
    published: Literal[None, "brats2020", "brats2021"] = key(None, "published table to print beside your results")
    phantom: Phantom | None = key(None, "made subjects (phantoms) in place of `root`")


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    for name, dataset in config["datasets"].items():
        yield from _of_dataset(f"datasets.{name}", dataset, config["images"]["labels"], root)


def _of_dataset(place: str, dataset: Mapping, labels: Mapping, root: Path) -> Iterator[Problem]:
    given = [k for k in ("split", "test_subjects") if dataset[k] is not None]
    if len(given) != 1:
        yield (
            place,
            f"found {' and '.join(given) or 'neither'}; allowed: one of `split` (a file) and `test_subjects` (drawn)",
        )
    if (dataset["root"] is None) == (dataset["phantom"] is None):
        yield place, "allowed: one of `root` (a folder of NIfTI files) and `phantom` (made data)"
    for file in ("split", "identities", "attributes"):
        if dataset[file] is not None and not (root / dataset[file]).is_file():
            yield f"{place}.{file}", f"found {dataset[file]!r}, which is no file; allowed: a CSV (see config/README.md)"
    if unknown := sorted(set((dataset["labels"] or {}).values()) - set(labels)):
        yield f"{place}.labels", f"found {', '.join(unknown)}; allowed: the names of images.labels, {', '.join(labels)}"
    phantom = dataset["phantom"]
    if phantom and dataset["test_subjects"] and phantom["subjects"] <= dataset["test_subjects"]:
        yield (
            f"{place}.test_subjects",
            f"found {dataset['test_subjects']} of {phantom['subjects']} phantoms; some must be left to train",
        )


def sites_apart(datasets: Mapping, pairs: list[tuple[str, str]], place: str) -> Iterator[Problem]:
    """Pairs of datasets, of which one is trained on and the other is tested on, that hold the same patients under other
    names, and nothing says who is who."""
    for a, b in dict.fromkeys(tuple(sorted(pair)) for pair in pairs):
        one, other = datasets[a], datasets[b]
        if one["phantom"] and other["phantom"] and one["phantom"]["seed"] == other["phantom"]["seed"]:
            yield place, f"found {a} and {b}, phantoms of one seed, which are the same subjects; allowed: two seeds"
        named = one["identities"] and one["identities"] == other["identities"]
        if _is_brats(one) and _is_brats(other) and not named:
            yield (
                place,
                f"found {a} and {b}, which are both BraTS and share patients under other names; allowed: with one file "
                "of `identities` for both",
            )


def _is_brats(dataset: Mapping) -> bool:
    layout = dataset["layout"]
    presets = [layout] if isinstance(layout, str) else layout
    return not dataset["phantom"] and any(str(name).startswith("brats") for name in presets)
