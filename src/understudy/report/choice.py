"""One line that names the best choice among the generators. It repeats what the verdicts of the study, the
audits and the controls prove, and decides nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from understudy.study.sources import COPIES

from .audits import FAIL
from .controls import NO as MISBEHAVED
from .verdict_marks import NO, OPEN, UNASKED, YES, Said

NONE_YET = "None can be recommended yet, because"


@dataclass(frozen=True)
class Standing:
    """Where a generator stands."""

    generator: str
    name: str  # as people say it
    useful: Said
    shared: Said
    named_beforehand: bool  # its comparison with real images is a primary one

    @property
    def proven(self) -> bool:
        return self.useful.verdict == YES and self.named_beforehand


def disbelief(controls: pd.DataFrame, audits: Sequence[Mapping]) -> str:
    """Why no number is to be believed; "": the controls behaved."""
    if controls["behaves"].eq(MISBEHAVED).any():
        return "a control did not behave, so no number here is to be believed"
    if any(a["generator"] == COPIES and a["verdict"] != FAIL for a in audits):
        return "the audit missed copies that were made to test it, so no audit here is to be believed"
    return ""


def choice(standings: Sequence[Standing], unbelieved: str, generator_seeds: int, margin: float) -> str:
    """`unbelieved`: what disbelief gives. `generator_seeds`: trainings of each generator; 1: only these images are
    known. `margin`: of Dice, within which images are as useful as real ones."""
    if not standings:
        return "No generator was trained, so there is nothing to choose from."
    if unbelieved:
        return f"{NONE_YET} {unbelieved}."
    which = "these" if generator_seeds == 1 else "the"
    good = [s for s in standings if s.proven]
    for verdict, said in BY_SHARING.items():
        if names := [s.name for s in good if s.shared.verdict == verdict]:
            each = "each set is" if len(names) > 1 else "they are"
            useful = f"{each} as useful as real images, within {margin:g} of Dice,"
            return f"Use {which} {' or '.join(names)} images{said.format(useful=useful)}"
    return f"{NONE_YET} {_nothing_proven(standings)}."


BY_SHARING = {
    YES: ": {useful} and the audit found no copies of patients.",
    OPEN: " in-house only: {useful} but nobody can say whether they may be shared.",
    UNASKED: " in-house only: {useful} but no audit has looked for copies of patients.",
    NO: " in-house only: {useful} but must not be shared.",
}


def _nothing_proven(standings: Sequence[Standing]) -> str:
    if all(s.useful.verdict == NO for s in standings):
        return "training on real images is better than on any of these images"
    if any(s.useful.verdict == YES for s in standings):
        return "those that seem as useful as real images were not named beforehand"
    return "none is proven to be as useful as real images"
