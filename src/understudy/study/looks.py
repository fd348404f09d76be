"""Looks at a study: how many repeats each training set has at each look, and which training sets go on to the next.

Repeats are numbered, and a look takes the first n of them. So a later look adds trainings and repeats none. If each
generator is trained several times, a look takes the trainings that its repeats use. The decisions of a look are in
results/looks/look{k}.json (scripts/decide_look.py). These files alone determine how many repeats a training set has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from understudy.files.atomic import read_json

from .experiment_registry import experiments
from .grid import Setting, audited, external_files, grid, primary_sets, settings, settings_of, sources, trained
from .result_paths import generator_folder
from .sources import REAL, Source, origins_of

TIMES = (2, 3, 5)  # repeats of each training of a generator at the looks before the last, where the config does not say
FEWEST_TRAININGS = 3  # of a generator, for intervals that keep what they promise: benchmarks/conclusions.md
COMPARED = "augmented"  # primary comparisons are of trainings with augmentation

Open = frozenset[tuple[str, str, str]]  # dataset, segmenter, training set


def looks_of(config: Mapping) -> list[int]:
    """Repeats at every look, all of them at the last; a single look where `experiments.stopping` is fixed."""
    asked = config["experiments"]
    last = asked["repeats"]
    if asked["stopping"] == "fixed":
        return [last]
    named = asked["looks"] or _looks_by_default(asked["generator_seeds"])
    return [*(n for n in named if n < last), last]


def _looks_by_default(trainings: int) -> list[int]:
    """Once more trainings of a generator are asked for than intervals need, they are added in looks, too."""
    added = [n for n in (FEWEST_TRAININGS, trainings) if trainings > FEWEST_TRAININGS]
    return [*added, *(n * trainings for n in TIMES)]


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


def external_after_looks(config: Mapping) -> list[tuple[Setting, str, str]]:
    """grid.external_files, of the repeats that there are."""
    asked, sites, names = zip(*external_files(config), strict=True) if external_files(config) else ((), (), ())
    return list(zip(after_looks(asked, config), sites, names, strict=True))


def primary_settings(config: Mapping) -> list[Setting]:
    """What looks decide about, and the real images that it is compared with."""
    sets = {REAL, *primary_sets(config)}
    return [s for s in grid(config) if s.augmentation == COMPARED and s.training_set in sets]


# ---- trainings of generators -----------------------------------------------------------------------------------------


def not_asked(config: Mapping) -> set[tuple[str, str]]:
    """(dataset, folder) of synthetic images that all repeats would need, and the looks so far have not asked for."""
    if len(looks_of(config)) == 1:
        return set()
    whole = settings(config)
    return _behind(whole) - _behind(after_looks(whole, config))


def _behind(settings: Iterable[Setting]) -> set[tuple[str, str]]:
    return {
        origin
        for s in settings
        for repeat in s.numbers
        for origin in origins_of(s.of_repeat(repeat).training_set, s.dataset)
    }


def made_sources(config: Mapping) -> list[tuple[str, str]]:
    """(dataset, folder) of the synthetic images that there are, after the looks so far."""
    missing = not_asked(config)
    return [one for one in product(config["datasets"], sources(config)) if one not in missing]


def made_snapshots(config: Mapping) -> list[tuple[str, str]]:
    """(dataset, folder) of those that are of a training under way."""
    return [one for one in made_sources(config) if Source.of(one[1]).snapshot < 100]


def made_trainings(config: Mapping) -> list[tuple[str, str]]:
    """(dataset, folder) of the trainings of generators that are behind these."""
    behind = {(dataset, name) for dataset, folder in made_sources(config) for name in Source.of(folder).trained}
    return [one for one in product(config["datasets"], trained(config)) if one in behind]


def audit_files(config: Mapping) -> list[str]:
    """audit.json of all images that are audited, and that there are."""
    return [
        f"{generator_folder(config['results'], dataset, generator)}/{prefix}audit.json"
        for dataset, generator, prefix in made_audits(config)
    ]


def made_audits(config: Mapping) -> list[tuple[str, str, str]]:
    """grid.audited, of the images that there are."""
    missing = not_asked(config)
    return [one for one in audited(config) if one[:2] not in missing]
