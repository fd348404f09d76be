"""How the files of a data set are named: presets of the public data sets, own patterns, and the search for subjects.

A layout is data: one path pattern per modality and for the annotation `seg`, and what the raw label values mean.
In a pattern `{subject}` stands for the subject's id, `*` for anything within one folder or file name, and `[3]` at the
end for volume 3 (from 0) of a 4D file. `{image}` is the name, without `_`, of one of several 2D images of a subject:
they are the slices of one volume, whose "file" is the pattern with the subject's id in it. A pattern treats all endings
of a format alike: `.nii` and `.nii.gz`. A pattern without an ending means NIfTI.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.stack.labels import LABEL_CHANNEL

from .read_volumes import NIFTI, split_ending

_SUBJECT, _IMAGE = "{subject}", "{image}"
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WINDOWS = {"CON", "PRN", "AUX", "NUL", *(f"{device}{n}" for device in ("COM", "LPT") for n in range(1, 10))}
_MOST_STARS = 3  # a name of 255 characters is split in 10 million ways by four of them
_INDEX = re.compile(r"\[(\d+)\]$")


@dataclass(frozen=True)
class Layout:
    """Patterns relative to the data root, and raw label value -> label name.

    `ids` is the pattern of the data set's subject names. In a folder that holds several data sets it picks the
    subjects. If no subject has such a name (renamed, pseudonymised), every subject with the right file names is taken.
    `folders` are places under the root where the patterns may start.
    """

    name: str
    files: Mapping[str, str]
    labels: Mapping[int, str]
    ids: str = ".*"
    folders: Sequence[str] = field(default=("",))


def _brats(name: str, ids: str, suffixes: Mapping[str, str], join: str, enhancing: int, **more) -> Layout:
    files = {channel: f"{{subject}}/{{subject}}{join}{suffix}.nii.gz" for channel, suffix in suffixes.items()}
    return Layout(name, files, {1: "ncr_net", 2: "ed", enhancing: "et"}, ids, **more)


_NAMES = {channel: channel for channel in ("t1", "t1ce", "t2", "flair", "seg")}
_NAMES_2023 = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}
_MSD_VOLUMES = {"flair": 0, "t1": 1, "t1ce": 2, "t2": 3}  # dataset.json of Task01: FLAIR, T1w, t1gd, T2w

PRESETS = {
    layout.name: layout
    for layout in (
        _brats("brats2018", r"Brats1[78]_.*", _NAMES, "_", 4, folders=("", "HGG", "LGG")),
        _brats("brats2020", r"BraTS(19|20)_.*", _NAMES, "_", 4, folders=("", "HGG", "LGG")),
        _brats("brats2021", r"BraTS2021_.*", _NAMES, "_", 4),
        _brats("brats2023", r"BraTS-.*", _NAMES_2023, "-", 3),
        Layout(
            "msd",
            {m: f"imagesTr/{{subject}}.nii.gz[{i}]" for m, i in _MSD_VOLUMES.items()}
            | {LABEL_CHANNEL: "labelsTr/{subject}.nii.gz"},
            {1: "ed", 2: "ncr_net", 3: "et"},
        ),
    )
}


@dataclass(frozen=True)
class Subject:
    """A subject found under the root: its files relative to the root, with `[i]` behind those of a 4D file."""

    name: str
    layout: Layout
    files: Mapping[str, str]


def layouts_of(layout: str | Sequence[str] | Mapping[str, str], labels: Mapping | None = None) -> list[Layout]:
    """The layouts that a config names: a preset, a list of presets, or an own mapping channel -> pattern.

    Args:
        labels: raw value -> label name, instead of the presets'; an own mapping needs it.
    Raises:
        ValueError: an unknown preset, a pattern without {subject}, label values that are no whole numbers.
    """
    if isinstance(layout, Mapping):
        if not labels and LABEL_CHANNEL in layout:
            raise ValueError("layout: found own patterns without `labels`, expected e.g. labels: {1: ncr_net, 2: ed}.")
        found = [Layout("own", dict(layout), {})]
    else:
        names = [layout] if isinstance(layout, str) else list(layout)
        unknown = [name for name in names if name not in PRESETS]
        if unknown or not names:
            raise ValueError(f"layout: found {', '.join(unknown) or 'none'}, expected some of {', '.join(PRESETS)}.")
        found = [PRESETS[name] for name in names]
    for pattern in (p for one in found for p in one.files.values()):
        if _SUBJECT not in pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ValueError(
                f"layout: found the pattern {pattern!r}, expected a path below the root that contains {{subject}}."
            )
        *folders, name = Path(pattern).parts
        if name.count(_IMAGE) > 1 or any(_IMAGE in folder for folder in folders) or (_IMAGE in name and "*" in name):
            raise ValueError(
                f"layout: found the pattern {pattern!r}, expected {{image}} once, in the file's name, without a star."
            )
        if any(part.count("*") > _MOST_STARS for part in Path(pattern).parts):
            raise ValueError(
                f"layout: found the pattern {pattern!r}, expected at most {_MOST_STARS} stars in one name: "
                "more of them can be matched in too many ways."
            )
    own = {_whole(value): name for value, name in (labels or {}).items()}
    return [Layout(one.name, one.files, own or one.labels, one.ids, one.folders) for one in found]


def _whole(value: object) -> int:
    if not re.fullmatch(r"[1-9]\d*", str(value)):
        raise ValueError(f"labels: found the raw value {value!r}, expected a whole number above 0 (0 is background).")
    return int(value)


def split_index(file: str) -> tuple[str, int | None]:
    """("a.nii.gz", 3) of "a.nii.gz[3]", ("a.nii.gz", None) of "a.nii.gz"."""
    match = _INDEX.search(file)
    return (file[: match.start()], int(match[1])) if match else (file, None)


def by_file(files: Mapping[str, str]) -> dict[str, dict[str, int | None]]:
    """File -> channel -> volume in it, of channel -> file with index: a 4D file is to be read once."""
    grouped: dict[str, dict[str, int | None]] = {}
    for channel, file in files.items():
        path, index = split_index(file)
        grouped.setdefault(path, {})[channel] = index
    return grouped


def find_subjects(
    root: str | Path, layouts: Sequence[Layout], channels: Sequence[str]
) -> tuple[list[Subject], list[str]]:
    """All subjects below `root` that have any file of the channels, sorted by id; and what is wrong, a line each.

    Problems are: nobody found, a file missing or twice, an id that is no safe file name, ids that differ in case only,
    one subject in two folders.

    Raises:
        ValueError: there is no such root.
    """
    root = Path(root)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise ValueError(f"{root}: found {found}, expected the folder of the raw data. Correct the dataset's `root`.")
    subjects, problems = [], []
    for layout in layouts:
        if missing := [channel for channel in channels if channel not in layout.files]:
            problems.append(
                f"layout {layout.name}: found no pattern for {', '.join(missing)}, expected one per channel."
            )
            continue
        places = _places(root, layout, channels)
        own = {place: files for place, files in places.items() if re.fullmatch(layout.ids, place[1])}
        if not own and len(layouts) == 1:
            own = places
        if (others := sorted({name for _, name in places.keys() - own.keys()})) and len(layouts) == 1:
            shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
            print(f"{root}: {len(others)} subjects are not called as in {layout.name}, left out: {shown}", flush=True)
        if not own:
            problems.append(_nobody(root, layout, channels))
        for (folder, name), files in own.items():
            problems += _file_problems(name, folder, layout, channels, files)
            subjects.append(Subject(name, layout, {c: files[c][0] for c in channels if c in files}))
    problems += _id_problems(subjects)
    return sorted(subjects, key=lambda subject: subject.name), sorted(set(problems))


def _places(root: Path, layout: Layout, channels: Sequence[str]) -> dict[tuple[str, str], dict[str, list[str]]]:
    """(folder, subject) -> channel -> the files that match; more than one of them is an error."""
    places: dict[tuple[str, str], dict[str, list[str]]] = {}
    for folder in layout.folders:
        for channel in channels:
            pattern, index = split_index(layout.files[channel])
            stem, form = split_ending(pattern.replace("[.gz]", ".gz"))
            parts = Path(folder, stem).parts
            for name, file in _matches(root, "", parts, None, (form or NIFTI).regex):
                suffix = "" if index is None else f"[{index}]"
                places.setdefault((folder, name), {}).setdefault(channel, []).append(file + suffix)
    return places


def _matches(
    root: Path, below: str, parts: Sequence[str], subject: str | None, ending: str
) -> Iterator[tuple[str, str]]:
    """(subject, path relative to the root) of every file that matches the parts of a pattern, folder by folder."""
    part, rest = parts[0], parts[1:]
    if rest and _SUBJECT not in part and "*" not in part:  # a fixed folder: no need to list its siblings
        yield from _matches(root, f"{below}{part}/", rest, subject, ending) if (root / below / part).is_dir() else ()
        return
    pattern, seen = re.compile(_regex(part, subject) + ("" if rest else ending), re.DOTALL), set()
    for entry in sorted(os.listdir(root / below)):
        if entry.startswith(".") or not (match := pattern.fullmatch(entry)):  # hidden: macOS leaves ._name in archives
            continue
        name = subject or match.groupdict().get("subject")
        if not rest:
            file = below + (part.replace(_SUBJECT, name) + match["ending"] if _IMAGE in part else entry)
            if file not in seen:
                seen.add(file)
                yield name, file
        elif (root / below / entry).is_dir():
            yield from _matches(root, f"{below}{entry}/", rest, name, ending)


def _regex(part: str, subject: str | None) -> str:
    """Of one folder or file name of a pattern. The subject is anything at first, and the same from then on."""
    text, seen = "", subject is not None
    for piece in re.split(r"(\{subject\}|\{image\}|\*)", part):
        if piece == _SUBJECT:
            text += re.escape(subject) if subject else "(?P=subject)" if seen else "(?P<subject>.+)"
            seen = True
        else:
            text += {"*": ".*", _IMAGE: "[^_]+"}.get(piece, re.escape(piece))
    return text


def _nobody(root: Path, layout: Layout, channels: Sequence[str]) -> str:
    pattern = layout.files[channels[0]]
    shown = ", ".join(sorted(os.listdir(root))[:3]) or "an empty folder"
    return (
        f"{root}: found {shown}, expected files of layout {layout.name} such as {pattern}. Correct `root` or `layout`."
    )


def _file_problems(name: str, folder: str, layout: Layout, channels: Sequence[str], files: Mapping) -> Iterator[str]:
    for channel in channels:
        found = files.get(channel, [])
        if not found:
            expected = Path(folder, layout.files[channel].replace(_SUBJECT, name))
            yield f"{name}  {channel}: found no file, expected {expected}. Complete the subject or remove it."
        if len(found) > 1:
            yield f"{name}  {channel}: found {' and '.join(found)}, expected one of them. Remove the other."


def is_safe_id(name: str) -> bool:
    """Whether a subject id can be a file name on every system."""
    stem = name.split(".")[0].upper()
    return bool(_SAFE_ID.fullmatch(name)) and stem not in _WINDOWS and not name.endswith(".")


def _id_problems(subjects: Sequence[Subject]) -> Iterator[str]:
    by_name: dict[str, list[Subject]] = {}
    for subject in subjects:
        by_name.setdefault(subject.name.lower(), []).append(subject)
        if not is_safe_id(subject.name):
            yield (
                f"{subject.name!r}: found a subject id that is no safe file name, "
                "expected letters, digits, . _ and -, a letter or digit first. Rename its files."
            )
    for same in by_name.values():
        if len(same) > 1:
            names = " and ".join(dict.fromkeys(s.name for s in same))
            where = " and ".join(str(Path(next(iter(s.files.values()))).parent) for s in same)
            yield f"{names}: found in {where}, expected one subject per id (case aside). Remove or rename one."
