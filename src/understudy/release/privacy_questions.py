"""The questions of three texts, each with its answer, the number behind it, where that comes from, and who decides.

- EDPB, Opinion 28/2024 on AI models; Article 29 Working Party, Opinion 05/2014: singling out, linkability, inference.
- ISO/IEC 27559:2022: context, data, identifiability and mitigation, governance.
- Zamzmi et al., Commun Eng 4:130 (2025): a scorecard of seven criteria for synthetic medical data.

A question that a program cannot answer says so, and names who can. Questions are in our words; the texts have more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    number: str
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
    dice: Sequence[tuple[str, str, str]]  # (segmenter, training set, mean Dice on real test subjects)


def answer(audit: Mapping) -> str:
    """May they be shared? In words for somebody who reads nothing else."""
    if audit["verdict"] == FAIL:
        return "No. At least one test says that these images give patients away."
    if audit["verdict"] == CANNOT_SAY:
        return "Nobody can say. No test speaks against it, but copies could have been missed."
    return "No test speaks against it. What was tested, and what would have been missed, is below."


def would_be_missed(audit: Mapping) -> str:
    """The kinds of planted copies that were found least."""
    worst = sorted(audit["recall"].items(), key=lambda one: one[1])[:3]
    named = ", ".join(f"{kind.replace('_', ' ')} {share:.0%}" for kind, share in worst)
    return (
        f"The workflow planted {len(audit['recall'])} kinds of disguised copies among real images and looked for them. "
        f"It found least of these: {named}. Copies in a disguise that nobody planted may be missed."
    )


def parts(audit: Mapping, released: Released | None) -> list[Part]:
    return [
        Part(
            "Can a person be recognised?",
            "EDPB Opinion 28/2024 asks whether personal data can be extracted from a model, or come out of it in "
            "use, by all means that somebody is reasonably likely to use. Opinion 05/2014 names three ways.",
            list(_recognised(audit, released)),
        ),
        Part(
            "How was it decided?",
            "ISO/IEC 27559 asks about the context, the data, identifiability, and who is responsible.",
            list(_decided(audit, released)),
        ),
        Part(
            "Are the images good?",
            "The scorecard of Zamzmi et al. has seven criteria.",
            list(_good(audit, released)),
        ),
    ]


def _recognised(audit: Mapping, released: Released | None) -> Iterator[Question]:
    flagged, copies, members = audit["memorized"], audit["copies"], audit["membership"]
    yield Question(
        "Singling out: is an image a copy of a patient's image?",
        f"{copies['count']} of {audit['count']} images are far nearer to one patient than any real image of another "
        f"person. {flagged['count']} are flagged. Of equally many real images of other people, about "
        f"{audit['count'] * audit['false_positive_rate']:.0f} would be flagged.",
        f"flagged {_interval(flagged)}",
        "audit.json: copies, memorized",
        YOU,
    )
    yield Question(
        "Linkability: can somebody who has a patient's scan tell that it was used for training?",
        f"An attacker who wrongly accuses {members['wrong']:.1%} of other people finds {members['found']:.0%} of the "
        f"training subjects; with 95 % confidence at most {members['found_high']:.0%}.",
        f"AUC {members['auc']:.2f} ({members['low']:.2f} to {members['high']:.2f}); 0.5 is guessing",
        "audit.json: membership",
        YOU,
    )
    told = audit["disclosure"]
    yield Question(
        "Inference: do the images tell something new about a patient whose other images are known?",
        "An attacker who knows the rest of the head guesses place and size of the tumor. The number says whether the "
        "guess is better for training subjects than for people whom no generator has seen; 0.5: it is not."
        if told
        else "Too few subjects have a tumor to say.",
        "; ".join(f"{what}: AUC {one['auc']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for what, one in told.items())
        or NOBODY,
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
        "Extraction: can more be drawn from the generator itself?", shared, "-", "release: weights.safetensors", OWNER
    )
    yield Question(
        "Which means did the tests cover?",
        "Every image was compared with every training image, as it is and in forms that undo disguises: moved, turned, "
        "scaled, other contrast, one modality, a part of the head, the annotation. Not tested: attacks that know a "
        "patient from another kind of examination, and attackers who have "
        "part of the training images.",
        f"{len(audit['recall'])} disguises",
        "audit.json: recall, power",
        YOU,
    )


def _decided(audit: Mapping, released: Released | None) -> Iterator[Question]:
    yield Question(
        "Context: who receives the images, and what do they know already?",
        "A program cannot know. The tests assume an attacker who has scans of patients.",
        "-",
        "your agreement with the recipient",
        OWNER,
    )
    subjects = f"{released.subjects} subjects" if released and released.subjects else "see the data set card"
    yield Question(
        "Data: whose are they, and what else is in the files?",
        "The images are drawn by a generator that was trained on patients. A release has no names, dates or headers; "
        "every file was searched for the subjects' names."
        if released
        else "The images are drawn by a generator that was trained on patients. No release was made yet.",
        subjects,
        "README.md: How they were made",
        YOU,
    )
    worst_kind, worst = min(audit["power"].items(), key=lambda one: min(one[1].values()))
    powers = ", ".join(f"{float(share):.0%} of copies: {power:.0%}" for share, power in sorted(worst.items()))
    yield Question(
        "Identifiability: would a set with copies in it have been refused?",
        f"The number is the probability, for the disguise that is found least often: {worst_kind.replace('_', ' ')}.",
        powers,
        "audit.json: power",
        YOU,
    )
    dropped = audit["dropped"]
    yield Question(
        "Mitigation: what was done about copies?",
        f"A filter, which knows less than the audit, replaced {dropped} images before this audit. The audit of the "
        f"unfiltered images had flagged {audit['flagged_before']}."
        if audit["filtered"]
        else "Nothing was removed: these are the images as they were drawn.",
        f"{dropped} replaced, {dropped / audit['count']:.1%} relative to the images here",
        "audit.json: dropped",
        YOU,
    )
    contact = f"Contact: {released.contact}. " if released and released.contact else ""
    yield Question(
        "Governance: who answers for it, and what if a patient withdraws consent?",
        f"{contact}The house can list everything that depends on a subject (withdraw_subject.py), and can prove later "
        "whom the generator was trained on, without naming them now.",
        f"licence {released.licence}" if released else "-",
        "stack.json: lineage_commitment",
        BOARD,
    )


def _good(audit: Mapping, released: Released | None) -> Iterator[Question]:
    dice = released.dice if released else ()
    numbers = "; ".join(f"{segmenter}, {training}: {mean}" for segmenter, training, mean in dice)
    study = "report.html of the study"
    yield Question(
        "Congruence: do they look like real images?",
        "Distances between synthetic and real images are in the study's table of fidelity.",
        NOBODY + " here",
        f"{study}: fidelity",
        USER,
    )
    yield Question(
        "Coverage: do they show all that patients show?",
        "Networks that learned from the images were tested on real patients: what the images lack, the network misses."
        if dice
        else "No network was trained on them for this release.",
        f"Dice {numbers}" if dice else NOBODY,
        "tables/dice.csv" if dice else f"{study}: Dice",
        USER,
    )
    yield Question(
        "Constraint: do they keep to anatomy?",
        "No rule of anatomy was checked. A radiologist's blinded reading is a step of the study.",
        NOBODY,
        f"{study}: readers",
        USER,
    )
    yield Question(
        "Completeness: is everything there that a task needs?",
        "Every image has all modalities and an annotation, drawn together.",
        f"{audit['count']} images",
        "audit.json: count",
        USER,
    )
    yield Question(
        "Compliance: privacy and law", answer(audit), audit["verdict"], "audit.json: verdict, reasons", BOARD
    )
    yield Question(
        "Comprehension: is it said how they were made?",
        "The data set card says from what, by which generator, with which versions, and how to load them.",
        "-",
        "README.md, ro-crate-metadata.json",
        USER,
    )
    yield Question(
        "Consistency: is the result the same when it is done again?",
        "Trainings of segmenters were repeated; the table has their spread."
        if dice
        else "Repeats of trainings are in the study's tables.",
        "-",
        "tables/dice.csv" if dice else f"{study}: Dice",
        USER,
    )


def _interval(share: Mapping) -> str:
    return f"{share['share']:.2%} ({share['low']:.2%} to {share['high']:.2%})"
