"""The study grid: which trainings a config asks for. Rules and tables both read it here.

Per dataset and segmenter the training sets are the real images, each generator's samples, and both together, each with
and without augmentation: 22 settings for five generators. `shuffled` (real images, each with another image's
annotation) is the negative control: what a network learns from it is the floor of the tables. `copies` (the training
images handed on as if they were samples) and `noise` are controls in the place of a generator.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from . import result_paths
from .experiment_registry import curves, experiments
from .sources import AFTER, FILTERED, REAL, SHUFFLED, Source, bases_of, is_control, learned_before, of_training, parts

KINDS = ("real", "synthetic", "real+synthetic", "filtered")  # in a config; anything else there is a mixture by name
BASELINE = (REAL, "augmented")  # what training sets are compared with
NNUNET = "nnunet"  # the segmenter that is not built here: nnU-Net plans, trains and predicts itself
FIGURE_REPEATS = 4  # predictions of so many trainings of a setting are shown


@dataclass(frozen=True)
class Setting:
    """One line of the tables; `repeats` trainings with other seeds belong to it.

    Where generators are trained several times, the repeats take turns over the trainings: `turns` names the training
    sets, such as (stylegan2, stylegan2-seed2). A repeat keeps its number and its place whatever the number of turns, so
    nothing is trained twice when it changes.
    """

    dataset: str
    segmenter: str
    training_set: str
    augmentation: str
    repeats: int
    turns: tuple[str, ...] = ()  # none: every repeat has the training set itself

    @property
    def trainings(self) -> int:
        """Of each generator behind it."""
        return max(1, len(self.turns))

    def training_of(self, repeat: int) -> int:
        """Which training of the generators a repeat has learned from, 1 the first."""
        return (repeat - 1) % self.trainings + 1

    def of_repeat(self, repeat: int) -> "Setting":
        """The setting whose folder holds a repeat."""
        return replace(self, training_set=self.turns[self.training_of(repeat) - 1], turns=()) if self.turns else self

    def folder(self, results: str) -> str:
        return result_paths.segmenter_folder(
            results, self.dataset, self.segmenter, self.training_set, self.augmentation
        )

    def files(self, results: str, name: str) -> list[str]:
        """The file `name` of every repeat."""
        return [f"{self.of_repeat(repeat).folder(results)}/repeat{repeat}/{name}" for repeat in self.numbers]

    def ensemble_file(self, results: str) -> str:
        """Scores of the networks of all its repeats as one. Looks may add repeats, so their number is in the name."""
        return f"{self.folder(results)}/ensemble_of_{self.repeats}.csv"

    @property
    def numbers(self) -> range:
        """Of its repeats."""
        return range(1, self.repeats + 1)

    def as_dict(self) -> dict:
        """Its names, and its repeats."""
        return {key: value for key, value in asdict(self).items() if key != "turns"}


def published_names(config: Mapping) -> dict[str, str]:
    """dataset -> the published study whose values stand beside ours, where there is one."""
    return {name: dataset["published"] for name, dataset in config["datasets"].items() if dataset["published"]}


def trainings_of_generators(config: Mapping) -> int:
    """How often each generator is trained; 0: there are no synthetic images. Others' images are of one training."""
    return config["experiments"]["generator_seeds"] if config["generators"] else min(1, len(accepted(config)))


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


def grid(config: Mapping) -> Iterator[Setting]:
    """Every setting of the main tables of a validated config."""
    asked = config["experiments"]
    for dataset, segmenter in product(config["datasets"], config["segmenters"]):
        for training_set, augmentation in product(_names(config), asked["augmentations"]):
            yield setting_of(config, dataset, segmenter, training_set, augmentation)


def setting_of(config: Mapping, dataset: str, segmenter: str, training_set: str, augmentation: str) -> Setting:
    """With its repeats, and the trainings of generators that these are spread over."""
    turns = turns_of(config, training_set)
    return Setting(dataset, segmenter, training_set, augmentation, config["experiments"]["repeats"], turns)


def turns_of(config: Mapping, training_set: str) -> tuple[str, ...]:
    """A training set with the images of each training of its generators; none where there is one of each, or where
    it names its trainings itself (seeds, ensembles, shares of the subjects, imports)."""
    seeds = range(1, config["experiments"]["generator_seeds"] + 1)
    turns = tuple(dict.fromkeys(of_training(training_set, seed, config["generators"]) for seed in seeds))
    return turns if len(turns) > 1 else ()


def primary_sets(config: Mapping) -> list[str]:
    """The training sets whose comparison with real images is the question of the study."""
    named = training_sets(known_sources(config), config["evaluation"]["primary"], negative_control=False)
    return [name for name in named if name in _names(config) and name != REAL]


def settings(config: Mapping) -> list[Setting]:
    """Every setting that is trained: those of the grid, and those that experiments add."""
    of_experiments = (s for name in experiments(config) for s in settings_of(config, name))
    return list(dict.fromkeys([*grid(config), *of_experiments]))


def settings_of(config: Mapping, experiment: str) -> list[Setting]:
    """Every setting of an experiment, and those whose weights its networks start from."""
    found = []
    for c in curves(config, experiment):
        for point in c.points:
            before = learned_before(point.training_set)
            names = [*([before] if before else []), point.training_set]
            found += [setting_of(config, c.dataset, c.segmenter, n, c.augmentation) for n in names]
    return list(dict.fromkeys(found))


def without_controls(config: Mapping) -> list[Setting]:
    """The settings of the grid whose networks predict once more, where that is asked for."""
    return [s for s in grid(config) if not is_control(s.training_set)]


def external_settings(config: Mapping) -> list[tuple[Setting, str]]:
    """(setting, the other dataset whose test subjects it is scored on)."""
    tested, scored = config["evaluation"]["external"], without_controls(config)
    return [(setting, site) for site in tested for setting in scored if setting.dataset != site]


def external_files(config: Mapping) -> list[tuple[Setting, str, str]]:
    """(setting, dataset whose test subjects it is scored on, file of each repeat): external_settings, then what they
    are compared with, networks trained on real images of the dataset that is tested."""
    found = [(setting, site, f"scores_on_{site}.csv") for setting, site in external_settings(config)]
    tested = dict.fromkeys(site for _, site, _ in found)
    return found + [
        (setting, setting.dataset, "scores.csv")
        for setting in grid(config)
        if setting.dataset in tested and (setting.training_set, setting.augmentation) == BASELINE
    ]


def sites_met(config: Mapping) -> list[tuple[str, str]]:
    """(dataset that is trained on, other one that is tested on): of external test subjects, and of shared images."""
    met = [(setting.dataset, site) for setting, site in external_settings(config)]
    for name in experiments(config):
        for c in curves(config, name):
            named = (Source.of(part) for point in c.points for part in _parts_of_all(point.training_set))
            met += [(source.site, c.dataset) for source in named if source.site]
    return list(dict.fromkeys(met))


def start_of(setting: Setting) -> Setting | None:
    """The setting whose weights a training starts from, those of the same repeat."""
    before = learned_before(setting.training_set)
    return replace(setting, training_set=before) if before else None


def _names(config: Mapping) -> list[str]:
    asked = config["experiments"]
    kinds, negative = asked["training_sets"], asked["negative_control"]
    return training_sets(known_sources(config), kinds, negative, made_controls(config))


def all_training_sets(config: Mapping) -> list[str]:
    """Of the grid and of the experiments, each once, with those that repeats take turns over."""
    points = (p for name in experiments(config) for c in curves(config, name) for p in c.points)
    named = dict.fromkeys([*_names(config), *(p.training_set for p in points)])
    return list(dict.fromkeys([*named, *(turn for name in named for turn in turns_of(config, name))]))


# ---- what there are images of ----------------------------------------------------------------------------------------


def base_sources(config: Mapping) -> list[str]:
    """The generators of the config, and sets of others' images."""
    return [*config["generators"], *accepted(config)]


def accepted(config: Mapping) -> list[str]:
    """The sets of others' images that are taken."""
    return [name for name, one in config["imports"].items() if not one["refused"]]


def known_sources(config: Mapping) -> list[str]:
    """Those that segmenters may learn from: it is known whose images are behind them."""
    imports = config["imports"]
    return [name for name in base_sources(config) if name not in imports or imports[name]["trained_on"] == "train"]


def sources(config: Mapping) -> list[str]:
    """All that there are synthetic images of, by folder: also those of other trainings, and pooled ones, that
    segmenters learn from."""
    named = (part for training_set in all_training_sets(config) for part in _parts_of_all(training_set))
    used = (source.folder for source in map(Source.of, named) if source.base in config["generators"])
    return list(dict.fromkeys([*base_sources(config), *used]))


def _parts_of_all(training_set: str) -> list[str]:
    return [part for one in training_set.split(AFTER) for part in parts(one)]


def trained(config: Mapping) -> list[str]:
    """Every training of a generator, by folder: stylegan2, stylegan2-seed2, stylegan2-20percent, ..."""
    behind = (name for folder in sources(config) for name in Source.of(folder).trained)
    own = (name for name in behind if Source.of(name).base in config["generators"])
    return list(dict.fromkeys([*config["generators"], *own]))


def snapshots(config: Mapping) -> list[str]:
    """The sources that are of a training under way, by folder."""
    return [name for name in sources(config) if Source.of(name).snapshot < 100]


def kept_snapshots(config: Mapping, training: str) -> list[int]:
    """After how many percent of a training its weights are kept, ascending."""
    found = (Source.of(name) for name in snapshots(config))
    return sorted(source.snapshot for source in found if training in source.trained)


def sampled(config: Mapping) -> list[str]:
    """All that images are drawn from, by folder: every training of a generator, at its end and at its snapshots."""
    return [*trained(config), *snapshots(config)]


def ensembles(config: Mapping) -> list[str]:
    """The sources whose images are pooled from several trainings."""
    return [name for name in sources(config) if Source.of(name).members > 1]


def sample_count(config: Mapping, generator: str) -> int:
    """How many images of a training are drawn: all; of one that is nothing but a member of ensembles, its share."""
    count, pooled = config["samples"]["count"], map(Source.of, ensembles(config))
    if generator in sources(config):
        return count
    return max(-(-count // source.members) for source in pooled if generator in source.trained)


def made_controls(config: Mapping) -> list[str]:
    """The controls that are stacks; a config of before there were any has none."""
    return list(config["experiments"]["controls"])


def audited(config: Mapping) -> list[tuple[str, str, str]]:
    """(dataset, generator, "" or "filtered_") of all images that are audited: every generator's samples, and the
    filtered ones that segmenters learn from or that are released; imports; and the controls beside these. Snapshots are
    not: their images are never shared."""
    if not sources(config):
        return []
    used = {part for name in all_training_sets(config) for part in parts(name)}
    if config["release"]["images"] == "filtered":
        used |= {generator + FILTERED for generator in config["release"]["generators"]}
    finished = [name for name in sources(config) if Source.of(name).snapshot == 100]
    return [
        (dataset, generator, prefix)
        for dataset, generator in product(config["datasets"], [*finished, *made_controls(config)])
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


# ---- what is trained, and what a study is made of --------------------------------------------------------------------


def models(config: Mapping) -> dict[str, dict]:
    """What is trained, each with the options that decide how fast: the generators, and every segmenter with and without
    augmentation."""
    found = {f"generators/{name}": options for name, options in config["generators"].items()}
    for name, augmentation in product(config["segmenters"], config["experiments"]["augmentations"]):
        options = dict(config["segmenters"][name])
        if augmentation == "plain":
            options.pop("augmentation", None)  # nnU-Net has its own
        found[f"segmenters/{name}/{augmentation}"] = options
    return found


def timed_models(config: Mapping) -> dict[str, dict]:
    """Those of the models whose speed can be measured or counted: not nnU-Net, whose network nobody knows before it has
    planned it."""
    return {name: options for name, options in models(config).items() if name.split("/")[1] != NNUNET}


def branch_of(wildcards: Mapping[str, str]) -> str:
    """The part of a study that a job with these wildcards belongs to: "brats2020 / stylegan2" (a generator and all that
    learns from it first), "brats2020 / real", "brats2020 / shared" (by all of these), "report" (all data sets)."""
    if "dataset" not in wildcards:
        return "report"
    learned = bases_of(wildcards["training_set"])[:1] if "training_set" in wildcards else []
    made = [Source.of(wildcards[kind]).base for kind in ("generator", "ensemble") if kind in wildcards]
    named = [wildcards[kind] for kind in ("control", "imported", "training_set") if kind in wildcards]
    return f"{wildcards['dataset']} / {[*learned, *made, *named, 'shared'][0]}"


def run_folder(runs: str, rule: str, wildcards: Mapping[str, str]) -> str | None:
    """Where a training or sampling has its run directories; none for other jobs, for one that trains several, and for
    one that publishes a snapshot of a training."""
    w = wildcards
    if rule == "train_generator" and Source.of(w["generator"]).snapshot < 100:
        return None
    if rule in RUN_FOLDERS and "generator" in w:
        return f"{runs}/{w['dataset']}/{RUN_FOLDERS[rule]}/{w['generator']}"
    if rule in ("train_segmenter", "train_nnunet") and "repeat" in w:
        setting = Setting(w["dataset"], w["segmenter"], w["training_set"], w["augmentation"], 1)
        return f"{setting.folder(runs)}/repeat{w['repeat']}"
    return None


RUN_FOLDERS = {"train_generator": "generators", "sample_generator": "samples"}
