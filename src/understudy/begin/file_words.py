"""What words in file names mean: modalities, annotations, patients who come again."""

import re
from collections.abc import Collection, Iterable

from understudy.study.bids_names import MODALITIES

CONTRAST = {"ce", "gd", "gad", "gadolinium", "contrast", "post", "postcontrast"}
OTHERS = {"adc", "dwi", "pd", "pdw", "swi", "ct", "pet"}
ANNOTATIONS = ["dseg", "seg", "segmentation", "label", "labels", "labelstr", "annotation", "annotations", "mask"]
ANNOTATIONS += ["masks", "roi", "gtv"]  # the earlier is the likelier
FINDINGS = ["tumor", "tumour", "lesion", "lesions", "gt", "groundtruth"]  # may be a part of a subject's id as well
_VISIT = re.compile(r"(.+?)[_-](?:ses|session|visit|timepoint|tp|time|scan|followup)[_-]?\w+", re.IGNORECASE)
_BRATS_VISIT = re.compile(r"(BraTS-\w+-\d+)-\d{3}")  # from 2023 on: BraTS-GLI-00005-001


def tokens(text: str) -> list[str]:
    """Words of a name, in small letters."""
    return [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]


def modality_of(text: str) -> str | None:
    """The channel that a name speaks of, none where it says no modality that we know."""
    words = set(tokens(text))
    found = [name for name, spellings in MODALITIES.items() if words & spellings]
    if "flair" in found:
        return "flair"
    if found == ["t1"] and words & CONTRAST:
        return "t1ce"
    return found[-1] if found else next(iter(sorted(words & OTHERS)), None)


def annotation_rank(words: Collection[str]) -> int | None:
    """Place among the words for an annotation, the smaller the likelier; none where there is no such word."""
    if "brain" in words and words & {"mask", "masks"}:  # where the head is, not what was annotated in it
        return None
    return next((rank for rank, word in enumerate([*ANNOTATIONS, *FINDINGS]) if word in words), None)


def says_what(text: str) -> bool:
    """Whether a name has a word that says what a file is, so it is not (only) a subject's."""
    known = {*ANNOTATIONS, *OTHERS}.union(*MODALITIES.values())
    return any(word in known for word in tokens(text))


def safe_word(text: str, otherwise: str) -> str:
    """Small letters, digits and _, as channels and labels are called."""
    return "_".join(tokens(text))[:40] or otherwise


def patients(subjects: Iterable[str]) -> dict[str, list[str]]:
    """Patient -> subjects, of those patients who have several: one id with several sessions, visits or time points."""
    of: dict[str, list[str]] = {}
    for subject in subjects:
        match = _BRATS_VISIT.fullmatch(subject) or _VISIT.fullmatch(subject)
        of.setdefault(match[1] if match else subject, []).append(subject)
    return {patient: sorted(theirs) for patient, theirs in of.items() if len(theirs) > 1}
