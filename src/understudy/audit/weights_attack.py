"""An attack on the weights, before they are shared: do they explain training subjects better than others?

Images alone show what a generator draws. Weights also let an attacker ask how well the network explains an image that
he has: by the training loss (denoisers), or by the best approximation that it can generate (adversarial generators). A
subject's score is the mean over some of its slices. membership.py computes how well scores tell training subjects from
test subjects.
"""

from collections.abc import Callable, Mapping

import numpy as np

from understudy.stack import Stack

from .membership import membership
from .reasons import told_apart
from .search_tasks import evenly

FORMAT = 1
PEOPLE, SLICES = 200, 3  # training subjects and test subjects, at most, and slices of each

Misfits = Callable[[np.ndarray], np.ndarray]  # uint8 (N, C, H, W) -> (N,), smaller where the generator remembers


def attack(misfits: Misfits, metadata: Mapping, train: Stack, test: Stack) -> dict:
    """weights_attack.json but for its links; `metadata` is that of the weights.

    Raises ValueError where the stacks do not show what the generator draws.
    """
    members_S, others_S = (subject_scores(misfits, metadata, stack) for stack in (train, test))
    return {
        "format": FORMAT,
        "generator": metadata["generator"],
        "subjects": {"train": len(members_S), "test": len(others_S)},
        "membership": membership(members_S, others_S),
    }


def nothing_to_attack(metadata: Mapping) -> dict:
    """The same of a training that failed and has left no network."""
    told = {"format": FORMAT, "generator": metadata["generator"], "subjects": {}, "membership": None}
    return told | {"failure": metadata["failure"]}


def subject_scores(misfits: Misfits, metadata: Mapping, stack: Stack) -> np.ndarray:
    """(S,) of some subjects of a stack: how badly the generator explains their slices, on average."""
    drawn = {"channels": metadata["channels"], "height": metadata["size"], "width": metadata["size"]}
    if different := [key for key, expected in drawn.items() if stack.meta[key] != expected]:
        key = different[0]
        raise ValueError(
            f"{stack.path}: found {key} {stack.meta[key]}, expected {drawn[key]} as the generator draws. Attack the "
            "weights with the stacks of its data set."
        )
    whose, by_subject = stack.people(), {}
    for place in stack.included():
        by_subject.setdefault(whose[place], []).append(place)
    people = [list(by_subject.values())[i] for i in evenly(len(by_subject), PEOPLE)]
    chosen = [[places[i] for i in evenly(len(places), SLICES)] for places in people]
    errors_N = misfits(stack.read([place for own in chosen for place in own], checked=True))
    ends = np.cumsum([len(own) for own in chosen])[:-1]
    return np.array([own.mean() for own in np.split(errors_N, ends)])


def problem(told: Mapping, limit: float) -> str | None:
    """Why the weights must not be shared. `limit`: audit.membership_limit."""
    if (one := told["membership"]) is None:
        return f"there are no weights to share, as their training failed ({told['failure']})"
    if one["low"] <= limit:
        return None
    return (
        "the weights give away who was trained on: they explain training patients better than others "
        f"({told_apart(one, limit)})"
    )
