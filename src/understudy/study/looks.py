"""Looks at a study: how many repeats each training set has at each of them, and which go on to the next.

Repeats are numbered, and a look asks for the first so many of them. So a later look adds trainings and repeats none.
What a look has decided lies in results/looks/look{k}.json (scripts/decide_look.py); from these files alone follows how
many repeats a training set has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from understudy.files.atomic import read_json

from .experiment_registry import experiments
from .grid import Setting, grid, primary_sets, settings_of
from .sources import REAL

TIMES = (2, 3, 5)  # generator_seeds: the repeats at the looks before the last, where the config does not say
COMPARED = "augmented"  # primary comparisons are of trainings with augmentation

Open = frozenset[tuple[str, str, str]]  # dataset, segmenter, training set


def looks_of(config: Mapping) -> list[int]:
    """Repeats at every look, all of them at the last; a single look where `experiments.stopping` is fixed."""
    asked = config["experiments"]
    last = asked["repeats"]
    if asked["stopping"] == "fixed":
        return [last]
    named = asked["looks"] or [n * asked["generator_seeds"] for n in TIMES]
    return [*(n for n in named if n < last), last]


def look_file(results: object, look: object) -> str:
    return f"{results}/looks/look{look}.json"


def read_looks(config: Mapping) -> list[dict]:
    """What was decided at the looks so far, in their order."""
    found = []
    for look in range(1, len(looks_of(config))):
        path = Path(look_file(config["results"], look))
        if not path.is_file():
            break
        found.append(read_json(path))
    return found


def open_after(decisions: Iterable[Mapping]) -> list[Open]:
    """Of every look, what goes on to the next."""
    return [frozenset(tuple(one) for one in decision["open"]) for decision in decisions]


def repeats_of(setting: Setting, looks: Sequence[int], opened: Sequence[Open]) -> int:
    """How many repeats a setting of the grid has, after the looks whose `open_after` are known."""
    wanted = looks[0]
    for number, still in zip(looks[1:], opened, strict=False):
        branch = {one for one in still if one[:2] == (setting.dataset, setting.segmenter)}
        sets = {name for _, _, name in branch} | ({REAL} if branch else set())
        if setting.augmentation != COMPARED or setting.training_set not in sets:
            break
        wanted = number
    return wanted


def after_looks(settings: Iterable[Setting], config: Mapping, until: int | None = None) -> list[Setting]:
    """The settings, those of the grid with the repeats that looks have asked for (those before look `until`, 1 the
    first; None: all that are there). Settings of experiments beyond the grid have all repeats."""
    looks = looks_of(config)
    if len(looks) == 1:
        return list(settings)
    opened = open_after(read_looks(config))[: None if until is None else until - 1]
    whole = {setting for name in experiments(config) for setting in settings_of(config, name)}
    of_grid = set(grid(config)) - whole
    return [replace(s, repeats=repeats_of(s, looks, opened)) if s in of_grid else s for s in settings]


def primary_settings(config: Mapping) -> list[Setting]:
    """What looks decide about, and the real images that it is compared with."""
    sets = {REAL, *primary_sets(config)}
    return [s for s in grid(config) if s.augmentation == COMPARED and s.training_set in sets]
