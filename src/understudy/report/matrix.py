"""The answers on one screen: a row for each generator, a column for each question."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.study.sources import COPIES, Source, generators_of

from .audits import read_audits, shared, without_controls
from .choice import Standing, choice, disbelief
from .comparisons import PRIMARY
from .controls import copies_as_real
from .costs_so_far import cost_of
from .failed_trainings import rests_on_failures
from .page import Matrix, MatrixRow, Question
from .page_material import Material
from .reader_sentences import taken_for_real
from .spoken_names import spoken
from .verdict_marks import NO, OPEN, UNASKED, YES, Said
from .verdicts import Answer, answer

QUESTIONS = (  # and what the numbers below are
    Question("As useful as real?", "Dice, % of real images"),
    Question("May they be shared?", "images flagged as copies"),
    Question("Taken for real?", "AUC; 0.5: nobody can tell"),
    Question("What it costs", "time on a GPU, or on a CPU"),
)
ONE_TRAINING = ", images of one training"
EXPLORED = "exploratory: not named beforehand"
BEST_FIRST = (YES, OPEN, UNASKED, NO)


def answers_of(m: Material) -> dict[str, Answer]:
    """Of every generator: are its images as useful as real ones?"""
    compared, relative = m.table("equivalence"), m.table("relative_dice")
    resting, primary = rests_on_failures(m.table("without_failed")), named_beforehand(m)
    one = ONE_TRAINING * (m.generator_seeds == 1)
    names = {g: f"{spoken(g)}{one}{f' ({EXPLORED})' * (g not in primary)}" for g in m.generators}
    return {g: answer(g, compared, relative, name, resting) for g, name in names.items()}


def named_beforehand(m: Material) -> set[str]:
    compared = m.table("equivalence")
    return set(compared.loc[compared["question"] == PRIMARY, "training_set"])


def standings(m: Material) -> list[Standing]:
    """Of every generator, the best first: the most useful, of these what may be shared, of these the highest Dice."""
    primary, audits, found = named_beforehand(m), audits_of(m), []
    by_dice = sorted(answers_of(m).items(), key=lambda one: -np.nan_to_num(one[1].percent))
    for generator, one in by_dice:
        may = shared([a for a in audits if _of_any_seed(a["generator"]) == generator])
        found.append(Standing(generator, spoken(generator), one.said, may, generator in primary))
    return sorted(found, key=lambda one: [BEST_FIRST.index(said.verdict) for said in (one.useful, one.shared)])


def matrix(m: Material, ranked: Sequence[Standing]) -> Matrix:
    asked = m.table("reader_areas") if m.readers and m.has("reader_areas") else None
    rows = []
    for one in ranked:
        cost = cost_of(m.runs, m.datasets, trainings_of(m, one.generator))
        cells = (one.useful, one.shared, taken_for_real(asked, one.generator), cost)
        about = "" if one.named_beforehand else EXPLORED
        rows.append(MatrixRow(one.name, about, thumbnail(m, one.generator), cells))
    return Matrix((useful_question(m), *QUESTIONS[1:]), rows + row_of_copies(m))


def useful_question(m: Material) -> Question:
    """The first, with the margin of the study."""
    asked = QUESTIONS[0]
    return replace(asked, numbers=f"{asked.numbers}; yes: within {m.evaluation['equivalence_margin']:g} of Dice")


def row_of_copies(m: Material) -> list[MatrixRow]:
    """What the answers are for images that are copies of patients, made as a control: useful, and not to be shared."""
    if not (audits := [a for a in read_audits(m.audits) if a["generator"] == COPIES]):
        return []
    nobody, nothing = Said(UNASKED, "Not asked"), Said("", "Nothing", why=["they are training images"])
    cells = (copies_as_real(m.table("controls")), shared(audits), nobody, nothing)
    return [MatrixRow("copies of patients", "a control, made to test the audit", None, cells)]


def best_choice(m: Material, ranked: Sequence[Standing]) -> str:
    """In one line."""
    unbelieved = disbelief(m.table("controls"), read_audits(m.audits))
    return choice(ranked, unbelieved, m.generator_seeds, m.evaluation["equivalence_margin"])


def audits_of(m: Material) -> list[dict]:
    """The summaries of audits, without those of controls."""
    return without_controls(read_audits(m.audits))


def trainings_of(m: Material, generator: str) -> list[str]:
    """The folders of all trainings of a generator that segmenters have learned from."""
    learned = dict.fromkeys(s.of_repeat(repeat).training_set for s in m.settings for repeat in s.numbers)
    behind = [name for one in learned for folder in generators_of(one) for name in Source.of(folder).trained]
    return list(dict.fromkeys([generator, *(name for name in behind if _of_any_seed(name) == generator)]))


def _of_any_seed(folder: str) -> str:
    """stylegan2-seed2 -> stylegan2; parts of the subjects and ensembles keep their names."""
    return replace(Source.of(folder), seed=1).name


def thumbnail(m: Material, generator: str) -> bytes | None:
    """One image of its own. None on a page to be shared: it may be a copy of a patient."""
    if m.shareable:
        return None
    paths = (Path(m.results, "figures", name, "thumbnails", f"{generator}.png") for name in m.datasets)
    return next((path.read_bytes() for path in paths if path.is_file()), None)
