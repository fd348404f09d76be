"""Names of image sources: the parts of a training set's name, and which files and trainings they need.

    real                     the training images
    real-20percent           images of a fifth of the training subjects, the same subjects in every repeat
    real-10subjects          images of ten subjects, others in every repeat, the same for all networks and mixtures
    real-10subjects-beyond50percent   images of ten subjects that a generator of 50 percent has not seen
    stylegan2                samples of a generator; or imported images of this name
    stylegan2-seed3          samples of another training of it, with another random seed
    stylegan2-20percent      samples of a training on a fifth of the subjects, those of real-20percent
    stylegan2-20percent-seed3   samples of a training on another fifth
    stylegan2-snapshot25     samples from the weights after a quarter of its training
    stylegan2-seed3-snapshot25   the same of another training
    stylegan2-ensemble4      equally many samples of stylegan2, stylegan2-seed2, -seed3 and -seed4
    stylegan2-filtered       its samples, in which those that the audit flags are replaced
    stylegan2-from-site_a    samples of the generator of the data set site_a, for training on another data set

A training set is a mixture of sources, such as real+stylegan2. For `real-10subjects-after-stylegan2` a network first
learns from stylegan2 and is then fine-tuned on real images of ten subjects.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from understudy.files.outside import shortened

REAL = "real"
SHUFFLED = "shuffled"
RESERVED = (REAL, SHUFFLED)
FILTERED = "-filtered"
AFTER = "-after-"
FROM = "-from-"
COPIES = "copies"
NOISE = "noise"
MADE_CONTROLS = (COPIES, NOISE)  # stacks that replace a generator's samples

# a part of a training set's name; config/experiments.py limits what a config may name
PART = re.compile(
    r"(?P<base>[a-z][a-z0-9_]*)(-(?P<percent>[1-9][0-9]?)percent)?"
    r"(-seed(?P<seed>[1-9][0-9]*)|-ensemble(?P<members>[1-9][0-9]*)"
    r"|-(?P<subjects>[1-9][0-9]*)subjects(-beyond(?P<beyond>[1-9][0-9]?)percent)?)?"
    r"(-snapshot(?P<snapshot>[1-9][0-9]?))?(?P<filtered>-filtered)?"
    r"(-from-(?P<site>[a-z0-9][a-z0-9_]*))?"
)


@dataclass(frozen=True)
class Source:
    """A parsed name."""

    base: str  # real, shuffled, a generator of the config, an import, a control
    percent: int = 100  # of the training subjects
    seed: int = 1  # which of several trainings of one generator
    members: int = 1  # trainings whose images are pooled
    snapshot: int = 100  # percent of the training after which its weights were taken
    subjects: int = 0  # number of real subjects, others in each repeat; 0: all
    beyond: int = 0  # percent; the first subjects, up to this share, are excluded
    filtered: bool = False
    site: str = ""  # the data set whose generator made them; "": that of the training

    @classmethod
    def of(cls, name: str) -> "Source":
        """Raises ValueError if the name has another form."""
        if not (match := PART.fullmatch(name)):
            raise ValueError(
                f"training set: found {shortened(name)}, expected a name such as real, stylegan2-20percent"
            )
        given = {key: value for key, value in match.groupdict().items() if value}
        numbers = {key: int(value) for key, value in given.items() if key not in ("base", "filtered", "site")}
        return cls(given["base"], filtered="filtered" in given, site=given.get("site", ""), **numbers)

    @property
    def is_real(self) -> bool:
        """Whether the images are those of the training stack."""
        return self.base in RESERVED

    @property
    def name(self) -> str:
        percent = f"-{self.percent}percent" * (self.percent < 100)
        which = f"-seed{self.seed}" * (self.seed > 1) + f"-ensemble{self.members}" * (self.members > 1)
        few = f"-{self.subjects}subjects" * (self.subjects > 0) + f"-beyond{self.beyond}percent" * (self.beyond > 0)
        when = f"-snapshot{self.snapshot}" * (self.snapshot < 100)
        whose = FILTERED * self.filtered + f"{FROM}{self.site}" * bool(self.site)
        return self.base + percent + which + few + when + whose

    @property
    def folder(self) -> str:
        """The folder below `generators/` of a generator, an ensemble, an import or a control."""
        return replace(self, filtered=False, site="").name

    @property
    def trained(self) -> list[str]:
        """The folders of the generator trainings that it needs; none for real images."""
        if self.is_real:
            return []
        one = replace(self, members=1, snapshot=100, filtered=False, site="")
        return [replace(one, seed=seed).name for seed in range(1, self.members + 1)] if self.members > 1 else [one.name]


def parts(training_set: str) -> list[str]:
    """The sources of a mixture: real+stylegan2 -> [real, stylegan2]; without what the network learned from before."""
    return list(counts(training_set))


def counts(training_set: str) -> dict[str, int | None]:
    """The sources of a training set and their numbers of images; None: all.

    real+stylegan2 -> {real: None, stylegan2: None}: each source is seen equally often. With numbers, as in
    real=5000+stylegan2=95000, each image is.
    """
    named = [part.partition("=") for part in training_set.partition(AFTER)[0].split("+")]
    return {name: int(count) if count else None for name, _, count in named}


def learned_before(training_set: str) -> str | None:
    """The training set that a network learned from before: stylegan2 in real-10subjects-after-stylegan2."""
    return training_set.partition(AFTER)[2] or None


def generators_of(training_set: str) -> list[str]:
    """The folders of all synthetic images of a training set, including what was learned from before."""
    before = learned_before(training_set)
    named = [*parts(training_set), *(parts(before) if before else [])]
    return list(dict.fromkeys(Source.of(part).folder for part in named if not Source.of(part).is_real))


def origins_of(training_set: str, dataset: str) -> list[tuple[str, str]]:
    """(dataset, folder) of all synthetic images of a training set, including what was learned from before."""
    named = (Source.of(part) for one in training_set.split(AFTER) for part in parts(one))
    return list(dict.fromkeys((source.site or dataset, source.folder) for source in named if not source.is_real))


def bases_of(training_set: str) -> list[str]:
    """The generators, imports or controls of the config that a training set uses."""
    return list(dict.fromkeys(Source.of(name).base for name in generators_of(training_set)))


def of_training(training_set: str, seed: int, generators: Collection[str]) -> str:
    """The same training set from another training of its generators: stylegan2 -> stylegan2-seed2.

    Parts that name a training, an ensemble or a share of the subjects do not change.
    """
    learned = []
    for stage in training_set.split(AFTER):
        named = [part.partition("=") for part in stage.split("+")]
        learned.append("+".join(_of_training(name, seed, generators) + equals + n for name, equals, n in named))
    return AFTER.join(learned)


def _of_training(part: str, seed: int, generators: Collection[str]) -> str:
    source = Source.of(part)
    kept = {"snapshot": source.snapshot, "filtered": source.filtered, "site": source.site}
    plain = source.base in generators and source == Source(source.base, **kept)
    return replace(source, seed=seed).name if plain else part


def file_of(part: str, suffix: str, dataset: str) -> str:
    """The path, below the results folder, of a source's stack (.zip) or manifest (.json) for trainings on a dataset."""
    source = Source.of(part)
    if source.is_real:
        return f"{dataset}/stacks/{'train.zip' if suffix == '.zip' else 'stacks.json'}"
    name = "filtered" if source.filtered else "samples"
    return f"{source.site or dataset}/generators/{source.folder}/{name}{suffix}"


def is_control(training_set: str) -> bool:
    """Whether a training set is a control, which tests the study and is no result."""
    return bool({SHUFFLED, *MADE_CONTROLS} & set(parts(training_set)))
