"""Recognises what a folder of images is by names alone, and says it as a layout of prepare/layouts.py."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.config.images import LABEL_CHANNEL
from understudy.files.json_forms import DatasetJson
from understudy.files.outside import read_json_as
from understudy.prepare.layouts import PRESETS, find_subjects
from understudy.prepare.read_volumes import IMAGES_2D, KNOWN, split_ending
from understudy.study.bids_names import MODALITIES

from .file_patterns import Patterns, common_patterns, image_files, image_patterns, is_bids_anatomy
from .file_words import annotation_rank, modality_of, safe_word, tokens

OF_DICOM = "Of DICOM series with a SEG `understudy convert-dicom` makes NIfTI: docs/data.md"
_OTHER_FORMATS = (".dcm", ".mha", ".mhd", ".img", ".hdr")
_BRATS = [layout for name, layout in PRESETS.items() if name.startswith("brats")]
_MSD = PRESETS["msd"]
_SEVERAL_WAYS = "BraTS, MSD, nnU-Net raw, BIDS, a folder per subject, or SUBJECT_modality.nii.gz"


@dataclass
class Found:
    """What a folder is. `layout` and `channels` are as a config has them; `label_names` is what the data itself says;
    `told` is what was found, `open` what could not be decided, a line each."""

    dataset: str  # its name in the config
    root: Path
    kind: str
    layout: str | list[str] | dict[str, str]
    channels: list[str]  # modalities, then the annotation
    label_names: Mapping[int, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


def recognise(folder: str | Path, dataset: str) -> Found:
    """Raises ValueError: no folder, nothing in it, no annotation, or names that follow no pattern."""
    root = Path(folder).resolve()
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise ValueError(f"{folder}: found {found}, expected a folder of images.")
    files = image_files(root)
    if not files:
        raise ValueError(f"{folder}: found {_no_image(root)}, expected {KNOWN}. {OF_DICOM}.")
    if volumes := [file for file in files if split_ending(file)[1] is not IMAGES_2D]:
        files = volumes  # pictures beside volumes show them
    root, files = _inner(root, files)
    found = _as_brats(dataset, root, files) or _as_challenge(dataset, root, files) or _as_patterns(dataset, root, files)
    if split_ending(files[0])[1] is IMAGES_2D and not any("{image}" in place for place in found.layout.values()):
        found.open.append(
            "each image is taken for another patient: where several are of one, give a CSV of who is who as "
            f"datasets.{dataset}.identities (docs/data.md)"
        )
    if root != Path(folder).resolve():
        found.told.insert(0, f"{root}: the data begins here")
    return found


def _inner(root: Path, files: list[str]) -> tuple[Path, list[str]]:
    """Where a folder holds nothing but another one, and that more than files, what is in that one."""
    tops = {file.split("/")[0] for file in files}
    if len(tops) > 1 or any(file.count("/") < 2 for file in files):
        return root, files
    (top,) = tops
    return _inner(root / top, [file.removeprefix(f"{top}/") for file in files])


def _no_image(root: Path) -> str:
    endings = Counter(path.suffix.lower() for path in root.glob("*/*") if path.is_file())
    endings.update(path.suffix.lower() for path in root.iterdir() if path.is_file())
    other = [ending for ending in endings if ending in _OTHER_FORMATS]
    return f"files of another format ({', '.join(sorted(other))})" if other else "no image"


def _as_brats(dataset: str, root: Path, files: Sequence[str]) -> Found | None:
    """BraTS of one year or several, by subjects' names, or by files' names where subjects were renamed."""
    folders = {folder for file in files for folder in file.split("/")[:-1]}
    years = [layout for layout in _BRATS if any(re.fullmatch(layout.ids, folder) for folder in folders)]
    for layouts in [years] if years else [[one] for one in _BRATS]:
        if found := _brats_by(dataset, root, layouts):
            return found
    return None


def _brats_by(dataset: str, root: Path, layouts: Sequence) -> Found | None:
    subjects, _ = find_subjects(root, layouts, list(layouts[0].files))
    there = Counter(channel for subject in subjects for channel in subject.files)
    if LABEL_CHANNEL not in there or len(there) < 2:
        return None
    years = Counter(subject.layout.name for subject in subjects)
    found = Found(dataset, root, "BraTS", sorted(years), [channel for channel in layouts[0].files if there[channel]])
    if not re.fullmatch(layouts[0].ids, subjects[0].name) and len(layouts) == 1:
        found.told.append(f"files are called as in {layouts[0].name}, subjects are not")
    if absent := [channel for channel in layouts[0].files if not there[channel]]:
        found.told.append(f"no subject has {', '.join(absent)}")
    if len(years) > 1:
        found.told.append("subjects by naming: " + ", ".join(f"{year} {n}" for year, n in sorted(years.items())))
        found.open.append(
            "several years of BraTS share patients under other names, and no name tells who: give a CSV of them as "
            f"datasets.{dataset}.identities (docs/data.md)"
        )
    else:
        (found.layout,) = years
    return found


# ------------------------------------------------------------------------------------------------ MSD, nnU-Net
def read_dataset_json(path: Path) -> dict:
    """Raises ValueError where it is no description of a data set as MSD and nnU-Net have it."""
    return read_json_as(DatasetJson, path, "dataset.json as MSD or nnU-Net write it")


def _as_challenge(dataset: str, root: Path, files: Sequence[str]) -> Found | None:
    """MSD (imagesTr/SUBJECT.nii.gz, 3D or 4D) or nnU-Net raw (imagesTr/SUBJECT_0000.nii.gz, a file per channel)."""
    images = [file for file in files if re.match(r"imagesTr/[^/]+$", file)]
    annotations = [file for file in files if re.match(r"labelsTr/[^/]+$", file)]
    if not (images and annotations and (root / "dataset.json").exists()):
        return None
    about = read_dataset_json(root / "dataset.json")
    channels = about.get("channel_names") or about.get("modality") or {}
    names = _channel_names(channels)
    label_names, unclear = _label_names(about["labels"])
    ending = split_ending(images[0])[1].endings[0]
    is_nnunet = any(re.search(r"_\d{4}$", split_ending(file)[0]) for file in images)
    found = Found(
        dataset, root, "nnU-Net raw" if is_nnunet else "MSD", {}, [*names.values(), LABEL_CHANNEL], label_names
    )
    if is_nnunet:
        places = {name: f"imagesTr/{{subject}}_{number:04d}{ending}" for number, name in names.items()}
    else:
        several = len(names) > 1
        places = {name: f"imagesTr/{{subject}}{ending}" + f"[{number}]" * several for number, name in names.items()}
    found.layout = {**places, LABEL_CHANNEL: f"labelsTr/{{subject}}{ending}"}
    if found.layout == dict(_MSD.files):
        found.layout, found.label_names = _MSD.name, {}
    if unclear:
        found.open.append(
            f"dataset.json gives {', '.join(unclear)} as regions of several values: name the values in datasets."
            f"{dataset}.labels and images.labels"
        )
    return found


def _channel_names(given: Mapping[str, str]) -> dict[int, str]:
    """Number -> channel, in the order of channels that is one everywhere."""
    names: dict[int, str] = {}
    for number, text in sorted((int(number), text) for number, text in given.items()):
        name = modality_of(text) or safe_word(text, f"channel_{number}")
        names[number] = f"{name}_{number}" if name in (*names.values(), LABEL_CHANNEL) else name
    return dict(sorted(names.items(), key=lambda one: _order(one[1])))


def _order(channel: str) -> tuple[int, str]:
    known = list(MODALITIES)
    return (known.index(channel) if channel in known else len(known), channel)


def _label_names(given: Mapping[str, object]) -> tuple[dict[int, str], list[str]]:
    """(raw value -> name, regions of several values). MSD has value: name, nnU-Net name: value."""
    names, unclear = {}, []
    for key, value in given.items():
        if isinstance(value, list):
            unclear.append(key)
            continue
        number, name = (int(value), key) if isinstance(value, int) else (int(key), str(value))
        if number > 0:
            names[number] = safe_word(name, f"label_{number}")
    return names, unclear


# ------------------------------------------------------------------------------------------------ any pattern
def _as_patterns(dataset: str, root: Path, files: Sequence[str]) -> Found:
    """BIDS, and whatever else follows a pattern."""
    anatomy = [file for file in files if is_bids_anatomy(file)]
    patterns, rest = image_patterns(files) if split_ending(files[0])[1] is IMAGES_2D else ({}, [])
    several = bool(patterns)
    if not several:
        patterns, rest = common_patterns(anatomy or files)
    if not patterns:
        raise ValueError(
            f"{root}: found {len(files)} images such as {files[0]} whose names follow no common pattern, expected "
            f"{_SEVERAL_WAYS}. Rename them, or write the patterns yourself: docs/data.md."
        )
    annotation, others = _annotation(patterns)
    if annotation is None:
        raise ValueError(
            f"{root}: found no annotation among {_shown(list(patterns))}, expected files with a name such as seg, mask "
            "or label. Rename them, or write the patterns yourself: docs/data.md."
        )
    modalities = _modalities([pattern for pattern in patterns if pattern != annotation and pattern not in others])
    if not modalities:
        raise ValueError(f"{root}: found an annotation ({annotation}) and no image, expected at least one modality.")
    layout = {**modalities, LABEL_CHANNEL: annotation}
    found = Found(dataset, root, "BIDS" if anatomy else f"{_formats(files)} by pattern", layout, list(layout))
    if label := re.search(r"label-([A-Za-z0-9]+)", annotation):
        found.label_names = {1: safe_word(label[1], "label_1")}
    if several:
        found.told.append("the images {image} of a subject are its slices")
    if others:
        found.open.append(f"the annotation could also be {_shown(others)}: datasets.{dataset}.layout.{LABEL_CHANNEL}")
    if rest:
        found.told.append(f"{len(rest)} files fit no pattern that most subjects share, left out: {_shown(rest)}")
    return found


def _formats(files: Sequence[str]) -> str:
    return " and ".join(sorted({split_ending(file)[1].name for file in files}))


def _annotation(patterns: Patterns) -> tuple[str | None, list[str]]:
    """The pattern of the annotation, and those of others. Words that all patterns have say nothing."""
    words = {pattern: set(tokens(pattern)) for pattern in patterns}
    everywhere = set.intersection(*words.values()) if len(words) > 1 else set()
    ranks = {pattern: annotation_rank(words[pattern] - everywhere) for pattern in patterns}
    ranked = sorted((rank, len(pattern), pattern) for pattern, rank in ranks.items() if rank is not None)
    return (ranked[0][2], [pattern for _, _, pattern in ranked[1:]]) if ranked else (None, [])


def _modalities(patterns: Sequence[str]) -> dict[str, str]:
    """Channel -> pattern, in order. Of two for one modality, the shorter has the modality's own name."""
    places: dict[str, str] = {}
    everywhere = set.intersection(*(set(tokens(pattern)) for pattern in patterns)) if len(patterns) > 1 else set()
    for pattern in sorted(patterns, key=lambda one: (len(one), one)):
        own = " ".join(word for word in tokens(_words(pattern)) if word not in everywhere)
        name = modality_of(own) or modality_of(pattern) or safe_word(own, "image")
        if name in places or name == LABEL_CHANNEL:
            name = safe_word(own, "image")
        places[f"{name}_{len(places)}" if name in places else name] = pattern
    return dict(sorted(places.items(), key=lambda one: _order(one[0])))


def _words(pattern: str) -> str:
    """A pattern without its placeholders and its ending."""
    return split_ending(re.sub(r"\{\w+\}", "", pattern))[0]


def _shown(values: Sequence[str]) -> str:
    return ", ".join(values[:3]) + (", ..." if len(values) > 3 else "")
