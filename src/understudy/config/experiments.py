"""`experiments`: the grid of trainings, and experiments beyond it."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from understudy.study.experiment_registry import TUNED, experiments
from understudy.study.grid import KINDS, known_sources, primary_sets, sources
from understudy.study.looks import looks_of
from understudy.study.sources import FILTERED, REAL, Source, counts

from .datasets import sites_apart
from .fields import Block, Number, Once, Problem, key, section

# a part of a training set's name, as study.sources.PART reads it
_SOURCE = "[a-z][a-z0-9_]*(-[1-9][0-9]?percent)?"
_PART = f"{_SOURCE}(-seed[1-9][0-9]*|-ensemble[1-9][0-9]*|-[1-9][0-9]*subjects)?(-filtered)?(=[1-9][0-9]*)?"
TrainingSet = Annotated[
    str,
    Field(
        pattern=f"^{_PART}([+]{_PART})*$",
        description="real, synthetic, real+synthetic, filtered, or a mixture such as real=5000+stylegan2=95000",
    ),
]
CurveGenerator = Annotated[
    str,
    Field(
        pattern=f"^{_SOURCE}(-seed[1-9][0-9]*|-ensemble[1-9][0-9]*)?$",
        description="a generator, or a variant such as stylegan2-50percent",
    ),
]
CurveGenerators = Annotated[
    list[CurveGenerator], Once(), key(meaning="generators whose images are used; empty: no such experiment")
]


class Curves(Block):
    """What experiments beyond the grid have in common."""

    datasets: Annotated[list[str], Field(min_length=1)] | None = key(None, "null: all")
    segmenters: Annotated[list[str], Field(min_length=1)] | None = key(None, "null: all")
    augmentation: Literal["augmented", "plain", None] = key(
        None, "null: the first of experiments.augmentations", remark="the first"
    )


class Proportions(Curves):
    """A constant number of images with a growing share of real ones."""

    generators: CurveGenerators = key([])
    total: int = key(100000, "total number of images", ge=1)
    real: Annotated[list[Annotated[int, Field(ge=0)]], Once()] = key(
        [0, 5000, 10000, 20000, 40000, 60000, 80000], "numbers of real images among them, one point each", min_length=1
    )


class FewSubjects(Curves):
    """How many real patients synthetic images are worth to a clinic with few patients."""

    generators: CurveGenerators = key([])
    subjects: Annotated[list[Annotated[int, Field(ge=2)]], Once()] = key(
        [5, 10, 20, 50, 100, 200],
        "numbers of real training subjects, drawn anew in every repeat; with validation `study`, the "
        "held-out subjects are among them",
        min_length=1,
    )
    kinds: Annotated[list[Literal["real+synthetic", "fine-tuned"]], Once()] = key(
        ["real+synthetic", "fine-tuned"],
        "curves in addition to real images alone and synthetic images alone. fine-tuned: trained on synthetic images, "
        "then on the real ones; needs keep_weights",
        remark="fine-tuned needs keep_weights",
    )
    fine_tuning_rate: Number = key(0.1, "learning rate of fine-tuning, relative to the segmenter's", gt=0)
    subjects_of: Literal["all", "unseen"] = key(
        "all",
        "where the few subjects come from: all training subjects, or those that the generators have not seen. unseen "
        "needs generators such as stylegan2-50percent",
    )


class Ensembles(Curves):
    """Images of several trainings of one generator, pooled."""

    generators: CurveGenerators = key([])
    members: Annotated[list[Annotated[int, Field(ge=2)]], Once()] = key(
        [2, 4],
        "trainings in an ensemble, one point each; larger ensembles reuse the trainings of smaller ones",
        min_length=1,
    )
    percent: int = key(
        100,
        "percent of the training subjects for each member; below 100, each member gets a different part",
        ge=1,
        le=100,
    )


class Snapshots(Curves):
    """Images from several points of a generator's training, to see whether metrics follow the images' usefulness."""

    generators: CurveGenerators = key([])
    shares: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Once()] = key(
        [25, 50, 75],
        "percent of the training after which the averaged weights are kept, one point each; the end of the "
        "training is added",
        min_length=1,
    )


class Subset(Curves):
    """A part of the training subjects, for generator and segmenter alike."""

    generators: CurveGenerators = key([])
    percent: int = key(20, "percent of the training subjects", ge=1, le=99)


class SiteHeldOut(Curves):
    """Synthetic images that another site shares: alone, and beside the site's own real images; tested at the site."""

    generators: CurveGenerators = key([])
    shared_by: Annotated[list[str], Field(min_length=1)] | None = key(
        None, "datasets whose generators' images are shared; null: all except the tested one"
    )
    percent: Annotated[list[Annotated[int, Field(ge=1, le=100)]], Once()] = key(
        [100],
        "percent of the site's own training subjects that are used beside the shared images, one point "
        "each; 100 must be among them",
        min_length=1,
    )


class Experiments(Block):
    """The grid of trainings, for each dataset and segmenter."""

    training_sets: Annotated[list[TrainingSet], Once()] = key(
        ["real", "synthetic", "real+synthetic"],
        "training sets of the segmenters; `synthetic` means one for each generator. filtered: without the images that "
        "the audit flags, such as stylegan2-filtered. You may also give mixtures with numbers of images, such as "
        "real=5000+stylegan2=95000, and parts such as real-20percent, stylegan2-20percent, stylegan2-ensemble4 "
        "(docs/experiments.md)",
        min_length=1,
    )
    augmentations: Annotated[list[Literal["augmented", "plain"]], Once()] = key(
        ["augmented", "plain"], "with and without augmentation of the segmenters' training images", min_length=1
    )
    repeats: int = key(10, "trainings of each setting, each with another random seed", ge=1)
    generator_seeds: int = key(
        1,
        "trainings of each generator, with different random seeds. The repeats of segmenters are spread "
        "over these trainings, so the number must divide `repeats`. With 1, conclusions hold for the images "
        "of one training, not for the generator (docs/evaluation.md)",
        remark="trainings of each generator; 3 or more for conclusions about the generator",
        ge=1,
    )
    stopping: Literal["fixed", "sequential"] = key(
        "fixed",
        "sequential: repeats are added in looks (interim analyses) until each primary comparison is decided "
        "(equivalent, worse, better) or futile; the error of the tests is spent over the looks. Other training sets "
        "stop at the first look (docs/evaluation.md)",
        remark="`sequential`: fewer trainings, the same error",
    )
    looks: Annotated[list[Annotated[int, Field(ge=2)]], Once()] | None = key(
        None,
        "numbers of repeats at the looks before the last look, ascending. Each number is below `repeats`, "
        "and is below generator_seeds or a multiple of it. A look trains each generator only as often as "
        "its repeats need. null: 2, 3 and 5 times generator_seeds, and before them 3 and generator_seeds if "
        "generator_seeds is above 3; numbers not below `repeats` are left out",
        remark="2, 3, 5, for `sequential`",
    )
    validation: Literal["study", "apart"] = key(
        "study",
        "apart: the held-out real subjects validate every training set, and no generator sees them. "
        "study: generators see them, and synthetic training sets are validated on synthetic images",
        remark="`apart`: on real subjects that no generator has seen",
    )
    share_job: bool = key(
        False,
        "true: one job loads the data once and trains all repeats of a setting, in turn or several at once "
        "(resource at_once); false: one job for each repeat",
        remark="true: one job trains all repeats of a setting",
    )
    keep_weights: bool = key(
        False,
        "keep the segmenters' weights and last checkpoints, 2 GB for each full U-Net; otherwise a training whose "
        "scores are lost must be repeated",
        remark="2 GB for each U-Net, checkpoint included",
    )
    negative_control: bool = key(
        False,
        "also train on `shuffled`, real images with the annotations of other images; its scores are the "
        "floor of the tables",
    )
    controls: Annotated[list[Literal["copies", "noise"]], Once()] = key(
        [],
        "also train on controls in place of a generator's samples. copies: the training images, which are "
        "as useful as real images and which the audit must find; noise: images of little use",
        remark="copies, noise: docs/evaluation.md",
    )
    proportions: Proportions = section(
        Proportions,
        "a constant number of images with a growing share of real ones (docs/experiments.md)",
        remark="figure 2 of the study: [stylegan3], brats2021, unet",
    )
    few_subjects: FewSubjects = section(
        FewSubjects,
        "how many real patients synthetic images are worth to a clinic with few patients (docs/experiments.md)",
    )
    ensembles: Ensembles = section(
        Ensembles, "images of several trainings of one generator, pooled (docs/experiments.md)"
    )
    snapshots: Snapshots = section(
        Snapshots,
        "images from several points of a generator's training, to see whether metrics follow usefulness "
        "(docs/experiments.md)",
        remark="set this before the training: a finished training has kept no snapshots",
    )
    subset: Subset = section(
        Subset, "a part of the training subjects, for generator and segmenter alike (docs/experiments.md)"
    )
    site_held_out: SiteHeldOut = section(
        SiteHeldOut,
        "synthetic images of one dataset train segmenters for another dataset; no patient's images are "
        "shared (docs/experiments.md)",
        remark="needs two datasets",
    )


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    yield from _of_training_sets(config)
    yield from _of_generator_seeds(config["experiments"])
    yield from _of_looks(config)
    yield from _of_curves(config)


def _of_training_sets(config: Mapping) -> Iterator[Problem]:
    asked = config["experiments"]
    needs_generator = {"synthetic", "real+synthetic", "filtered"} & set(asked["training_sets"])
    if needs_generator and not sources(config):
        yield (
            "experiments.training_sets",
            f"found {sorted(needs_generator)} but no generators; add one, or ask for real",
        )
    known = [REAL, *known_sources(config), *(name + FILTERED for name in config["generators"])]
    for name in asked["training_sets"]:
        if name in KINDS:
            continue
        mixed = counts(name)
        if unknown := [part for part in mixed if part not in known and not _is_part_of_known(part, config)]:
            yield "experiments.training_sets", f"found {name} with {', '.join(unknown)}; allowed: {', '.join(known)}"
        if len({count is None for count in mixed.values()}) > 1:
            yield "experiments.training_sets", f"found {name}; allowed: a number for each part, or for none"
        if len(mixed) != len(name.split("+")):
            yield "experiments.training_sets", f"found {name}; allowed: each part once"
    fractions = {segmenter["validation_fraction"] for segmenter in config["segmenters"].values()}
    if asked["validation"] == "apart" and len(fractions) > 1:
        yield (
            "experiments.validation",
            f"found apart with validation fractions {sorted(fractions)}; generators can leave out one set of subjects",
        )


def _of_generator_seeds(asked: Mapping) -> Iterator[Problem]:
    seeds, repeats = asked["generator_seeds"], asked["repeats"]
    if repeats % seeds:
        yield "experiments.generator_seeds", f"found {seeds} with {repeats} repeats; allowed: a divisor of repeats"
    if seeds > 1 and asked["share_job"]:
        yield (
            "experiments.share_job",
            f"found true with {seeds} generator_seeds; allowed: false, as repeats then learn from other images",
        )


def _of_looks(config: Mapping) -> Iterator[Problem]:
    asked = config["experiments"]
    if asked["stopping"] == "fixed":
        return
    if asked["share_job"]:
        yield "experiments.share_job", "found true with stopping sequential; allowed: false, as looks add repeats"
    if not primary_sets(config) or REAL not in asked["training_sets"] or "augmented" not in asked["augmentations"]:
        yield (
            "experiments.stopping",
            "found sequential without a primary comparison (evaluation.primary) of trainings with augmentation; "
            "allowed: fixed",
        )
    given, seeds = asked["looks"] or [], asked["generator_seeds"]
    if given != sorted(given) or any(n >= asked["repeats"] or (n > seeds and n % seeds) for n in given):
        yield (
            "experiments.looks",
            f"found {given} with {asked['repeats']} repeats and {seeds} generator_seeds; allowed: ascending numbers "
            "below repeats, and below generator_seeds or multiples of it",
        )
    elif len(looks_of(config)) == 1:
        yield "experiments.repeats", f"found {asked['repeats']}, too few for a look before the last; allowed: more"


def _is_part_of_known(name: str, config: Mapping) -> bool:
    """Whether it is real images of some subjects, or those of other trainings of a generator."""
    source = Source.of(name)
    return source.base == REAL or (source.base in config["generators"] and not (source.filtered or source.subjects))


def _of_curves(config: Mapping) -> Iterator[Problem]:
    for name in experiments(config):
        block, place = config["experiments"][name], f"experiments.{name}"
        for names in ("datasets", "segmenters"):
            if unknown := [one for one in block[names] or [] if one not in config[names]]:
                yield f"{place}.{names}", f"found {', '.join(unknown)}; allowed: {', '.join(config[names])}"
        if block["augmentation"] not in (None, *config["experiments"]["augmentations"]):
            known = ", ".join(config["experiments"]["augmentations"])
            yield (
                f"{place}.augmentation",
                f"found {block['augmentation']}; allowed: one of experiments.augmentations, {known}",
            )
        yield from _of_generators(f"{place}.generators", block["generators"], config, name)
    if "site_held_out" in experiments(config):
        yield from _of_site_held_out(config)
    if "snapshots" in experiments(config):
        yield from _of_snapshots(config)
    if "proportions" in experiments(config):
        yield from _of_proportions(config["experiments"]["proportions"])
    if "few_subjects" in experiments(config):
        yield from _of_few_subjects(config)


def _of_generators(place: str, generators: list[str], config: Mapping, experiment: str) -> Iterator[Problem]:
    own, known = list(config["generators"]), known_sources(config)
    for name in generators:
        source = Source.of(name)
        varied = source.name != source.base and source.base in own and not (source.filtered or source.subjects)
        if experiment in ("ensembles", "snapshots", "subset"):
            if name not in own:
                yield place, f"found {name}; allowed: {', '.join(own)}, as others are trained beside it"
        elif name not in known and not varied:
            yield place, f"found {name}; allowed: {', '.join(known)}, or such as {(own or ['stylegan2'])[0]}-50percent"


def _of_snapshots(config: Mapping) -> Iterator[Problem]:
    for name in config["experiments"]["snapshots"]["generators"]:
        if config["generators"].get(name, {}).get("memorization_action") == "stop":
            yield (
                "experiments.snapshots.generators",
                f"found {name}, whose memorization_action is stop; allowed: log or choose, as a training that stops "
                "early does not come to all its snapshots",
            )


def _of_proportions(block: Mapping) -> Iterator[Problem]:
    if above := [real for real in block["real"] if real > block["total"]]:
        yield "experiments.proportions.real", f"found {above}; allowed: at most the total, {block['total']}"


def _of_site_held_out(config: Mapping) -> Iterator[Problem]:
    block, place, known = config["experiments"]["site_held_out"], "experiments.site_held_out", list(config["datasets"])
    shared_by, tested = block["shared_by"] or known, block["datasets"] or known
    if unknown := [name for name in shared_by if name not in known]:
        yield f"{place}.shared_by", f"found {', '.join(unknown)}; allowed: {', '.join(known)}"
    elif alone := [name for name in tested if not set(shared_by) - {name}]:
        yield place, f"found no dataset that shares images with {alone[0]}; allowed: two datasets or more"
    if 100 not in block["percent"]:
        yield f"{place}.percent", f"found {block['percent']}; allowed: 100 among them, as points are compared with it"
    pairs = [(a, b) for b in tested for a in shared_by if a != b and {a, b} <= set(known)]
    yield from sites_apart(config["datasets"], pairs, place)


def _of_few_subjects(config: Mapping) -> Iterator[Problem]:
    block, place = config["experiments"]["few_subjects"], "experiments.few_subjects"
    if TUNED in block["kinds"] and not config["experiments"]["keep_weights"]:
        yield f"{place}.kinds", f"found {TUNED}; it needs experiments.keep_weights, to start from them"
    shares = {Source.of(name).percent for name in block["generators"]}
    if block["subjects_of"] == "unseen" and (len(shares) > 1 or 100 in shares):
        yield (
            f"{place}.subjects_of",
            f"found unseen with {', '.join(block['generators'])}; generators have to leave subjects unseen, all the "
            "same ones: such as stylegan2-50percent",
        )
    if config["experiments"]["validation"] == "study":
        for name, segmenter in config["segmenters"].items():
            kept = {k: math.floor((1 - segmenter["validation_fraction"]) * k + 0.5) for k in block["subjects"]}
            if few := [k for k, n in kept.items() if not 0 < n < k]:
                yield (
                    f"{place}.subjects",
                    f"found {few[0]}, of whom {name} cannot hold out any to validate; allowed: more",
                )
