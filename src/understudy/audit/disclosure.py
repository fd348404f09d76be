"""Attribute disclosure: does a generator reveal a person's tumor to an attacker who knows the rest of the head?

The attacker has a slice in which the tumor is hidden. The attacker takes the most similar synthetic image and reads
place and size of the tumor from its annotation. Knowledge of anatomy and disease alone allows a fair guess for anybody.
So disclosure is how much better the guess is for training subjects than for test subjects, whom the generator has never
seen (Stadler et al. 2022 compare with the same guess from data without the person).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from understudy.stack import Stack

from .forms import in_form
from .membership import membership
from .search import Found
from .search_tasks import known_slices
from .views import COARSE, VARIANTS, turned_array

WORST = 2.0  # error of a guess that there is no tumor: twice the width, or a factor of exp 2
LEAST = 3  # subjects with a tumor, of either kind


def disclosure(
    found: Mapping[str, Found], samples: Stack, train: Stack, test: Stack, audit: Mapping
) -> dict[str, dict[str, float]]:
    """{place, size: how well training and test subjects are told apart by the error of the guess}: membership.py.
    Empty where fewer than `LEAST` subjects of either kind have a tumor."""
    members_S2, others_S2 = (
        subject_errors(found.get(f"{split}/known"), samples, stack, VARIANTS[audit["variants"]])
        for split, stack in (("train", train), ("test", test))
    )
    if min(len(members_S2), len(others_S2)) < LEAST:
        return {}
    told = {what: membership(members_S2[:, i], others_S2[:, i]) for i, what in enumerate(("place", "size"))}
    return {what: {key: one[key] for key in ("auc", "low", "high", "auc_p")} for what, one in told.items()}


def subject_errors(found: Found | None, samples: Stack, stack: Stack, kinds: Sequence[tuple[int, bool]]) -> np.ndarray:
    """(S, 2) of the subjects who have slices with a tumor: the median error of place (share of the width) and of size
    (natural logarithm of the ratio of areas)."""
    places, whose = known_slices(stack), stack.people()
    assert (0 if found is None else len(found.index)) == len(places)
    by_subject: dict[str, list[tuple[float, float]]] = {}
    guesses: dict[int, np.ndarray] = {}
    for i, place in enumerate(places):
        sample, kind = int(found.index[i, 0]), kinds[int(found.variant[i, 0])]
        if sample not in guesses:
            guesses[sample] = in_form(COARSE, samples[sample][None])[0, -1] > 0
        truth_CHW = turned_array(in_form(COARSE, stack[place][None])[0], kind)
        by_subject.setdefault(whose[place], []).append(_errors(guesses[sample], truth_CHW[-1] > 0))
    return np.array([np.median(errors, 0) for errors in by_subject.values()]).reshape(-1, 2)


def _errors(guess_HW: np.ndarray, truth_HW: np.ndarray) -> tuple[float, float]:
    if not guess_HW.any() or not truth_HW.any():
        return WORST, WORST
    centres = [np.argwhere(inside_HW).mean(0) for inside_HW in (guess_HW, truth_HW)]
    distance = float(np.linalg.norm(centres[0] - centres[1]) / guess_HW.shape[1])
    return distance, float(abs(np.log(guess_HW.sum() / truth_HW.sum())))
