"""Experiments beyond the grid. Each has one block of the config, one target, one table and one figure.

    proportions    a constant number of images with a growing share of real ones
    few_subjects   how many real patients synthetic images replace
    ensembles      pooled images of several trainings of one generator
    snapshots      images from several points of a generator's training
    subset         generator and segmenter trained on a part of the training subjects
    site_held_out  another site's synthetic images, alone and beside the site's own real images

An experiment is a list of points: a training set and its place on a curve. Curves of one experiment share points (real
images alone). Experiments share trainings with each other and with the grid.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from .sources import AFTER, FROM, REAL, Source

SYNTHETIC, BOTH, TUNED = "synthetic", "real+synthetic", "fine-tuned"  # kinds of curves, beside REAL


@dataclass(frozen=True)
class Point:
    """A training set and its place on a curve."""

    generator: str  # empty: real images alone
    kind: str  # REAL, SYNTHETIC, BOTH, TUNED
    amount: int  # real images, real subjects, members, percent of the subjects or of a training; 0 subjects: all
    training_set: str


@dataclass(frozen=True)
class Curves:
    """An experiment on one dataset with one segmenter."""

    dataset: str
    segmenter: str
    augmentation: str
    points: tuple[Point, ...]

    def as_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def of_dict(cls, given: Mapping) -> "Curves":
        return cls(**{**given, "points": tuple(Point(**point) for point in given["points"])})


def experiments(config: Mapping) -> list[str]:
    """The names of the experiments that a validated config asks for."""
    return [name for name in EXPERIMENTS if config["experiments"].get(name, {}).get("generators")]


def curves(config: Mapping, name: str) -> Iterator[Curves]:
    """The curves of an experiment, one object for each dataset and segmenter."""
    block = config["experiments"][name]
    augmentation = block["augmentation"] or config["experiments"]["augmentations"][0]
    wanted = product(block["datasets"] or config["datasets"], block["segmenters"] or config["segmenters"])
    for dataset, segmenter in wanted:
        others = [other for other in config["datasets"] if other != dataset]
        points = tuple(dict.fromkeys(EXPERIMENTS[name].points(block, others)))
        yield Curves(dataset, segmenter, augmentation, points)


def _proportions(block: Mapping, others: Sequence[str]) -> Iterator[Point]:
    total = block["total"]
    for generator, real in product(block["generators"], block["real"]):
        mixed = [f"{REAL}={real}"] * (real > 0) + [f"{generator}={total - real}"] * (real < total)
        yield Point(generator, BOTH, real, "+".join(mixed))


def _few_subjects(block: Mapping, others: Sequence[str]) -> Iterator[Point]:
    unseen = block["subjects_of"] == "unseen"
    beyond = max(Source.of(name).percent for name in block["generators"]) % 100 if unseen else 0
    few = {k: Source(REAL, subjects=k, beyond=beyond).name for k in sorted(block["subjects"])}
    for k, name in few.items():
        yield Point("", REAL, k, name)
    if not unseen:
        yield Point("", REAL, 0, REAL)
    for generator in block["generators"]:
        yield Point(generator, SYNTHETIC, 0, generator)
        for k, name in few.items():
            if BOTH in block["kinds"]:
                yield Point(generator, BOTH, k, f"{name}+{generator}")
            if TUNED in block["kinds"]:
                yield Point(generator, TUNED, k, name + AFTER + generator)


def _ensembles(block: Mapping, others: Sequence[str]) -> Iterator[Point]:
    for generator, members in product(block["generators"], sorted({1, *block["members"]})):
        source = Source(generator, percent=block["percent"], members=members)
        yield Point(generator, SYNTHETIC, members, source.name)


def _snapshots(block: Mapping, others: Sequence[str]) -> Iterator[Point]:
    for generator, share in product(block["generators"], [*sorted(block["shares"]), 100]):
        yield Point(generator, SYNTHETIC, share, Source(generator, snapshot=share).name)


def _subset(block: Mapping, others: Sequence[str]) -> Iterator[Point]:
    for percent in (block["percent"], 100):
        real = Source(REAL, percent=percent).name
        yield Point("", REAL, percent, real)
        for generator in block["generators"]:
            made = replace(Source.of(generator), percent=percent).name
            yield Point(generator, SYNTHETIC, percent, made)
            yield Point(generator, BOTH, percent, f"{real}+{made}")


def _site_held_out(block: Mapping, others: Sequence[str]) -> Iterator[Point]:
    own = {percent: Source(REAL, percent=percent).name for percent in sorted(block["percent"])}
    for percent, real in own.items():
        yield Point("", REAL, percent, real)
    shared_by = [site for site in others if site in (block["shared_by"] or others)]
    for site, generator in product(shared_by, block["generators"]):
        shared = f"{generator}{FROM}{site}"
        yield Point(shared, BOTH, 0, shared)
        for percent, real in own.items():
            yield Point(shared, BOTH, percent, f"{real}+{shared}")


@dataclass(frozen=True)
class Experiment:
    """An experiment, apart from its block of the config: its trainings, and the words of its table, figure and section
    of the report."""

    name: str
    title: str  # of its section
    amounts: str  # what the numbers along a curve count
    by: str  # the same in the caption of its table, in more words
    points: Callable[[Mapping, Sequence[str]], Iterator[Point]]  # from its block and the names of the other datasets
    # amounts are parts of one total; the published study may have values for its two ends
    of_a_total: bool = False
    # amounts are real patients: the axis is logarithmic, and the table says how many patients images are worth
    of_patients: bool = False
    # images of another site: every point is compared with all of the site's own real images alone
    of_sites: bool = False
    # points are snapshots of one generator training: the table also has its kimg and metrics of its samples
    of_training: bool = False


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "proportions",
            title="How many real images among synthetic ones?",
            amounts="real images",
            by="the number of real images in a constant total (`amount`)",
            points=_proportions,
            of_a_total=True,
        ),
        Experiment(
            "few_subjects",
            title="How many patients are synthetic images worth?",
            amounts="real subjects",
            by="the number of real training subjects (`amount`; other ones in every repeat)",
            points=_few_subjects,
            of_patients=True,
        ),
        Experiment(
            "ensembles",
            title="Are several trainings of a generator better than one?",
            amounts="members",
            by="the number of trainings whose images are pooled (`amount`)",
            points=_ensembles,
        ),
        Experiment(
            "snapshots",
            title="Do images get more useful as a generator trains?",
            amounts="percent of the training",
            by="the percentage of the generator's training (`amount`; 100: its end)",
            points=_snapshots,
            of_training=True,
        ),
        Experiment(
            "subset",
            title="What if there were fewer patients to begin with?",
            amounts="percent of the training subjects",
            by="the percentage of the training subjects that generator and segmenter have (`amount`)",
            points=_subset,
        ),
        Experiment(
            "site_held_out",
            title="What are another hospital's synthetic images worth here?",
            amounts="percent of the site's own training subjects",
            by="the percentage of the site's own training subjects beside the other site's synthetic images (`amount`; "
            "0: those images alone)",
            points=_site_held_out,
            of_sites=True,
        ),
    )
}
