"""Writes a folder's first config: where the data is and how it is cut; the rest is what config/lean.yaml recommends."""

import csv
import io
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from understudy.config.audit import Audit
from understudy.config.generator import MULTIPLIERS
from understudy.config.images import LABEL_CHANNEL, Images
from understudy.config.study import complete
from understudy.config.writing import given_text
from understudy.files import escape
from understudy.files.atomic import write_text_atomically
from understudy.files.outside import read_text
from understudy.prepare.splits import draw_split

from .recognise import Found
from .rehearsal import rehearsal_file, rehearsal_text, tolerance
from .survey import EXPECTED, LEAST, Survey

TEST_SHARE = 0.2
_LEVELS = Images.model_fields["labels"].default
_WIDTH = 120


@dataclass(frozen=True)
class Written:
    """The files of a first config: path -> text, and what is to be told of them."""

    config: Path
    texts: Mapping[Path, str]
    open: list[str]


def plan(found: Found, seen: Survey, config: Path, recommended: Path, demo: Path | None) -> Written:
    """What is to be written, nothing of it yet.

    Args:
        recommended: config/lean.yaml.
        demo: config/demo.yaml, where a rehearsal is to be written as well.
    Raises:
        ValueError: the config would not be valid (a folder whose name no study can carry), or is there already.
    """
    dataset = found.dataset
    texts, split, open_ = _split(seen, dataset, config)
    given = {"datasets": {dataset: {"root": str(found.root), **_layout(found, seen), **split}}}
    given |= {"images": _images(found, seen), **_other_defaults(found, seen)}
    rest, left_out = _rest(read_text(recommended, "the config that is recommended, in a checkout"), seen.size)
    notes = _notes(found, seen, dataset)
    configs = {config: f"{_head(found, seen, open_ + left_out)}{given_text(given, notes)}\n{rest}"}
    if demo:
        path = rehearsal_file(config)
        configs[path] = rehearsal_text(given, seen.pixel_mm, notes, path, demo)
    for path in (*configs, config.with_suffix(".png"), *texts):
        if path.exists():
            raise ValueError(f"{path}: found a file, expected none: nothing is overwritten. Remove it, or name another "
                             "config with --output.")  # fmt: skip
    for text in configs.values():
        complete(_without_files(yaml.safe_load(text), dataset))
    return Written(config, {**configs, **texts}, open_ + left_out)


def write(planned: Written) -> None:
    for path, text in planned.texts.items():
        write_text_atomically(path, text)


def _layout(found: Found, seen: Survey) -> dict:
    if not isinstance(found.layout, dict):
        layout = {"layout": found.layout}
    else:
        layout = {"layout": {channel: found.layout[channel] for channel in found.channels}}
    return layout | ({"labels": dict(seen.labels)} if seen.labels else {})


def _images(found: Found, seen: Survey) -> dict:
    images = {"size": seen.size, "channels": found.channels, "labels": _levels(seen), "decisive": seen.decisive}
    images |= {"windows": {name: list(window) for name, window in seen.windows.items()}} if seen.windows else {}
    return images | ({"area_fraction": seen.area_fraction} if seen.area_fraction is not None else {})


def _other_defaults(found: Found, seen: Survey) -> dict:
    """The keys whose default is a modality that is not there, or less than a pixel."""
    audit, evaluation = {}, tolerance(seen.pixel_mm)
    if Audit.model_fields["channel"].default not in found.channels:
        audit["channel"] = seen.decisive
        evaluation["fidelity"] = {"channels": [seen.decisive]}
    return {name: keys for name, keys in {"audit": audit, "evaluation": evaluation}.items() if keys}


def _levels(seen: Survey) -> dict[str, int]:
    """Label name -> grey level: the study's own where these are its labels, else evenly spread."""
    names = list(dict.fromkeys(seen.label_names.values()))
    if set(names) <= _LEVELS.keys():
        return {name: level for name, level in _LEVELS.items() if name in names}
    return {name: round(255 * (i + 1) / (len(names) + 1)) for i, name in enumerate(names)}


def _split(seen: Survey, dataset: str, config: Path) -> tuple[dict[Path, str], dict, list[str]]:
    """(files, keys of the dataset, what is open): a drawn number, or where patients come again a file that keeps each
    of them on one side, and one that says who is who."""
    if not seen.patients:
        return {}, {"test_subjects": _tested(len(seen.subjects))}, []
    patient_of = {subject: patient for patient, theirs in seen.patients.items() for subject in theirs}
    people = sorted({patient_of.get(subject, subject) for subject in seen.subjects})
    if len(people) < LEAST:
        raise ValueError(f"{seen.subjects[0]}, ...: found patients: {len(people)}, {EXPECTED}")
    themselves = dict(zip(people, people, strict=True))
    drawn = draw_split(themselves, _tested(len(people)), 1, secrets.token_bytes(32))
    paths = {name: config.with_name(f"{config.stem}_{name}.csv") for name in ("split", "identities")}
    rows = [(subject, patient_of.get(subject, subject)) for subject in seen.subjects]
    texts = {
        paths["split"]: _csv([("subject", "split"), *((subject, drawn[person]) for subject, person in rows)]),
        paths["identities"]: _csv([(dataset, "patient"), *rows]),
    }
    first = next(iter(seen.patients))
    return texts, {name: str(path) for name, path in paths.items()}, [
        f"{len(seen.patients)} patients are taken to come several times, such as {first} "
        f"({', '.join(seen.patients[first][:3])}): datasets.{dataset}.identities and split keep each on one side"
    ]  # fmt: skip


def _tested(people: int) -> int:
    return max(1, round(TEST_SHARE * people))


def few_people(seen: Survey) -> list[str]:
    """What is known before anything runs: that the audit of so few can pass nothing."""
    people = len(seen.subjects) - sum(len(theirs) - 1 for theirs in seen.patients.values())
    tested, least = _tested(people), Audit.model_fields["least_subjects"].default
    if min(tested, people - tested) >= least:
        return []
    if people - tested < 2:
        return ["one patient to train: the audit, which asks whom an image is nearer to, needs two"]
    return [
        f"few patients, {people - tested} to train and {tested} to test: with fewer than {least} of either "
        "(audit.least_subjects) the audit passes no images; it fails them or cannot say"
    ]


def _csv(rows: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _without_files(config: dict, dataset: str) -> dict:
    """To be checked before its split is written."""
    own = config["datasets"][dataset]
    if own.pop("split", None):
        own.pop("identities")
        own["test_subjects"] = 1
    return config


def _rest(recommended: str, size: int) -> tuple[str, list[str]]:
    """The recommended config from its generators on; without what cannot be built for larger images."""
    rest = recommended[recommended.index("\ngenerators:") + 1 :]
    if size in MULTIPLIERS:
        return rest, []
    without = re.sub(r"^  rectified_flow:\n(?:    .*\n)+", "", rest, flags=re.MULTILINE)
    return without, [
        f"generators.rectified_flow is left out: for {size} pixels it needs multipliers (config/README.md)"
    ]


def _notes(found: Found, seen: Survey, dataset: str) -> dict[str, str]:
    place = f"datasets.{dataset}"
    return {
        f"{place}.layout": "how files are named: docs/data.md",
        f"{place}.labels": "raw value -> name",
        f"{place}.test_subjects": f"of {len(seen.subjects)}, drawn with a secret; few are the commonest reason for "
        '"undecided"',
        f"{place}.split": "each patient on one side",
        f"{place}.identities": "who is who",
        "images.size": f"pixels after zero padding, a power of two; found {_some(seen.shapes)} voxels",
        "images.channels": f"modalities, and the annotation `{LABEL_CHANNEL}` as the last",
        "images.labels": "grey level of each label in the annotation channel, ascending",
        "images.windows": "Hounsfield units, black and white",
        "evaluation.surface_tolerance_mm": "a pixel: edges within it agree",
        "images.decisive": "the modality that decides which slices are kept",
        "images.area_fraction": "a slice is kept where more than this share of it is bright; lowered, as the default "
        "would keep no slice of some subjects",
    }


def _head(found: Found, seen: Survey, open_: list[str]) -> str:
    said = [f"{found.kind}, {len(seen.subjects)} subjects. Written by `understudy init`; every key: config/README.md."]
    said += [f"Could not be decided: {text}." for text in found.open + open_]
    said += ["From `generators` on these are the choices of config/lean.yaml."]
    return "".join(f"# {escape.line(text)}\n" for text in said)


def _some(texts) -> str:
    return ", ".join(texts[:3]) + (", ..." if len(texts) > 3 else "")
