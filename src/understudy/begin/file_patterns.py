"""Finds the naming that a folder of images follows: which part of a path is the subject's id.

Every way to read a path as `pattern with {subject}` is a candidate. The right patterns are those that many ids share,
and whose ids other patterns know as well: {subject}_t1 and {subject}_seg do, t1_{subject} does not.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from understudy.prepare.read_volumes import NIFTI, split_ending

from .file_words import says_what

_MOST_FILES, _MOST_FOLDERS, _DEEPEST = 200_000, 100_000, 8
_BIDS = re.compile(r"(?:.+/)?(sub-[A-Za-z0-9]+)/(?:ses-[A-Za-z0-9]+/)?anat/\1_[^/]+")
_SESSION = re.compile(r"(sub-[A-Za-z0-9]+_ses-[A-Za-z0-9]+)(_.+)")
_SHARE = 0.5  # of the subjects, that have to have a file, before we take it for one that all should have
_IMAGE = "\0"  # in the place of {image}, while a subject's id is looked for
Patterns = dict[str, dict[str, str]]  # pattern -> subject -> file


def image_files(root: Path) -> list[str]:
    """All files of a format that is read below a folder, relative to it, in order; hidden ones are passed over.

    Raises:
        ValueError: there are more files or folders than a data set has.
    """
    found, waiting, folders = [], [(root, "", 0)], 0
    while waiting:
        folder, below, level = waiting.pop()
        folders += 1
        for entry in os.scandir(folder):
            if entry.name.startswith("."):
                continue
            if split_ending(entry.name)[1] and os.path.isfile(entry.path):  # entry's own raises of a link to itself
                found.append(below + entry.name)
            elif level < _DEEPEST and os.path.isdir(entry.path):
                waiting.append((Path(entry.path), f"{below}{entry.name}/", level + 1))
        if len(found) > _MOST_FILES or folders > _MOST_FOLDERS:
            raise ValueError(
                f"{root}: found more than {_MOST_FILES} images or {_MOST_FOLDERS} folders, expected those of one "
                "data set. Name the folder of one."
            )
    return sorted(found)


def is_bids_anatomy(file: str) -> bool:
    """sub-01/anat/sub-01_T1w.nii.gz, with or without sessions, raw or below derivatives/NAME."""
    return bool(_BIDS.fullmatch(file))


def common_patterns(files: Sequence[str]) -> tuple[Patterns, list[str]]:
    """The patterns that most subjects share, and the files that fit none of them."""
    several = _candidates(files, _readings)
    if not several:
        return {}, list(files)
    known = _how_often(several)
    first = max(several, key=lambda pattern: (_shared(several[pattern], known), len(several[pattern]), pattern))
    return _like(first, several, files)


def image_patterns(files: Sequence[str]) -> tuple[Patterns, list[str]]:
    """The same for 2D images of which a subject has several, with {image} in the patterns and SUBJECT/IMAGE in the
    place of subjects. None where subjects have one image each, or nothing else is there of the same images."""
    several = _candidates(files, _image_readings)
    known = _how_often(several)
    shared = {pattern: found for pattern, found in several.items() if _shared(found, known)}
    if not shared:
        return {}, list(files)
    first = max(shared, key=lambda pattern: (len(shared[pattern]), _shared(shared[pattern], known), pattern))
    subjects = {key.split("/")[0] for key in shared[first]}
    return _like(first, shared, files) if 1 < len(subjects) < len(shared[first]) else ({}, list(files))


def _candidates(files: Sequence[str], readings: Callable[[str], Iterator[tuple[str, str]]]) -> Patterns:
    """The patterns that several subjects have."""
    candidates: Patterns = {}
    for file in files:
        for pattern, subject in readings(file):
            candidates.setdefault(pattern, {})[subject] = file
    return {pattern: found for pattern, found in candidates.items() if len(found) > 1}


def _like(first: str, several: Patterns, files: Sequence[str]) -> tuple[Patterns, list[str]]:
    """The first pattern and those that most of its subjects have as well; the files that fit none."""
    subjects, chosen, taken = set(several[first]), {}, set()
    for pattern in sorted(several, key=lambda one: (-len(several[one].keys() & subjects), one)):
        found = several[pattern]
        if len(found.keys() & subjects) >= _SHARE * len(subjects) and not taken & set(found.values()):
            chosen[pattern] = found
            taken |= set(found.values())
    return chosen, [file for file in files if file not in taken]


def _readings(file: str) -> Iterator[tuple[str, str]]:
    """(pattern, subject) of each way to read a path; none where a name has what means something in a pattern."""
    stem, form = split_ending(file)
    ending = "" if form is NIFTI else form.endings[0]  # a pattern without one is NIfTI
    *folders, name = Path(stem).parts
    if _means_something(file, name):
        return
    if (bids := _SESSION.fullmatch(name)) and is_bids_anatomy(file):
        stars = [re.sub(r"^(sub|ses)-.+", r"\1-*", folder) for folder in folders]
        yield "/".join([*stars, f"{{subject}}{bids[2]}{ending}"]), bids[1]  # a session counts as a subject
        return
    for subject in dict.fromkeys(folders):
        if not says_what(subject):
            for parts in _with_subject((*folders, name), subject):
                yield parts + ending, subject
    for cut in [*(match.start() for match in re.finditer(r"[_\-. ]", name)), len(name)]:
        subject = name[:cut]
        if subject and not says_what(subject) and subject not in folders:
            yield "/".join([*folders, f"{{subject}}{name[cut:]}{ending}"]), subject


def _image_readings(file: str) -> Iterator[tuple[str, str]]:
    """(pattern, SUBJECT/IMAGE): a folder is the subject, and a word with a digit in the file's name is the image."""
    stem, form = split_ending(file)
    *folders, name = Path(stem).parts
    if _means_something(file, name):
        return
    words = name.split("_")
    for place, image in enumerate(words):
        if says_what(image) or not re.search(r"\d", image):
            continue
        parts = [*folders, "_".join([*words[:place], _IMAGE, *words[place + 1 :]])]
        for subject in dict.fromkeys(folders):
            if not says_what(subject) and image != subject:
                for pattern in _with_subject(parts, subject):
                    yield pattern.replace(_IMAGE, "{image}") + form.endings[0], f"{subject}/{image}"


def _means_something(file: str, name: str) -> bool:
    """Whether a path has what means something in a pattern."""
    return bool(re.search(r"[{}*\0]|\[\d+\]$", file) or re.search(r"\[\d+\]$", name))


def _with_subject(parts: Sequence[str], subject: str) -> list[str]:
    """The path with {subject} for the subject's id: wherever it is, or only where it is a word, as in 1/t1.nii."""
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(subject)}(?![A-Za-z0-9])")
    anywhere = "/".join(part.replace(subject, "{subject}") for part in parts)
    return list(dict.fromkeys([anywhere, word.sub("{subject}", "/".join(parts))]))


def _how_often(patterns: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    known: dict[str, int] = {}
    for subjects in patterns.values():
        for subject in subjects:
            known[subject] = known.get(subject, 0) + 1
    return known


def _shared(subjects: Mapping[str, str], known: Mapping[str, int]) -> int:
    """How often other patterns know the subjects of one."""
    return sum(known[subject] - 1 for subject in subjects)
