"""Notes: sentences after a table's caption that depend on the study's numbers. A note is a function of tables and of
the config, so the writer of a table and the report say the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from understudy.evaluate.scores import DEFAULT_POLICY, LABEL, REGION
from understudy.reader.reader_names import ALL, PUBLISHED
from understudy.statistics.intervals import DRAWS
from understudy.study.grid import published_names, trainings_of_generators
from understudy.study.looks import FEWEST_TRAININGS

from .failed_trainings import rests_on_failures
from .registry import TABLES

VALIDATION = {
    "study": "Weights were chosen as in the published study: on real subjects, whom the generators were trained on, if "
    "a training set has real images, and on synthetic images otherwise.",
    "apart": "Weights were chosen on real subjects that no generator and no training set had seen.",
}


class Known(Protocol):
    """What a note may ask for, of a material that tables are built from, or of the report, which reads them."""

    policy: str  # config `evaluation.empties`
    validation: str  # config `experiments.validation`
    published: Mapping[str, str]
    generator_seeds: int  # config `experiments.generator_seeds`; 0: a study without generators

    def table(self, name: str) -> pd.DataFrame: ...


class Material:
    """What the tables of a rule are built from: each once, however many others and notes ask for it."""

    rehearsal = False  # config `rehearsal`: then every table says so

    def table(self, name: str) -> pd.DataFrame:
        built = self.__dict__.setdefault("_built", {})
        if name not in built:
            built[name] = TABLES[name].build(self)
        return built[name]


@dataclass(frozen=True, kw_only=True)
class OfTrainings(Material):
    """Of trainings: what the config says of all of them alike."""

    policy: str = DEFAULT_POLICY  # what undefined scores count as (evaluate.scores.apply_policy)
    draws: int = DRAWS  # of the bootstrap
    validation: str = "study"  # what chose the weights
    generator_seeds: int = 1  # trainings of each generator; 0: there are none
    published: Mapping[str, str] = field(default_factory=dict)  # dataset -> brats2020 or brats2021, beside ours
    rehearsal: bool = False


def of_all(config: Mapping) -> dict:
    """The fields of OfTrainings."""
    options = config["evaluation"]
    return {
        "policy": options["empties"],
        "draws": options["bootstrap"],
        "validation": config["experiments"]["validation"],
        "generator_seeds": trainings_of_generators(config),
        "published": published_names(config),
        "rehearsal": config["rehearsal"],
    }


def of_labels(known: Known, name: str) -> str:
    return f"{VALIDATION[known.validation]} {empties_note(known.table('empties'), known.policy, LABEL)}"


def of_regions(known: Known, name: str) -> str:
    return empties_note(known.table("empties"), known.policy, REGION)


def empties_note(empties: pd.DataFrame, policy: str, of: str) -> str:
    counted = empties[empties["kind"] == of]
    total = {kind: int(counted[f"{kind}_empty"].sum()) for kind in ("both", "reference", "prediction")}
    return (
        f"Empty {of}s (policy `{policy}`): of {int(counted['volumes'].sum())} scored {of}s, {total['both']} are "
        f"empty in both volumes, {total['reference']} in the reference alone, "
        f"{total['prediction']} in the prediction alone."
    )


def of_distances(known: Known, name: str) -> str:
    """The same, and what the published distances leave out, where these stand beside ours."""
    said = of_labels(known, name)
    if known.published and known.policy != "study":
        said += " Published distances leave out labels that were not found, as `evaluation.empties: study` does."
    return said


def power(known: Known, name: str) -> str:
    """What so few generators can show."""
    return " ".join(dict.fromkeys(known.table(name)["power"]))


def about_generators(known: Known, name: str = "") -> str:
    """What conclusions are about: images of one training each, or the generators that were trained several times."""
    if not (trainings := known.generator_seeds):
        return ""
    if trainings == 1:
        return (
            "Each generator was trained once: this is about these images, not about the generator. Another training of "
            "it may do better or worse."
        )
    looks = " (fewer if its comparison stopped early: column `trainings` of the table of equivalence)"
    few = "With so few trainings the intervals are too narrow (docs/evaluation.md). "
    return (
        f"Each generator was trained {trainings} times{looks * (trainings > FEWEST_TRAININGS)}, and intervals, p and "
        "ranks include how much its trainings differ. "
        f"{few * (trainings < FEWEST_TRAININGS)}For ensembles, subsets of the subjects and imported images, the "
        "numbers are about these images."
    )


def of_equivalence(known: Known, name: str) -> str:
    return " ".join(said for said in (about_looks(known), about_failed(known)) if said)


def about_failed(known: Known) -> str:
    """How many verdicts rest on failed trainings; nothing where none does."""
    if not (count := len(rests_on_failures(known.table("without_failed")))):
        return ""
    rows = "The verdict of one row rests" if count == 1 else f"The verdicts of {count} rows rest"
    return f"{rows} on trainings that failed: `without_failed` has what could be said without them."


def about_looks(known: Known) -> str:
    """How p and intervals hold where repeats were added in looks; nothing where they were not."""
    if not len(known.table("stops")):
        return ""
    return (
        "Repeats were added in looks: p of the primary comparisons is valid over all looks. The interval is that of "
        "the look at which a comparison stopped, and wider than 90 % (`stops` says when each did)."
    )


def about_far(known: Known, name: str) -> str:
    """That intervals of settings with a repeat far from the others are not of 95 %; nothing where there is none."""
    table = known.table(name)
    if "far" not in table or not (count := int(table["far"].fillna("").astype(str).ne("").sum())):
        return ""
    return (
        f"In {count} row{'s' * (count > 1)} a repeat lies more than 5 median deviations from the others (`far`): do "
        "not read an interval marked * as a 95 % interval, because so few trainings cannot show how often one crashes."
    )


def unanswered(known: Known, name: str) -> str:
    """Which readers have not answered everything; nothing where all have. Second showings are not counted."""
    calls = known.table("readers")
    calls = calls[~calls["reader"].isin([ALL, PUBLISHED])]
    said = []
    for (dataset, reader), own in calls.groupby(["dataset", "reader"], sort=False):
        if left := int(own["missing"].sum()):
            said.append(f"{reader} ({dataset}) {left} of {left + int(own['images'].sum())}")
    return f"Without an answer: {', '.join(said)}." if said else ""
