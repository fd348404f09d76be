"""A whole config: its sections, what is wrong with one, and one with every default filled in.

A config is complete in itself: what it does not say has the default of its block, nothing is merged from another file.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from understudy.files.outside import json_value

from . import (
    audit,
    datasets,
    evaluation,
    experiments,
    images,
    imports,
    models,
    nnunet_limits,
    paths,
    reader_study,
    release,
)
from .audit import Audit
from .config_file import dates_as_text, invisible_texts, unbounded
from .config_file import load_yaml as load_yaml  # part of this module for its readers
from .datasets import Dataset, Name
from .evaluation import Evaluation
from .experiments import Experiments
from .exports import Exports
from .fields import Block, File, Folder, Problem, Whole, key, section
from .images import Images
from .imports import Import
from .reader_study import ReaderStudy
from .reading import completed, read_block
from .release import Release
from .tracking import Tracking

REHEARSAL = (
    "This is a rehearsal, not a result: small images, small networks and few repeats, to see that everything runs."
)
RULES = (images, datasets, experiments, audit, evaluation, release, reader_study, imports, nnunet_limits)


class Samples(Block):
    """Synthetic images."""

    count: Whole = key(100000, "images sampled from each generator")


class Report(Block):
    """The page results/report.html (docs/evaluation.md)."""

    shareable: bool = key(
        False,
        "false: the page shows images of patients and must not be shared. true: charts and tables only, "
        "without real or synthetic images and without names of subjects or readers",
        remark="true: charts and tables only, no image of a head, no names: docs/evaluation.md",
    )


class Study(Block):
    """What a config may say. The options of models are read by the blocks of their names (models.py)."""

    sections_last: ClassVar[bool] = False

    results: File = key("results", "folder of all results", min_length=1)
    runs: File = key("runs", "folder of unfinished trainings, from which a failed job resumes", min_length=1)
    tracking: Tracking = key(
        "none",
        "tensorboard, mlflow: every training also writes its losses, pace, memorization and samples, for "
        "TensorBoard into its run directory, for MLflow into {runs}/mlruns. Changing this retrains nothing "
        "(docs/tracking.md)",
        remark="tensorboard, mlflow: docs/tracking.md",
    )
    seed: int = key(1, "random seed of splits, weights, order and noise", ge=0)
    rehearsal: bool = key(
        False,
        "true: the study is too small for a result, as `understudy init --quick` writes it. The page and "
        "the tables say so at the top, and nothing is released",
        remark="true: page and tables say that this is not a result; nothing is released",
    )
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)] = key(
        meaning="name -> where its subjects are and how they are split"
    )
    images: Images = section(Images, "how volumes become slices (published study, section 2 of its methods)")
    generators: dict[str, dict[str, object]] = key(
        {},
        "generators to train on the real images, by name; options that are left out have their defaults",
    )
    imports: dict[Folder, Import] = key(
        {},
        "synthetic images from elsewhere, under a name of your choice (docs/audit.md)",
        remark="images from elsewhere, to audit and use: {theirs: {stack: theirs.zip, trained_on: train}}",
    )
    samples: Samples = section(Samples, "synthetic images")
    segmenters: Annotated[dict[Folder, dict[str, object]], Field(min_length=1)] = key(
        {"unet": {}, "swin": {}},
        "networks to train on each training set, by name: unet, swin, dynunet, or nnunet for nnU-Net itself "
        "(docs/nnunet.md). Any other name is a network of MMSegmentation, described by its `model`",
    )
    experiments: Experiments = section(Experiments, "the grid of trainings, for each dataset and segmenter")
    audit: Audit = section(Audit, "the search for synthetic images that are copies of training images (docs/audit.md)")
    evaluation: Evaluation = section(Evaluation, "how test volumes are scored and averaged")
    exports: Exports = section(
        Exports, "training sets as folders for nnU-Net, which `snakemake exports` writes (docs/nnunet.md)"
    )
    report: Report = section(Report, "the page results/report.html (docs/evaluation.md)")
    release: Release = section(Release, "what may be shared, and in whose name (docs/release.md)")
    reader_study: ReaderStudy = section(
        ReaderStudy, "the test whether people can tell synthetic images from real ones (docs/reader-study.md)"
    )


def config_parser(about: str | None) -> argparse.ArgumentParser:
    """Of a program that reads of a study what `config_argument` understands."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--config", required=True, help="of a study: results/config.yaml, or its parts as JSON")
    return parser


def config_argument(text: str) -> dict:
    """A config on a command line: the name of a file, or JSON, where a rule hands on the parts that its script needs.
    Raises ValueError."""
    return json_value(text) if text.startswith("{") else complete(load_yaml(text))


def complete(config: Mapping, root: str | Path = ".") -> dict:
    """The config with every default filled in.

    Args:
        root: folder that relative paths in the config start from (the working directory of Snakemake).
    Raises:
        ValueError: one line per problem: key, found, allowed, the nearest known key.
    """
    if problem := unbounded(config):
        raise ValueError(f"config: found {problem}")
    config, root = dates_as_text(dict(config)), Path(root)
    study, problems = read_block(Study, config)
    filled = config if study is None else completed(config, study)
    asked = list(models.listed(filled))
    blocks, wrong = models.read(asked)
    problems += [*wrong, *models.unknown_generators(filled)]
    texts = [(Study, models.without_models(config), ""), *((model.kind, model.given, model.place) for model in asked)]
    for kind, given, place in texts:
        problems += [*invisible_texts(kind, given, place), *paths.problems(kind, given, place)]
    if not problems:
        for model, block in blocks.items():
            filled[model.part][model.name] = completed(model.given, block)
        if "regions" not in config.get("evaluation", {}):
            evaluation.drop_unknown_regions(filled)
        problems = [*impossible(filled, root), *models.impossible(blocks, filled["images"]["size"], root)]
    if problems:
        raise ValueError("\n".join(f"config, {place or 'top level'}: {text}" for place, text in sorted(problems)))
    return filled


def impossible(config: Mapping, root: Path) -> Iterator[Problem]:
    """Combinations that are well-formed and cannot work."""
    for part in RULES:
        yield from part.problems(config, root)
