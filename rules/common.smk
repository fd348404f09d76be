# What all rules share: the validated config, where things are, small named helpers. No rules.
import gc
import json
import shlex
import sys
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(ROOT / "src"))
# jobs in an environment that has only the library's dependencies (conda, apptainer) find the library here
shell.prefix(f"set -euo pipefail; export PYTHONPATH={shlex.quote(str(ROOT / 'src'))}; ")

import yaml
from snakemake.exceptions import WorkflowError

from understudy.core.cli import stand_in_for
from understudy.core.config import complete, load_yaml
from understudy.core.files import canonical_json, write_text_atomically
from understudy.core.experiments import curves, experiments
from understudy.core.grid import Setting, all_training_sets, audited, base_sources
from understudy.core.grid import ensembles, feature_weights, grid, known_sources
from understudy.core.grid import sample_count, settings, settings_of, sources, start_of
from understudy.core.grid import trained
from understudy.core.plan import FIGURE_REPEATS, reader_tables
from understudy.core.plan import models
from understudy.core.sources import Source, bases_of, file_of, parts
from understudy.core.weights import find_weights
from understudy.prepare.splits import SECRET, check_split_file, how_drawn

# the SLURM plugin notices cancelled jobs only with this: see the file
stand_in_for("sacct", ROOT / "workflow/bin")

# the jobs of a study are a million small objects that stay to the end, which the garbage collector would walk through
# again and again: a sixth of a dry run's time
gc.freeze()
gc.set_threshold(100_000)

try:
    config = complete(config, load_yaml(ROOT / "workflow/schemas/config.schema.yaml"))
    for name, options in config["datasets"].items():
        check_split_file(name, options)
except ValueError as error:
    raise WorkflowError(str(error)) from None

RESULTS = config["results"]
RUNS = config["runs"]
SALT = config["release"]["salt_file"] or f"{RUNS}/salt"  # the study's secret
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
DATASET = f"{RESULTS}/{{dataset}}"
STACKS = f"{DATASET}/stacks"
GENERATOR = f"{DATASET}/generators/{{generator}}"
SETTING = f"{DATASET}/segmenters/{{segmenter}}/{{training_set}}/{{augmentation}}"
SETTINGS = settings(config)  # all that is trained
GRID = list(grid(config))  # of these, what the main tables hold
EXPERIMENTS = experiments(config)
# what decides scores and their tables: all of the section but what is about images
SCORING = canonical_json(
    {key: value for key, value in config["evaluation"].items() if key != "fidelity"}
)
PUBLISHED = {
    name: d["published"] for name, d in config["datasets"].items() if d["published"]
}
# all repeats of a setting, where they share a job; otherwise the one of the wildcard
SHARED = config["experiments"]["share_job"]
REPEATS = range(1, config["experiments"]["repeats"] + 1) if SHARED else ["{repeat}"]
KEEP = config["experiments"]["keep_weights"]
# whether held-out subjects of the real images validate every training set
APART = config["experiments"]["validation"] == "apart"
REPEAT = "all" if SHARED else "repeat{repeat}"
# the options of generators/{generator} and segmenters/{segmenter}/{augmentation}: hundreds of jobs share a text
SOURCES = sources(config)  # of synthetic images: generators, imports, more trainings
MODELS = {model: canonical_json(options) for model, options in models(config).items()}


def one_of(names):
    return "|".join(map(re.escape, names)) or "none"


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    generator=one_of(trained(config)),
    ensemble=one_of(ensembles(config)),
    experiment=one_of(EXPERIMENTS),
    imported=one_of(config["imports"]),
    control=one_of(config["experiments"]["controls"]),
    segmenter=one_of(config["segmenters"]),
    training_set=one_of(all_training_sets(config)),
    augmentation=one_of(config["experiments"]["augmentations"]),
    repeat=r"[1-9]\d*",
    prefix="|filtered_",


def results_folder(wildcards):
    return RESULTS


def option(name, values):
    """The words of an option, one for each value, so that `:q` quotes each; none where there is no value."""
    return [name, *map(str, values)] if values else []


def dataset_options(wildcards):
    """What decides a dataset's index and slices; not the published table beside its own, nor how phantoms are made."""
    options = config["datasets"][wildcards.dataset]
    return canonical_json(
        {
            key: value
            for key, value in options.items()
            if key not in ("published", "phantom")
        }
    )


def phantom_options(wildcards):
    return canonical_json(config["datasets"][wildcards.dataset]["phantom"])


def images_options(wildcards):
    return canonical_json(config["images"])


def generator_options(wildcards):
    return MODELS[f"generators/{Source.of(wildcards.generator).base}"]


def training_of_generator(wildcards):
    """Which generator it is, which of several trainings, and the share of the subjects that it sees."""
    source = Source.of(wildcards.generator)
    whole = ["--generator", source.base]
    if source.name == source.base:
        return whole
    return [*whole, "--percent", source.percent, "--training", source.seed]


def images_of_generator(wildcards):
    return sample_count(config, wildcards.generator)


def member_files(name):
    """The file `name` of every training behind an ensemble."""

    def files(wildcards):
        folder = f"{RESULTS}/{wildcards.dataset}/generators"
        return [
            f"{folder}/{member}/{name}"
            for member in Source.of(wildcards.ensemble).trained
        ]

    return files


def segmenter_options(wildcards):
    text = MODELS[f"segmenters/{wildcards.segmenter}/{wildcards.augmentation}"]
    if not starting_setting(wildcards):
        return text
    options = json.loads(text)
    options["learning_rate"] *= config["experiments"]["few_subjects"][
        "fine_tuning_rate"
    ]
    return canonical_json(options)


def starting_setting(wildcards):
    """The setting whose weights a training starts from, if there is one."""
    names = ("dataset", "segmenter", "training_set", "augmentation")
    named = {name: wildcards[name] for name in names}
    return start_of(Setting(repeats=config["experiments"]["repeats"], **named))


def starting_weights(wildcards):
    """The weights that each repeat starts from: of the same repeat."""
    if not (start := starting_setting(wildcards)):
        return []
    files = start.files(RESULTS, "weights.safetensors")
    return files if SHARED else [files[int(wildcards.repeat) - 1]]


def starting_argument(wildcards, input):
    return option("--start", input.start)


def model_options(wildcards):
    return MODELS[wildcards.model]


def gpus_per_job(wildcards):
    """RULE=GPUS of the rules that a profile or --set-resources gives several GPUs a job."""
    given = workflow.resource_settings.overwrite_resources
    counts = {rule: asked["gpu"].raw for rule, asked in given.items() if "gpu" in asked}
    return [f"{rule}={count}" for rule, count in counts.items() if count not in (0, 1)]


def raw_root(wildcards):
    """Folder of the raw files: the user's, or that of the phantoms."""
    return (
        config["datasets"][wildcards.dataset]["root"]
        or f"{RESULTS}/{wildcards.dataset}/raw"
    )


def salt_argument(wildcards):
    """The secret that draws the test subjects, where they are drawn by one."""
    drawn = how_drawn(config["datasets"][wildcards.dataset]) == SECRET
    return option("--salt", [SALT] * drawn)


def index_inputs(wildcards):
    """The files beside the raw data that decide the index; raw data itself is no input, so a dry run needs none."""
    dataset = config["datasets"][wildcards.dataset]
    phantom = (
        [f"{RESULTS}/{wildcards.dataset}/raw/phantom.json"]
        if dataset["phantom"]
        else []
    )
    return phantom + [dataset[key] for key in ("split", "identities") if dataset[key]]


def imported_stack(wildcards):
    return config["imports"][wildcards.imported]["stack"]


def trained_on(wildcards):
    return config["imports"][wildcards.imported]["trained_on"]


def source_files(wildcards, suffix):
    """One file per part of a training set: of the real images, or of a generator's, the stack or its manifest."""
    folder = f"{RESULTS}/{wildcards.dataset}"
    return [
        f"{folder}/{file_of(part, suffix)}" for part in parts(wildcards.training_set)
    ]


def left_out(wildcards):
    """Share of the subjects that no generator sees, as segmenters validate on them."""
    if config["experiments"]["validation"] == "study":
        return []
    fractions = [s["validation_fraction"] for s in config["segmenters"].values()]
    return option("--leave-out", fractions[:1])


def training_stacks(wildcards):
    return source_files(wildcards, ".zip")


def training_manifests(wildcards):
    return source_files(wildcards, ".json")


def audit_options(*more):
    """What decides a search, and more keys of the section."""
    keys = ["view", "views", "variants", "shifts", *more]
    return canonical_json({key: config["audit"][key] for key in keys})


def audited_stack(wildcards):
    """The images of a generator that are audited."""
    name = "filtered" if wildcards.prefix else "samples"
    return f"{GENERATOR}/{name}.zip".format(**wildcards)


def filtered_argument(wildcards):
    return "--filtered" if wildcards.prefix else ""


def audited_manifest(wildcards):
    return audited_stack(wildcards).removesuffix(".zip") + ".json"


def every(name, settings=SETTINGS):
    """The file `name` of every training of the settings."""
    return [path for setting in settings for path in setting.files(RESULTS, name)]


def fidelity_options(wildcards):
    """What decides the numbers; where weights are is an input."""
    options = config["evaluation"]["fidelity"]
    return canonical_json(
        {k: v for k, v in options.items() if k not in ("weights", "segmenter")}
    )


def fidelity_files(dataset):
    """{space: file of weights} of the spaces that are asked for, as far as the files are there or will be."""
    options = config["evaluation"]["fidelity"]
    given = {
        name: file
        for name, file in options["weights"].items()
        if name in options["spaces"]
    }
    found = {name: find_weights(file) for name, file in given.items() if file}
    own = feature_weights(config, dataset)
    return {name: str(path) for name, path in found.items() if path} | (
        {"segmenter": own} if own else {}
    )


def fidelity_weights(wildcards):
    return list(fidelity_files(wildcards.dataset).values())


def fidelity_weights_named(wildcards):
    files = fidelity_files(wildcards.dataset)
    return [f"{space}={file}" for space, file in files.items()]


def of_repeats(name):
    return [f"{SETTING}/repeat{repeat}/{name}" for repeat in REPEATS]


def using(generator):
    """The settings that learn from images of a generator, of whichever training."""
    return [s for s in SETTINGS if generator in bases_of(s.training_set)]


def dataset_settings(wildcards):
    return canonical_json([s.as_dict() for s in GRID if s.dataset == wildcards.dataset])


def experiment_scores(wildcards):
    return every("scores.csv", settings_of(config, wildcards.experiment))


def experiment_stacks(wildcards):
    datasets = dict.fromkeys(c.dataset for c in curves(config, wildcards.experiment))
    return [f"{RESULTS}/{dataset}/stacks/stacks.json" for dataset in datasets]


def experiment_curves(wildcards):
    return canonical_json([c.as_dict() for c in curves(config, wildcards.experiment)])


# how the audit of a generator's images is called
RELEASE_PREFIX = {"samples": "", "filtered": "filtered_"}


def release_options(wildcards):
    """What a release says of itself; not which ones are made, nor what comes in as a file."""
    left_out = ("generators", "images", "weights", "utility", "salt_file")
    options = {k: v for k, v in config["release"].items() if k not in left_out}
    return canonical_json(options)


def released_weights(name):
    """A file of the generator that is needed to share its weights."""
    return f"{GENERATOR}/{name}" if config["release"]["weights"] else []


def release_arguments(wildcards, input):
    """The parts of a release that not everybody wants."""
    named = ("weights", "weights_audit", "weights_nearest", "weights_samples", "table")
    given = {name: input.get(name) for name in named if input.get(name)}
    words = [option(f"--{name.replace('_', '-')}", [given[name]]) for name in given]
    return sum(words, [])


def figure_examples(wildcards):
    """The example predictions of the first trainings of every setting of a dataset."""
    own = [s for s in GRID if s.dataset == wildcards.dataset]
    return [
        path for s in own for path in s.files(RESULTS, "example.png")[:FIGURE_REPEATS]
    ]


def figure_samples(name):
    """The file `name` of every generator of a dataset."""
    return expand(
        f"{DATASET}/generators/{{generator}}/{name}",
        generator=base_sources(config),
        allow_missing=True,
    )


# what there is where there are synthetic images
FIDELITY_TABLE = [f"{RESULTS}/tables/fidelity.csv"] if SOURCES else []
AUDITS = [
    f"{RESULTS}/{dataset}/generators/{generator}/{prefix}audit.json"
    for dataset, generator, prefix in audited(config)
]


def reader_options(keys):
    return canonical_json({key: config["reader_study"][key] for key in keys})


def reader_images(suffix):
    """The stack, or its manifest, of each generator in a reader study."""
    names = config["reader_study"]["generators"]
    return [f"{DATASET}/{file_of(name, suffix)}" for name in names]


# what there is where there is a reader study
READER_TABLES = reader_tables(config)
READERS = (
    [f"{RESULTS}/tables/{name}.csv" for name in READER_TABLES]
    if config["reader_study"]["generators"]
    else []
)
