# What several rule files share: the validated config, where things are, words of commands. No rules.
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def project_folder(rules):
    """Where library and scripts lie: beside the rules. Used from a repository, as the workflow catalog has it, rules
    are all that Snakemake fetches; then the project of that commit is unpacked, once, below .snakemake.
    """
    if not hasattr(rules, "ref"):
        return Path(str(rules)).parent
    local = hasattr(rules, "repo_path")
    git = ["git", "-C", rules.repo_path if local else rules.hosted_repo.repo.git_dir]
    commit = subprocess.check_output([*git, "rev-parse", f"{rules.ref}^{{commit}}"])
    folder = Path(".snakemake/understudy", commit.decode().strip()).absolute()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        content = subprocess.check_output([*git, "archive", commit.decode().strip()])
        with tempfile.TemporaryDirectory(dir=folder.parent) as unpacked:
            tarfile.open(fileobj=io.BytesIO(content)).extractall(unpacked)
            os.replace(unpacked, folder)
            os.mkdir(unpacked)  # for its removal
    return folder


ROOT = project_folder(workflow.current_basedir)
sys.path.insert(0, str(ROOT / "src"))
# Jobs find both, whatever the working directory, also in an environment that has nothing but what the library needs.
# The prefix of another workflow that uses this one as a module is kept.
os.environ.update(UNDERSTUDY=str(ROOT))
PREFIX = shell._process_prefix or "set -euo pipefail; "
PREFIX += 'export PYTHONPATH="$UNDERSTUDY/src${PYTHONPATH:+:$PYTHONPATH}"; '
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))

from snakemake.exceptions import WorkflowError

from understudy.config.study import REHEARSAL, complete, load_yaml
from understudy.files.atomic import canonical_json
from understudy.study.experiment_registry import experiments
from understudy.study.grid import NNUNET, accepted, all_training_sets, ensembles, grid
from understudy.study.grid import models, sampled, settings, sites_met, sources
from understudy.study.grid import timed_models
from understudy.study.looks import after_looks, external_after_looks, look_file
from understudy.study.looks import audit_files, looks_of, made_sources, primary_settings
from understudy.study.release_files import salt_file
from understudy.study.result_paths import generator_folder, stacks_folder
from understudy.prepare.splits import check_sites, check_split_file
from understudy.report.registry import made_by

try:
    config = complete(config)
    for name, options in config["datasets"].items():
        check_split_file(name, options)
    check_sites(config["datasets"], sites_met(config))
except ValueError as error:
    raise WorkflowError(str(error)) from None


def results_folder(wildcards):
    return config["results"]


def in_results(path):
    return f"{config['results']}/{path}"


def in_runs(path):
    return f"{config['runs']}/{path}"


def in_logs(path):
    return in_results(f"logs/{path}")


def in_benchmarks(path):
    return in_results(f"benchmarks/{path}")


def in_dataset(path):
    return in_results(f"{{dataset}}/{path}")


def in_stacks(path):
    return f"{stacks_folder(config['results'], '{dataset}')}/{path}"


def in_generator(path):
    return f"{generator_folder(config['results'], '{dataset}', '{generator}')}/{path}"


STUDY = in_results("config.yaml")  # what was asked for, defaults included
SALT = salt_file(config)
REHEARSED = ["--rehearsal"] * config["rehearsal"]  # for tables made without a config
SETTINGS = settings(config)  # all that is trained
GRID = list(grid(config))  # of these, what the main tables hold
LOOKS = looks_of(config)  # repeats at each look; one look where they are fixed
SOURCES = sources(config)  # of synthetic images: generators, imports, more trainings
EXPERIMENTS = experiments(config)
# the options of generators/{generator} and segmenters/{segmenter}/{augmentation}: hundreds of jobs share a text
MODELS = {model: canonical_json(options) for model, options in models(config).items()}
# The end of a command whose work goes on where it was stopped, and before it, of one that computes on a device.
DEVICE = (
    " --gpus {resources.gpu:q} --device {resources.device:q} --threads {threads:q}"
    " > {log:q} 2>&1"
)
RESUMABLE = (
    " --runs {params.runs:q} --budget-min {resources.runtime:q}"
    " --checkpoint-min {resources.checkpoint_min:q} --on-budget {resources.on_budget:q}"
) + DEVICE
TRACKED = " --tracking {resources.tracking:q} --mlflow-store {params.mlflow:q}"


def one_of(names):
    return "|".join(map(re.escape, names)) or "none"


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    generator=one_of(sampled(config)),
    ensemble=one_of(ensembles(config)),
    experiment=one_of(EXPERIMENTS),
    imported=one_of(accepted(config)),
    control=one_of(config["experiments"]["controls"]),
    segmenter=one_of(config["segmenters"]),
    training_set=one_of(all_training_sets(config)),
    augmentation=one_of(config["experiments"]["augmentations"]),
    repeat=r"[1-9]\d*",
    networks=r"[1-9]\d*",
    external=one_of(config["evaluation"]["external"]),
    prefix="|filtered_",


def option(name, values):
    """The words of an option, one for each value, so that `:q` quotes each; none where there is no value."""
    return [name, *map(str, values)] if values else []


def files_of(name, settings):
    """The file `name` of every training of the settings."""
    files = (setting.files(config["results"], name) for setting in settings)
    return list(dict.fromkeys(path for paths in files for path in paths))


def look_first(until=len(LOOKS)):
    """The looks before look `until` are made before anything else is known."""
    for look in range(1, until):
        checkpoints.decide_look.get(look=look)


def with_looks(settings, until=len(LOOKS)):
    """The settings with the repeats that looks before look `until` ask for."""
    look_first(until)
    return after_looks(settings, config, until)


def every(name, settings=SETTINGS):
    """The file `name` of every training of the settings that is wanted."""
    if len(LOOKS) == 1:
        return files_of(name, settings)
    return lambda wildcards: files_of(name, with_looks(settings))


def table_file(table):
    """The CSV of a table; Markdown and LaTeX, for people, lie beside it and are no outputs."""
    return in_results(f"tables/{table.name}.csv")


def tables_made_by(name, caption="tables"):
    """The outputs of a rule that makes tables, each with its title in Snakemake's report."""
    about = {"caption": f"../workflow/report/{caption}.rst", "category": "Tables"}
    titled = {table_file(t): {"table": t.title} for t in made_by(name, config)}
    return [report(file, labels=label, **about) for file, label in titled.items()]


NAMED = {
    "results": config["results"],
    "runs": config["runs"],
    "rehearsal": config["rehearsal"],
    "datasets": {
        name: {"published": dataset["published"]}
        for name, dataset in config["datasets"].items()
    },
    "generators": dict.fromkeys(config["generators"], {}),
    "imports": {
        name: {key: one[key] for key in ("trained_on", "refused")}
        for name, one in config["imports"].items()
    },
}
EXPERIMENTS_ASKED = {
    "segmenters": dict.fromkeys(config["segmenters"], {}),
    "experiments": config["experiments"],
}


def asked(**more):
    """The parts of the config that say which trainings there are and how scores count, for a command: JSON, in the
    order of the keys, which is that of tables. Options of models are no part of it."""
    evaluation = {k: v for k, v in config["evaluation"].items() if k != "fidelity"}
    return json.dumps(NAMED | EXPERIMENTS_ASKED | {"evaluation": evaluation} | more)
