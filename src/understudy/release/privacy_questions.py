"""The questions of two texts, each with its answer, the numbers behind it, where these come from, and who decides.

- EDPB, Opinion 28/2024 on AI models; Article 29 Working Party, Opinion 05/2014: singling out, linkability, inference.
- ISO/IEC 27559:2022: context, data, identifiability and mitigation, governance.

If a program cannot answer a question, the answer says so and names who can. The questions are in our words; the texts
ask more. scorecard.py has the questions about quality.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .audit_result import short_percent
from .quality import Quality

PASS, FAIL, CANNOT_SAY = "pass", "fail", "cannot say"  # audit.json
YOU = "the data protection officer"
BOARD = "the ethics board"
OWNER = "who shares the images"
USER = "who uses the images"
NOBODY = "not measured"


@dataclass(frozen=True)
class Question:
    text: str
    answer: str
    numbers: Sequence[str]  # none where there is nothing to measure
    source: str  # file and key
    decides: str


@dataclass(frozen=True)
class Part:
    title: str
    about: str
    questions: Sequence[Question]


@dataclass(frozen=True)
class Released:
    """What a release adds to its audit."""

    subjects: int  # training subjects; 0: nobody knows
    weights: bool  # whether the generator is shared, too
    licence: str
    contact: str  # empty: none was given
    quality: Quality


def answer(audit: Mapping) -> str:
    """May they be shared? In words for somebody who reads nothing else."""
    if audit["verdict"] == FAIL:
        return "No. At least one test says that these images give patients away."
    if audit["verdict"] == CANNOT_SAY:
        return "Nobody can say. No test speaks against it, but copies could have been missed."
    return "No test speaks against it. This page says what was tested, and what would have been missed."


def would_be_missed(audit: Mapping) -> str:
    """The kinds of planted copies that were found least."""
    worst = sorted(audit["recall"].items(), key=lambda one: one[1])[:3]
    named = ", ".join(f"{kind.replace('_', ' ')} ({in_percent(share)})" for kind, share in worst)
    return (
        f"To test its search, the workflow hid copies of patients in {len(audit['recall'])} disguises among real "
        f"images. It found these least often: {named}. Copies in a disguise that nobody tried may be missed."
    )


def recognised(audit: Mapping, released: Released | None) -> Iterator[Question]:
    flagged, copies, members = audit["memorized"], audit["copies"], audit["membership"]
    yield Question(
        "Singling out: is an image a copy of a patient's image?",
        f"{copies['count']} of {audit['count']} images are copies: far nearer to one patient than any real image of "
        f"another person is. {flagged['count']} are flagged as suspicious. Some real images of other people "
        f"are flagged, too: about {audit['count'] * audit['false_positive_rate']:.0f} of {audit['count']}.",
        (f"copies: {_interval(copies)}", f"flagged: {_interval(flagged)}"),
        "audit.json: copies, memorized",
        YOU,
    )
    yield Question(
        "Linkability: can somebody who has a patient's scan tell that it was used for training?",
        "An attacker accuses everybody whose scan is unusually near to one of the images. If "
        f"{in_percent(members['wrong'])} of the people who were not used are accused, {in_percent(members['found'])} "
        f"of the training subjects are found (with 95 % confidence at most {in_percent(members['found_high'])}). "
        "AUC is the probability that a training subject looks more suspicious than somebody who was not used.",
        (f"AUC {_auc(members)}; 0.5: guessing, 1: certainty",),
        "audit.json: membership",
        YOU,
    )
    told = audit["disclosure"]
    yield Question(
        "Inference: do the images tell something new about a patient whose other images are known?",
        "An attacker who sees the rest of a patient's image takes place and size of the annotation from the most "
        "similar synthetic image. AUC is the probability that this guess is better for a training subject than for "
        "somebody who was not used."
        if told
        else "Too few subjects have an annotation to say.",
        [f"{what} of the annotation: AUC {_auc(one)}; 0.5: nothing is told" for what, one in told.items()] or (NOBODY,),
        "audit.json: disclosure",
        YOU,
    )
    shared = "It is not known yet whether the generator is shared." if released is None else (
        "The generator is shared. Its own unfiltered images had to pass the same audit, and an attack on its "
        "weights had to fail."
        if released.weights
        else "The generator is not shared; the images are."
    )  # fmt: skip
    yield Question(
        "Extraction: can more be drawn from the generator itself?", shared, (), "release: weights.safetensors", OWNER
    )
    yield Question(
        "Which means of recognising somebody did the tests cover?",
        "Every image was compared with every training image, as it is and in forms that undo disguises: moved, turned, "
        "scaled, other contrast, one modality, a part of the image, the annotation. Not tested: attackers who know a "
        "patient from another kind of examination, and attackers who have part of the training images.",
        (f"{len(audit['recall'])} disguises",),
        "audit.json: recall, power",
        YOU,
    )


def decided(audit: Mapping, released: Released | None) -> Iterator[Question]:
    yield Question(
        "Context: who receives the images, and what do they know already?",
        "A program cannot know. The tests assume an attacker who has scans of patients.",
        (),
        "your agreement with the recipient",
        OWNER,
    )
    yield Question(
        "Data: whose are they, and what else is in the files?",
        "The images are drawn by a generator that was trained on patients. A release has no names, dates or headers; "
        "every file was searched for the subjects' names."
        if released
        else "The images are drawn by a generator that was trained on patients. No release was made yet.",
        (f"{released.subjects} training subjects",) if released and released.subjects else (),
        "README.md: How they were made",
        YOU,
    )
    worst_kind, worst = min(audit["power"].items(), key=lambda one: min(one[1].values()))
    yield Question(
        "Identifiability: would a set with copies in it have been refused?",
        f"The number is the probability that the audit refuses images that include copies in the disguise that it "
        f"finds least often ({worst_kind.replace('_', ' ')}).",
        [f"{in_percent(float(share))} copies: {in_percent(power)}" for share, power in sorted(worst.items())],
        "audit.json: power",
        YOU,
    )
    yield _mitigation(audit)
    contact = f"Contact: {released.contact}. " if released and released.contact else ""
    yield Question(
        "Governance: who answers for it, and what if a patient withdraws consent?",
        f"{contact}The hospital can list everything that depends on a subject (withdraw_subject.py). It can prove "
        "later whom the generator was trained on, without naming them now.",
        (f"licence {released.licence}",) if released else (),
        "stack.json: lineage_commitment",
        BOARD,
    )


def _mitigation(audit: Mapping) -> Question:
    text, source, dropped = "Mitigation: what was done about copies?", "audit.json: dropped", audit["dropped"]
    if not audit["filtered"]:
        said = "Nothing was removed: these are the images as they were drawn."
        return Question(text, said, (), source, YOU)
    said = (
        f"Before the filter, the audit flagged {audit['flagged_before']} images. The filter, which runs fewer tests "
        f"than the audit, replaced {dropped} images. Then all images here were audited again."
    )
    return Question(text, said, (f"replaced: {in_percent(dropped / audit['count'])} of the images",), source, YOU)


def in_percent(share: float) -> str:
    """Two digits: this page is for a first look, the files have the others."""
    return f"{short_percent(share)} %"


def _auc(one: Mapping) -> str:
    return f"{one['auc']:.2f} ({one['low']:.2f} to {one['high']:.2f})"


def _interval(share: Mapping) -> str:
    return f"{in_percent(share['share'])} ({in_percent(share['low'])} to {in_percent(share['high'])})"
