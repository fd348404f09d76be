"""Blocks of experiments that are well-formed and cannot work."""

import math
from collections.abc import Iterator, Mapping

from .experiments import TUNED, experiments
from .grid import known_sources
from .sources import Source

Problem = tuple[str, str]  # dotted key, what is wrong with it


def impossible_experiments(config: Mapping) -> Iterator[Problem]:
    for name in experiments(config):
        block, key = config["experiments"][name], f"experiments.{name}"
        for names, section in (("datasets", "datasets"), ("segmenters", "segmenters")):
            if unknown := [one for one in block[names] or [] if one not in config[section]]:
                yield f"{key}.{names}", f"found {', '.join(unknown)}; allowed: {', '.join(config[section])}"
        if block["augmentation"] not in (None, *config["experiments"]["augmentations"]):
            known = ", ".join(config["experiments"]["augmentations"])
            yield (
                f"{key}.augmentation",
                f"found {block['augmentation']}; allowed: one of experiments.augmentations, {known}",
            )
        yield from _impossible_generators(f"{key}.generators", block["generators"], config, name)
    if "proportions" in experiments(config):
        yield from _impossible_proportions(config["experiments"]["proportions"])
    if "few_subjects" in experiments(config):
        yield from _impossible_few(config)


def _impossible_generators(key: str, generators: list[str], config: Mapping, experiment: str) -> Iterator[Problem]:
    own, known = list(config["generators"]), known_sources(config)
    for name in generators:
        source = Source.of(name)
        varied = source.name != source.base and source.base in own and not (source.filtered or source.subjects)
        if experiment in ("ensembles", "subset"):
            if name not in own:
                yield key, f"found {name}; allowed: {', '.join(own)}, as others are trained beside it"
        elif name not in known and not varied:
            yield key, f"found {name}; allowed: {', '.join(known)}, or such as {(own or ['stylegan2'])[0]}-50percent"


def _impossible_proportions(block: Mapping) -> Iterator[Problem]:
    if above := [real for real in block["real"] if real > block["total"]]:
        yield "experiments.proportions.real", f"found {above}; allowed: at most the total, {block['total']}"


def _impossible_few(config: Mapping) -> Iterator[Problem]:
    block, key = config["experiments"]["few_subjects"], "experiments.few_subjects"
    if TUNED in block["kinds"] and not config["experiments"]["keep_weights"]:
        yield f"{key}.kinds", f"found {TUNED}; it needs experiments.keep_weights, to start from them"
    shares = {Source.of(name).percent for name in block["generators"]}
    if block["subjects_of"] == "unseen" and (len(shares) > 1 or 100 in shares):
        yield (
            f"{key}.subjects_of",
            f"found unseen with {', '.join(block['generators'])}; generators have to leave subjects unseen, all the "
            "same ones: such as stylegan2-50percent",
        )
    if config["experiments"]["validation"] == "study":
        for name, segmenter in config["segmenters"].items():
            kept = {k: math.floor((1 - segmenter["validation_fraction"]) * k + 0.5) for k in block["subjects"]}
            if few := [k for k, n in kept.items() if not 0 < n < k]:
                yield (
                    f"{key}.subjects",
                    f"found {few[0]}, of whom {name} cannot hold out any to validate; allowed: more",
                )
