"""Finds the naming that a folder of images follows: which part of a path is the subject's id.

Every way to read a path as `pattern with {subject}` is a candidate. The right patterns are those that many ids share,
and whose ids other patterns know as well: {subject}_t1 and {subject}_seg do, t1_{subject} does not.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from understudy.prepare.read_volumes import NIFTI, split_ending

from .file_words import says_what

_MOST_FILES, _MOST_FOLDERS, _DEEPEST = 200_000, 100_000, 8
_BIDS = re.compile(r"(?:.+/)?(sub-[A-Za-z0-9]+)/(?:ses-[A-Za-z0-9]+/)?anat/\1_[^/]+")
_SESSION = re.compile(r"(sub-[A-Za-z0-9]+_ses-[A-Za-z0-9]+)(_.+)")
_SHARE = 0.5  # of the subjects, that have to have a file, before we take it for one that all should have
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
    candidates: Patterns = {}
    for file in files:
        for pattern, subject in _readings(file):
            candidates.setdefault(pattern, {})[subject] = file
    several = {pattern: found for pattern, found in candidates.items() if len(found) > 1}
    if not several:
        return {}, list(files)
    known = _how_often(several)
    first = max(several, key=lambda pattern: (_shared(several[pattern], known), len(several[pattern]), pattern))
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
    if re.search(r"[{}*]|\[\d+\]$", file) or re.search(r"\[\d+\]$", name):
        return
    if (bids := _SESSION.fullmatch(name)) and is_bids_anatomy(file):
        stars = [re.sub(r"^(sub|ses)-.+", r"\1-*", folder) for folder in folders]
        yield "/".join([*stars, f"{{subject}}{bids[2]}{ending}"]), bids[1]  # a session counts as a subject
        return
    for subject in dict.fromkeys(folders):
        if not says_what(subject):
            yield "/".join(part.replace(subject, "{subject}") for part in (*folders, name)) + ending, subject
    for cut in [*(match.start() for match in re.finditer(r"[_\-. ]", name)), len(name)]:
        subject = name[:cut]
        if subject and not says_what(subject) and subject not in folders:
            yield "/".join([*folders, f"{{subject}}{name[cut:]}{ending}"]), subject


def _how_often(patterns: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    known: dict[str, int] = {}
    for subjects in patterns.values():
        for subject in subjects:
            known[subject] = known.get(subject, 0) + 1
    return known


def _shared(subjects: Mapping[str, str], known: Mapping[str, int]) -> int:
    """How often other patterns know the subjects of one."""
    return sum(known[subject] - 1 for subject in subjects)
