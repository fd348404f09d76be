"""`understudy audit IMAGES TRAIN`: are the images copies of the patients that their generator was trained on?

It takes the steps of the workflow's rules calibrate_audit, find_nearest and audit_samples, and writes their files. It
needs a third stack, of patients whom the generator has not seen (--test): from them the audit learns how near images of
different people are. Exit code 0: pass; 1: fail; 2: cannot say; 3: an error, nothing was judged; 75: interrupted, the
same command goes on.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from understudy.audit.chain import check_origin
from understudy.audit.run_searches import calibrate_audit, find_nearest
from understudy.audit.search_tasks import included, same_channels
from understudy.config.audit import Audit, unfit
from understudy.config.images import LABEL_CHANNEL
from understudy.config.reading import completed
from understudy.config.study import Study, config_argument
from understudy.files import escape
from understudy.release.privacy_questions import CANNOT_SAY, FAIL, PASS, would_be_missed
from understudy.run import machine
from understudy.run.command_line import named_os_errors
from understudy.stack import Stack
from understudy.stack.channel_folders import folders_named, import_folders
from understudy.stack.lineage import UNKNOWN, check_training_stacks

from .audit_files import Judging, audit_samples

EXIT_CODES = {PASS: 0, FAIL: 1, CANNOT_SAY: 2}
FILES = {
    "summary": "audit.json",
    "images": "memorization.csv",
    "subjects": "audit_subjects.csv",
    "privacy": "privacy.html",
    "figure": "memorization.png",
    "pairs": "pairs.png",
}
MEMORY_MB = 4000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, help="stack of synthetic images, or a folder with a folder per channel")
    parser.add_argument("train", type=Path, help="stack of the patients that their generator has seen")
    parser.add_argument("--test", type=Path, help="stack of patients that it has not seen (test.zip beside TRAIN)")
    parser.add_argument("--output", type=Path, default=Path("audit"), help="folder of the audit's files (%(default)s)")
    parser.add_argument("--config", help="a study's, for its section `audit` and its seed (the defaults)")
    parser.add_argument(
        "--channels", nargs="+", default=[], metavar="NAME=FOLDER", help="of a folder: where names differ from TRAIN's"
    )
    parser.add_argument("--memory-mb", type=float, default=MEMORY_MB, help="that a search may take (%(default)s)")
    machine.add_one_device_arguments(parser)


def command(arguments: argparse.Namespace) -> int:
    """The exit code. Raises ValueError."""
    with named_os_errors():
        stacks = _opened(arguments)
        summary = _audit(*stacks, arguments)
    for line in _told(summary, *stacks, arguments.output):
        print(escape.line(line))
    return EXIT_CODES[summary["verdict"]]


def audit_images(
    images: str | Path, train: str | Path, test: str | Path, output: str | Path, config: str | Path | None = None
) -> dict:
    """Audits synthetic images, writes the files of the audit into the folder `output`, and returns audit.json: its
    `verdict` is pass, fail or cannot say, and `reasons` says why.

    Args:
        images: a stack, or a folder with a folder of PNGs for each channel of `train`.
        train: stack of the subjects that their generator has seen.
        test: stack of subjects that it has not seen.
        config: of a study, whose section `audit` and seed count in place of the defaults.
    Raises:
        ValueError: a file is no stack, the stacks do not fit together, or real images are too few.
    """
    parser = argparse.ArgumentParser()
    add_options(parser)
    given = ["--test", test, "--output", output, *(["--config", config] if config else []), "--", images, train]
    arguments = parser.parse_args(list(map(str, given)))
    return _audit(*_opened(arguments), arguments)


def _opened(a: argparse.Namespace) -> tuple[Stack, Stack, Stack]:
    """(synthetic images, training stack, test stack), which fit together. Raises ValueError."""
    train = Stack.open(a.train)
    path = a.test or a.train.with_name("test.zip")
    if not path.exists():
        raise ValueError(
            f"{path}: found no such file, expected a stack of patients whom the generator has not seen. They show how "
            "near images of different people are; without them there is no verdict. Name it with --test."
        )
    test = Stack.open(path)
    samples = _stack_of(a, train)
    same_channels(samples, train)
    if train.channels[-1] != LABEL_CHANNEL:
        raise ValueError(f"{train.path}: found channel {train.channels[-1]} last, expected {LABEL_CHANNEL}.")
    included(test)
    check_training_stacks([train], test)
    check_origin(samples, train, test)
    return samples, train, test


def _stack_of(a: argparse.Namespace, train: Stack) -> Stack:
    """The synthetic images; those of a folder become a stack of the form of `train` in the output folder."""
    given = folders_named(a.channels)
    if not a.images.is_dir():
        if given:
            raise ValueError(
                f"--channels: found {a.images}, which is no folder; expected one with a folder per channel"
            )
        return Stack.open(a.images)
    if unknown := [name for name in given if name not in train.channels]:
        raise ValueError(f"--channels: found {', '.join(unknown)}, expected some of {', '.join(train.channels)}.")
    names = {name: given.get(name, name) for name in train.channels}
    stack = a.output / "images.zip"
    import_folders(a.images, names, train.meta["labels"], stack)
    return Stack.open(stack)


def _audit(samples: Stack, train: Stack, test: Stack, a: argparse.Namespace) -> dict:
    """audit.json, which is written with all other files."""
    audit, seed = _options(a.config, train.channels[:-1])
    where = _machine(a)
    real, calibration, nearest = (
        a.output / name for name in ("real.safetensors", "calibration.json", "nearest.safetensors")
    )
    calibrate_audit(train, test, audit, seed, where, real, calibration)
    find_nearest(samples, train, test, audit, where, nearest)
    source = samples.meta["source"]
    names = {
        "dataset": train.meta["source"].get("dataset", "patients"),
        "generator": source.get("generator", "images"),
        "filtered": "filtered" in source,
    }
    of = Judging(samples, train, test, nearest, calibration, real, audit)
    return audit_samples(of, names, {name: a.output / file for name, file in FILES.items()})


def _machine(a: argparse.Namespace) -> argparse.Namespace:
    """What the searches are told: one device, no time budget, run directories in the output folder."""
    parser = argparse.ArgumentParser()
    machine.add_machine_arguments(parser)
    words = ["--runs", a.output / "runs", "--device", a.device, "--threads", a.threads]
    return parser.parse_args(list(map(str, words)), argparse.Namespace(memory_mb=a.memory_mb))


def _options(config: str | None, modalities: Sequence[str]) -> tuple[dict, int]:
    """(section `audit`, seed) of a config, or the defaults. Raises ValueError where images are of other modalities."""
    if config:
        study = config_argument(config)
        audit, seed = study["audit"], study["seed"]
    else:
        audit, seed = completed({}, Audit()), Study.model_fields["seed"].default
        if audit["channel"] not in modalities:  # of pictures and mutual information alone
            audit["channel"] = modalities[-1]
    if problems := [f"{place}: {text}" for place, text in unfit(audit, modalities)]:
        raise ValueError("\n".join(problems))
    return audit, seed


def _told(summary: Mapping, samples: Stack, train: Stack, test: Stack, output: Path) -> Iterator[str]:
    count, flagged, copies = summary["count"], summary["memorized"]["count"], summary["copies"]["count"]
    yield f"verdict: {summary['verdict']}"
    yield from (f"- {reason}" for reason in summary["reasons"])
    yield f"{flagged} of {count} images are flagged as near to a training patient, {copies} of these as copies"
    yield would_be_missed(summary)
    if samples.meta["source"].get("lineage") == UNKNOWN:
        yield f"taken as said: their generator has seen the patients of {train.path}, and none of {test.path}"
    yield f"{output}: audit.json, pairs.png and more; pairs.png shows patients: do not share it"
