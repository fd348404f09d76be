"""The two searches of an audit, each from opened stacks to its file: what the rules run, and `understudy audit`.

A stopped search continues where it was. `machine`: the arguments of run.machine.add_machine_arguments, and `memory_mb`
that a search may take.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from understudy.files.atomic import sha256_of_file, write_json
from understudy.stack import Stack

from .calibrate import calibrate
from .chain import check_origin
from .resumable_search import search_all
from .search_tasks import calibration_tasks, generator_tasks, write_found

THREADS = 4  # that decode images, where nothing is said


def calibrate_audit(
    train: Stack, test: Stack, audit: Mapping, seed: int, machine: argparse.Namespace, real: Path, calibration: Path
) -> None:
    """Writes `real`, what real and planted images found, and `calibration`, calibration.json."""
    found = search_all(calibration_tasks(train, test, audit, seed, machine.threads or THREADS), machine)
    about = {"train_sha256": train.sha256, "test_sha256": test.sha256}
    write_found(real, found, {**about, "options": audit})
    write_json(calibration, calibrate(found, train, test, audit) | about | {"real_sha256": sha256_of_file(real)})


def find_nearest(
    samples: Stack, train: Stack, test: Stack, audit: Mapping, machine: argparse.Namespace, nearest: Path
) -> None:
    """Writes `nearest`, what the samples found. Raises ValueError where they are of other subjects than `train`."""
    check_origin(samples, train, test)
    found = search_all(generator_tasks(samples, train, test, audit, machine.threads or THREADS), machine)
    stacks = {"samples": samples, "train": train, "test": test}
    write_found(nearest, found, {**{f"{name}_sha256": s.sha256 for name, s in stacks.items()}, "options": audit})
