"""`understudy release`: makes the folders of a finished study that may be shared, or says every reason why not.

One for each data set and each generator of `release.generators`, or those that are named. docs/release.md says what is
in them.
"""

import argparse
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from understudy.audit.recheck import Evidence
from understudy.config.study import complete, load_yaml
from understudy.generate.weights import load_generator
from understudy.release.about import About
from understudy.release.bundle import make_release
from understudy.release.refuse import Sources
from understudy.run.command_line import named_os_errors
from understudy.study.release_files import release_files, release_folder, release_options, salt_file

EVIDENCE = ("train", "test", "real", "calibration")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generators", nargs="*", metavar="generator", help="default: release.generators of the config")
    parser.add_argument(
        "--config", type=Path, default=Path("results/config.yaml"), help="that of the study; default %(default)s"
    )


def command(arguments: argparse.Namespace) -> None:
    """Raises ValueError with the reasons of all releases that are refused; the others are made."""
    config, refused = complete(load_yaml(arguments.config)), []
    generators = arguments.generators or config["release"]["generators"]
    if unknown := [name for name in generators if name not in config["generators"]]:
        raise ValueError(f"found {', '.join(unknown)}, expected some of {', '.join(config['generators'])}.")
    if not generators:
        raise ValueError("found no generator to release; name one, or set release.generators of the config.")
    for dataset, generator in product(config["datasets"], generators):
        about = dataset, generator, release_options(config)
        files = {name: Path(path) for name, path in release_files(config, dataset, generator).items()}
        output = Path(release_folder(config, dataset, generator))
        try:
            release(*about, files, config["audit"], Path(salt_file(config)), output)
        except ValueError as error:
            refused.append(str(error))
    if refused:
        raise ValueError("\n".join(refused))


def release(
    dataset: str,
    generator: str,
    options: Mapping,
    files: Mapping[str, Path],
    audit: Mapping,
    salt: Path,
    output: Path,
) -> None:
    """Makes one folder and tells of it.

    Args:
        options: what the release says of itself, of the section `release`.
        files: what study.release_files names.
        audit: the section `audit`.
    Raises:
        ValueError: the release is refused, with every reason; nothing is written.
    """
    evidence = Evidence(**{name: files[name] for name in EVIDENCE}, audit=audit)
    made_from = {name: path for name, path in files.items() if name not in ("real", "calibration")}
    sources = Sources(**made_from, recheck=evidence.problems, recheck_attack=evidence.attack_problems)
    with named_os_errors():
        if weights := files.get("weights"):  # a tensor or an option that its network does not have could say anything
            load_generator(weights)
        about = About.of(dataset, generator, options)
        made = make_release(sources, about, output, salt, options.get("folders", False), options.get("bids"))
    print(f"{len(made)} files: {output}. The receiver checks them with: python verify.py")
