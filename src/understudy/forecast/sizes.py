"""How many subjects and slices a dataset has: counted where it is prepared, estimated from its split before that."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.files.json_forms import StacksCounts
from understudy.files.outside import read_json_as, read_rows
from understudy.study.result_paths import stacks_folder

SLICES = 155  # of a BraTS volume ...
KEPT = 75  # ... and how many pass the slice rule: 23 478 slices of 313 subjects in the published study
UNKNOWN_SUBJECTS = 300  # where nothing tells


@dataclass(frozen=True)
class Size:
    """Of one dataset. Stacks hold `train_slices` (all pass the slice rule) and `test_slices` (all there are)."""

    train_subjects: int
    test_subjects: int
    train_slices: int
    test_slices: int
    test_included: int  # of the test slices, those that pass the slice rule
    source: str  # how it is known, for people
    counted: bool = False

    @property
    def subjects(self) -> int:
        return self.train_subjects + self.test_subjects


def dataset_size(config: Mapping, dataset: str) -> Size:
    """From stacks.json where it is there, else an estimate: subjects by the split, slices per subject as published."""
    manifest = Path(stacks_folder(config["results"], dataset), "stacks.json")
    if manifest.is_file():
        splits = read_json_as(StacksCounts, manifest, "stacks.json")["splits"]
        train, test = splits["train"], splits["test"]
        subjects = len(train["subjects"]), len(test["subjects"])
        return Size(*subjects, train["count"], test["count"], test["included"], "counted in its stacks", counted=True)
    options = config["datasets"][dataset]
    train, test, source = _subjects(options)
    slices = round(options["phantom"]["size"] * SLICES / 240) if options["phantom"] else SLICES
    kept = slices * KEPT / SLICES
    return Size(train, test, round(train * kept), test * slices, round(test * kept), source)


def _subjects(options: Mapping) -> tuple[int, int, str]:
    """(train, test, how it is known) before anything is prepared."""
    each = f"{KEPT} of {SLICES} slices each"
    if options["split"]:
        count = Counter(row["split"] for _, row in read_rows(options["split"], ("split",), "a split file"))
        return count["train"], count["test"], f"subjects of its split file, {each}"
    test = options["test_subjects"]
    if options["phantom"]:
        return options["phantom"]["subjects"] - test, test, f"subjects to be made, {each}"
    root = Path(options["root"])
    if folders := sum(path.is_dir() for path in root.iterdir()) if root.is_dir() else 0:
        return max(folders - test, 1), test, f"folders below {root}, {each}"
    return max(UNKNOWN_SUBJECTS - test, 1), test, f"UNKNOWN: {UNKNOWN_SUBJECTS} subjects assumed, {each}"
