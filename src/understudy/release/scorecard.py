"""The scorecard of Zamzmi et al., Commun Eng 4:130 (2025): seven criteria for synthetic medical data, as questions with
an answer and the study's numbers. A release has the numbers; an audit alone names the page of the study that has
them."""

from collections.abc import Iterator, Mapping
from math import isnan

from understudy.study.grid import BASELINE
from understudy.study.sources import REAL

from .privacy_questions import BOARD, NOBODY, USER, Question, Released, answer, in_percent
from .quality import Pair, Quality

STUDY = "report.html of the study"
BEFORE = " Measured before the filter replaced images."
BESIDE = "In brackets: the same of real patients who were not used for training."


def scorecard(audit: Mapping, released: Released | None) -> Iterator[Question]:
    quality = released.quality if released else Quality()
    yield _congruence(audit, quality)
    yield _coverage(quality)
    yield _constraint(audit, quality)
    yield Question(
        "Completeness: is everything there that a task needs?",
        "Every image has all modalities and an annotation, drawn together.",
        (f"{audit['count']} images",),
        "audit.json: count",
        USER,
    )
    yield Question(
        "Compliance: privacy and law", answer(audit), (f"verdict: {audit['verdict']}",), "audit.json: verdict", BOARD
    )
    yield Question(
        "Comprehension: is it documented how the images were made?",
        "The data set card says from what, by which generator, with which versions, and how to load them.",
        (),
        "README.md, ro-crate-metadata.json",
        USER,
    )
    yield _consistency(quality)


def _congruence(audit: Mapping, quality: Quality) -> Question:
    text, spaces = "Congruence: do they look like real images?", quality.likeness
    if not spaces:
        return _unmeasured(text, "how near the images are to real ones", f"{STUDY}: fidelity")
    numbers = [
        f"{one.space} features of {one.channel}: Frechet distance {one.frechet.synthetic:.2g} "
        f"(real: {one.frechet.test:.2g}); "
        f"precision {_shares(one.precision)}; coverage {_shares(one.coverage)}"
        for one in spaces
    ]
    return Question(
        text,
        "Distance: how far the images are, as a set, from the training images; no generator should come nearer than "
        "other patients do. Precision: the share of images that look like a training image. Coverage: the share of "
        f"training images that some synthetic image looks like. {BESIDE}{BEFORE * audit['filtered']}",
        tuple(numbers),
        "fidelity.csv of the study: frechet_matched, precision, coverage",
        USER,
    )


def _coverage(quality: Quality) -> Question:
    text, means = "Coverage: do they show all that patients show?", _means(quality)
    if not means:
        return _unmeasured(text, "how well a network learns from the images", f"{STUDY}: Dice")
    real = {key[0]: mean for key, mean in means.items() if key[1:] == BASELINE}
    numbers = [
        f"{_setting(key)}: {mean:.2f}" + (f", {100 * mean / real[key[0]]:.0f} % of real" if real.get(key[0]) else "")
        for key, mean in means.items()
        if key[1] != REAL
    ]
    return Question(
        text,
        "Networks learned from the images and were tested on real patients: what the images lack, a network misses. "
        "The number is the mean Dice (1: perfect), and its share of the Dice of a network that learned from real "
        "images.",
        tuple(numbers),
        "tables/dice.csv",
        USER,
    )


def _constraint(audit: Mapping, quality: Quality) -> Question:
    text, found = "Constraint: do they keep to anatomy?", quality.anatomy
    if found is None:
        return _unmeasured(
            text, "how similar the images' annotations are to real ones", f"{STUDY}: annotation, readers"
        )
    numbers = [f"images with labels that touch and should not: {_shares(found.illegal)}"]
    if found.enclosed:
        label, share = found.enclosed
        numbers.append(f"pieces of {label} that other labels enclose: {_shares(share)}")
    return Question(
        text,
        "Only the annotation was checked. Do labels touch that hardly ever touch in training images? If other labels "
        f"enclose a label in patients, do they enclose it here, too? {BESIDE}{BEFORE * audit['filtered']} Only readers "
        "of a blinded study can judge the anatomy itself.",
        tuple(numbers),
        "annotation.csv of the study: illegal_share, enclosed_share",
        USER,
    )


def _consistency(quality: Quality) -> Question:
    text, means = "Consistency: is the result the same when it is done again?", _means(quality)
    if not means:
        return _unmeasured(text, "how far repeated trainings differ", f"{STUDY}: Dice")
    numbers = [f"{_setting(_key(row))}: {_spread(row)}" for row in quality.dice if _key(row) in means]
    return Question(
        text,
        "Networks were trained again with other random numbers. The number is the standard deviation of the mean Dice. "
        "The images are those of one training of the generator: another training may give better or worse ones.",
        tuple(numbers),
        "tables/dice.csv",
        USER,
    )


def _unmeasured(text: str, what: str, source: str) -> Question:
    return Question(text, f"The study's report says {what}.", (f"{NOBODY} here",), source, USER)


def _key(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["segmenter"], row["training_set"], row["augmentation"]


def _means(quality: Quality) -> dict[tuple[str, str, str], float]:
    return {_key(row): float(row["mean_mean"]) for row in quality.dice if row.get("mean_mean")}


def _setting(key: tuple[str, str, str]) -> str:
    """An augmented training is the usual one."""
    segmenter, training_set, augmentation = key
    return f"{segmenter}, {training_set}" + f", {augmentation}" * (augmentation != BASELINE[1])


def _spread(row: Mapping[str, str]) -> str:
    if not row.get("mean_sd"):
        return "trained once"
    return f"{float(row['mean_sd']):.3f} over {row['repeats']} trainings"


def _shares(pair: Pair) -> str:
    synthetic, real = (
        "nothing to count" if isnan(share) else in_percent(share) for share in (pair.synthetic, pair.test)
    )
    return f"{synthetic} (real: {real})"
