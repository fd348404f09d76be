"""The study grid: which trainings a config asks for. Rules and tables both read it here.

Per dataset and segmenter the training sets are the real images, each generator's samples, and both together, each with
and without augmentation: 22 settings for five generators. `shuffled` (real images, each with another image's
annotation) is the negative control: what a network learns from it is the floor of the tables. `copies` (the training
images handed on as if they were samples) and `noise` are controls in the place of a generator.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product

KINDS = ("real", "synthetic", "real+synthetic", "filtered")  # in a config; anything else there is a mixture by name
REAL = "real"
SHUFFLED = "shuffled"
RESERVED = (REAL, SHUFFLED)
FILTERED = "-filtered"  # stylegan2-filtered: its images, those replaced that the audit has flagged
COPIES = "copies"
NOISE = "noise"
MADE_CONTROLS = (COPIES, NOISE)  # stacks that stand where a generator's samples would


@dataclass(frozen=True)
class Setting:
    """One line of the tables; `repeats` trainings with other seeds belong to it."""

    dataset: str
    segmenter: str
    training_set: str
    augmentation: str
    repeats: int

    def folder(self, results: str) -> str:
        return f"{results}/{self.dataset}/segmenters/{self.segmenter}/{self.training_set}/{self.augmentation}"

    def files(self, results: str, name: str) -> list[str]:
        """The file `name` of every repeat."""
        return [f"{self.folder(results)}/repeat{repeat}/{name}" for repeat in range(1, self.repeats + 1)]

    def as_dict(self) -> dict:
        return asdict(self)


def training_sets(
    generators: list[str], kinds: list[str], negative_control: bool, controls: Sequence[str] = ()
) -> list[str]:
    """Names in table order: real, each generator's mixtures, each generator alone, mixtures by name, the controls."""
    names = [REAL] if REAL in kinds else []
    names += [f"{REAL}+{g}" for g in generators if "real+synthetic" in kinds]
    names += [g for g in generators if "synthetic" in kinds]
    names += [g + FILTERED for g in generators if "filtered" in kinds]
    names += [kind for kind in kinds if kind not in KINDS and kind not in names]
    return [*names, *controls, *[SHUFFLED] * negative_control]


def counts(training_set: str) -> dict[str, int | None]:
    """The sources of a training set and how many images of each, all where none is said.

    real+stylegan2 -> {real: None, stylegan2: None}: seen equally often. real=5000+stylegan2=95000: each image is.
    """
    named = [part.partition("=") for part in training_set.split("+")]
    return {name: int(count) if count else None for name, _, count in named}


def parts(training_set: str) -> list[str]:
    """The sources that a training set is mixed of: real+stylegan2 -> [real, stylegan2]."""
    return list(counts(training_set))


def generators_of(training_set: str) -> list[str]:
    return [part.removesuffix(FILTERED) for part in parts(training_set) if part not in RESERVED]


def file_of(part: str, suffix: str) -> str:
    """The stack (.zip) of a source, or its manifest (.json), below the folder of its dataset."""
    if part in RESERVED:
        return "stacks/train.zip" if suffix == ".zip" else "stacks/stacks.json"
    generator, filtered = part.removesuffix(FILTERED), part.endswith(FILTERED)
    return f"generators/{generator}/{'filtered' if filtered else 'samples'}{suffix}"


def audited(config: Mapping) -> list[tuple[str, str, str]]:
    """(dataset, generator, "" or "filtered_") of all images that are audited: every generator's samples, and the
    filtered ones that segmenters learn from or that are released; imports; and the controls beside these."""
    if not sources(config):
        return []
    used = {part for s in grid(config) for part in parts(s.training_set)}
    if config["release"]["images"] == "filtered":
        used |= {generator + FILTERED for generator in config["release"]["generators"]}
    return [
        (dataset, generator, prefix)
        for dataset, generator in product(config["datasets"], [*sources(config), *made_controls(config)])
        for prefix in ("", *["filtered_"] * (generator + FILTERED in used))
    ]


def feature_weights(config: Mapping, dataset: str) -> str | None:
    """The weights of the study's own segmenter whose bottleneck is a feature space: of the first repeat trained on real
    images. None where the config asks for no such space, or has a file for it."""
    fidelity = config["evaluation"]["fidelity"]
    if "segmenter" not in fidelity["spaces"] or fidelity["weights"]["segmenter"] or not sources(config):
        return None
    segmenter = fidelity["segmenter"] or next(iter(config["segmenters"]))
    setting = Setting(dataset, segmenter, REAL, config["experiments"]["augmentations"][0], 1)
    return setting.files(config["results"], "weights.safetensors")[0]


def sources(config: Mapping) -> list[str]:
    """What there are synthetic images of: the generators, and sets of others' images."""
    return [*config["generators"], *config.get("imports", {})]


def known_sources(config: Mapping) -> list[str]:
    """Those that segmenters may learn from: it is known whose images are behind them."""
    imports = config.get("imports", {})
    return [name for name in sources(config) if name not in imports or imports[name]["trained_on"] == "train"]


def made_controls(config: Mapping) -> list[str]:
    """The controls that are stacks; a config of before there were any has none."""
    return list(config["experiments"].get("controls", []))


def is_control(training_set: str) -> bool:
    """Whether a training set is one that shows that the numbers can be believed, and no result."""
    return bool({SHUFFLED, *MADE_CONTROLS} & set(parts(training_set)))


def grid(config: Mapping) -> Iterator[Setting]:
    """Every setting of a validated config."""
    experiments = config["experiments"]
    sets = training_sets(
        known_sources(config),
        experiments["training_sets"],
        experiments["negative_control"],
        made_controls(config),
    )
    augmentations = experiments["augmentations"]
    for dataset, segmenter in product(config["datasets"], config["segmenters"]):
        for training_set, augmentation in product(sets, augmentations):
            yield Setting(dataset, segmenter, training_set, augmentation, experiments["repeats"])
