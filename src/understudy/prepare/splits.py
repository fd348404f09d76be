"""Which subjects train and which test (splits from a file or drawn), and which subjects of several data sets are one
person (identities)."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from understudy.files.outside import read_rows
from understudy.files.salt import FILE, SECRET, SEED, keyed_hash

SPLITS = ("train", "test")
_EXPECTED = "a CSV file"


def split_subjects(
    identity: Mapping[str, str], options: Mapping, seed: int, salt: bytes | None = None
) -> dict[str, str]:
    """Subject -> split as a dataset's options say: `split` (a CSV) with `subjects`, or `test_subjects`, drawn with the
    study's salt or (`draw: seed`) without. `identity` is that of each subject there is data of.

    Raises:
        ValueError: one line per problem, see read_split and draw_split.
    """
    if bool(options.get("split")) == (options.get("test_subjects") is not None):
        raise ValueError(
            "dataset: found both or neither, expected one of `split` (a CSV) and `test_subjects` (a number)."
        )
    if options.get("split"):
        return read_split(options["split"], identity, options.get("subjects") or "all")
    if how_drawn(options) == SEED:
        salt = None
    elif salt is None:
        raise ValueError("dataset: found no salt, expected one to draw the test subjects with (or `draw: seed`).")
    return draw_split(identity, options["test_subjects"], seed, salt)


def how_drawn(options: Mapping) -> str:
    """What decides who is train and who is test, as stacks.json tells it to a release."""
    return FILE if options.get("split") else options.get("draw") or SECRET


def read_split(path: str | Path, names: Iterable[str], subjects: str = "all") -> dict[str, str]:
    """Subject -> split from a CSV with the columns subject and split (train or test).

    Args:
        names: the subjects that there is data of.
        subjects: "all" wants data of every subject of the file; "available" drops those without, and says how many.
    Raises:
        ValueError: one line per problem: a subject twice or in both splits, another word than train or test, a
            subject of only one of file and data, an empty split.
    """
    if subjects not in ("all", "available"):
        raise ValueError(f"subjects: found {subjects!r}, expected all or available.")
    names = set(names)
    rows = read_rows(path, ("subject", "split"), _EXPECTED)
    split: dict[str, str] = {}
    problems = []
    for number, row in rows:
        name, word = row["subject"], row["split"]
        if word not in SPLITS:
            problems.append(f"{path}, line {number}: found split {word!r}, expected train or test.")
        if name in split:
            problems.append(
                f"{path}, line {number}: found {name} again ({split[name]}, then {word}), expected it once."
            )
        split.setdefault(name, word)
    problems += [
        f"{name}  {path}: found data but no line, expected train or test." for name in sorted(names - split.keys())
    ]
    absent = sorted(split.keys() - names)
    if subjects == "all":
        hint = "Correct `root`, or set `subjects: available`."
        problems += [f"{name}  {path}: found a line but no data, expected its files. {hint}" for name in absent]
    if problems:
        raise ValueError("\n".join(problems))
    if absent:
        print(f"{path}: {len(absent)} of {len(split)} subjects have no data here, {len(names)} are used", flush=True)
    return _with_both({name: split[name] for name in sorted(names)}, str(path))


def check_split_file(dataset: str, options: Mapping) -> None:
    """What can be told of a dataset's split before there is data: read when a workflow starts, so that a test subject
    among the training subjects stops it before any job is submitted. Raises ValueError."""
    if not options["split"]:
        return
    names = {row["subject"] for _, row in read_rows(options["split"], ("subject", "split"), _EXPECTED)}
    split = read_split(options["split"], names)
    if problems := check_identities(split, identities(dataset, names, options["identities"])):
        raise ValueError("\n".join(f"{options['split']}: {problem}" for problem in problems))


def check_sites(datasets: Mapping[str, Mapping], pairs: Iterable[tuple[str, str]]) -> None:
    """The same across datasets, of (trained on, tested on): where both have split files, no patient who is trained on
    at the one is tested at the other. Raises ValueError."""
    for trained, tested in pairs:
        if not (datasets[trained]["split"] and datasets[tested]["split"]):
            continue
        train, test = (_identities_of(n, datasets[n], s) for n, s in ((trained, "train"), (tested, "test")))
        if shared := sorted(test[identity] for identity in test.keys() & train.keys()):
            shown = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
            raise ValueError(
                f"{datasets[tested]['split']}: found {len(shared)} test subjects of {tested} who train at {trained} "
                f"under other names ({shown}), expected none. Correct a split file, or leave out the pair of datasets."
            )


def _identities_of(dataset: str, options: Mapping, split: str) -> dict[str, str]:
    """identity -> subject of a split, by its file."""
    rows = [row for _, row in read_rows(options["split"], ("subject", "split"), _EXPECTED) if row["split"] == split]
    named = identities(dataset, [row["subject"] for row in rows], options["identities"])
    return {identity: name for name, identity in named.items()}


def draw_split(identity: Mapping[str, str], test_subjects: int, seed: int, salt: bytes | None = None) -> dict[str, str]:
    """Draws the test subjects: a function of the set of subjects, the seed and the salt. Without a salt, everybody who
    has the names can repeat the draw; with one, the patients whose keyed hashes are the smallest are drawn.

    All subjects of a patient go into one split. Where a patient would make them too many, the next one is taken: there
    are fewer than `test_subjects` only where no patient is left who fits.
    """
    if not 0 < test_subjects < len(identity):
        raise ValueError(
            f"test_subjects: found {test_subjects} of {len(identity)} subjects, expected some of both splits."
        )
    patients: dict[str, list[str]] = {}
    for name in sorted(identity):
        patients.setdefault(identity[name], []).append(name)
    ordered = list(patients.values())
    if salt is None:
        order = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    else:
        order = sorted(ordered, key=lambda names: keyed_hash(salt, f"split {seed} {names[0]}"))
    drawn: set[str] = set()
    for names in order:
        if len(drawn) + len(names) <= test_subjects:
            drawn.update(names)
    split = {name: "test" if name in drawn else "train" for name in sorted(identity)}
    return _with_both(split, f"test_subjects: {test_subjects} of {len(ordered)} patients")


def _with_both(split: dict[str, str], where: str) -> dict[str, str]:
    count = Counter(split.values())
    if not all(count[word] for word in SPLITS):
        raise ValueError(
            f"{where}: found {count['train']} train and {count['test']} test subjects, expected some of each."
        )
    return split


def identities(dataset: str, names: Iterable[str], path: str | Path | None = None) -> dict[str, str]:
    """Subject -> identity: 16 hex digits that are the same wherever the patient appears, under whatever name.

    Args:
        path: CSV with one column per dataset and one row per patient; cells may be empty. Rows that share a cell are
            the same patient. A subject that no row names stands for itself.
    """
    canonical = _canonical(dataset, path) if path else {}
    texts = {name: canonical.get((dataset, name), f"{dataset}/{name}") for name in names}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def _canonical(dataset: str, path: str | Path) -> dict[tuple[str, str], str]:
    """(dataset, subject) -> "dataset/subject" of the patient's first entry, in the order of the file."""
    rows = read_rows(path, (dataset,), _EXPECTED)
    patient: dict[tuple[str, str], list[tuple[str, str]]] = {}  # entries of one patient share one list
    for _, row in rows:
        entries = [(column, cell) for column, cell in row.items() if cell]
        known = {id(patient[e]): patient[e] for e in entries if e in patient}
        merged = list(dict.fromkeys([e for same in known.values() for e in same] + entries))
        patient.update(dict.fromkeys(merged, merged))
    order = list(rows[0][1]) if rows else []
    return {entry: "/".join(min(same, key=lambda e: (order.index(e[0]), e[1]))) for entry, same in patient.items()}


def check_identities(split: Mapping[str, str], identity: Mapping[str, str]) -> list[str]:
    """One line per patient that is in train and in test."""
    members: dict[str, list[str]] = {}
    for name in split:
        members.setdefault(identity[name], []).append(name)
    return [
        f"{' and '.join(same)}: found one patient in train and test, expected one split. Correct the split file."
        for same in members.values()
        if len({split[name] for name in same}) > 1
    ]
