"""A release does not trust audit.json: it computes the verdict again from the results of the searches."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
import torch

from understudy.files.atomic import sha256_of_file
from understudy.files.json_forms import Audit, Calibration, Nearest, RealImages, WeightsAttack
from understudy.files.outside import read_json_as
from understudy.stack import Stack

from .calibrate import calibrate
from .chain import check_calibration, check_found, check_origin
from .forms import PLAIN
from .resumable_search import Task
from .search import Found, Images, sizes
from .search_tasks import read_found
from .verdict import summary_of
from .views import TOLERANCE, VARIANTS, views_of
from .weights_attack import problem as weights_problem

LEARNED = ("views", "detector", "filter", "false_alarms", "recall", "same_person")  # of a calibration
AGAIN = 64  # images that are searched again: of copies in one of ten images, all are missed with probability 0.001
_SAME = 1e-6  # of correlations from sums of integers
_SAME_IN_FORM = 0.01  # two machines may round a pixel of a form differently
_MEMORY_BYTES = 2e9
_OF = {"r": "the nearest training image", "other_r": "the next training subject", "crowd_r": "the training subjects"}
_CLOSE = 1e-9  # of numbers that two machines compute


@dataclass(frozen=True)
class Evidence:
    """The files that audits of a data set were made from. `audit`: the section of the config."""

    train: Path
    test: Path
    real: Path
    calibration: Path
    audit: Mapping

    def problems(self, path: Path, images: Path, nearest: Path) -> list[str]:
        """Why `path` is not the audit of the stack `images`, a line each: a link of the chain that does not hold, or a
        number that is not what the searches say."""
        try:
            told = read_json_as(Audit, path, "an audit. Audit the images again")
            summary = self.summary(images, nearest, told)
        except ValueError as error:
            return [str(error)]
        wrong = [key for key in summary if not _alike(summary[key], told.get(key))]
        return [
            f"{path}: found {key} {told.get(key)}, and the searches say {summary[key]}: the file was changed. "
            "Audit the images again."
            for key in wrong
        ]

    def attack_problems(self, path: Path, weights: Path) -> list[str]:
        """Why weights must stay, by the attack on them; or why it is no attack on them."""
        try:
            told = read_json_as(WeightsAttack, path, "an attack on weights. Attack them again")
        except ValueError as error:
            return [str(error)]
        made_from = {"weights": weights, "train": self.train, "test": self.test}
        for name, of in made_from.items():
            if told[f"{name}_sha256"] != sha256_of_file(of):
                return [f"{path}: found another SHA-256 of {name} than that of {of}. Attack the weights again."]
        found = weights_problem(told, self.audit["membership_limit"])
        return [f"{path}: {found}. Set release.weights to false to share images alone."] if found else []

    def summary(self, images: Path, nearest: Path, told: Mapping) -> dict:
        """The audit of `images` as its files give it. Raises ValueError where they do not belong together."""
        samples, train, test = (Stack.open(path) for path in (images, self.train, self.test))
        check_origin(samples, train, test)
        found, about = read_found(nearest, Nearest)
        check_found(about, nearest, samples, train, test, self.audit)
        null, of_real = read_found(self.real, RealImages)
        check_found(of_real, self.real, None, train, test, self.audit)
        calibration = read_json_as(Calibration, self.calibration, "a calibration. Calibrate again")
        check_calibration(calibration, self.calibration, train, test, self.real, self.audit)
        again = calibrate(null, train, test, self.audit)
        if not all(_alike(again[key], calibration[key]) for key in LEARNED):
            raise ValueError(
                f"{self.calibration}: found other thresholds than {self.real} gives: the file was changed. "
                "Calibrate again."
            )
        _search_again(samples, train, found, self.audit)
        carried = {key: told[key] for key in ("dataset", "generator", "filtered", "images_sha256")}
        made_from = chain_of(samples, train, test, nearest, self.calibration)
        return summary_of(samples, train, test, found, null, calibration, self.audit, carried | made_from)


def _search_again(samples: Stack, train: Stack, found: Mapping[str, Found], audit: Mapping) -> None:
    """Searches some images once more, which nobody can foresee. Raises ValueError where they find something else than
    the file says: a hash ties it to the images only as far as its writer is honest."""
    count = min(AGAIN, len(samples))
    places = sorted(random.SystemRandom().sample(range(len(samples)), count))
    for view in views_of(audit["views"], train.channels):
        told, form = found[f"{view.name}/train"], view.form
        how = {"variants": audit["variants"], "k": told.index.shape[1]}
        task = Task(Images.of(samples, places).form(form), Images.of(train).form(form), view, **how)
        _, block = sizes(view, task.references.shape, len(VARIANTS[audit["variants"]]), _MEMORY_BYTES, 4)
        again = task.search(range(count), torch.device("cpu"), block)
        for what, rounded in (("r", 0), ("other_r", 0), ("crowd_r", 2 * TOLERANCE[torch.bfloat16])):
            here_N, told_N = (_nearest_of(getattr(one, what)) for one in (again, told.rows(places)))
            close = _SAME_IN_FORM if form != PLAIN else max(_SAME, rounded)
            wrong = np.flatnonzero(~np.isclose(here_N, told_N, rtol=0, atol=close))
            if len(wrong):
                raise ValueError(
                    f"{samples.path}, {samples.names[places[wrong[0]]]}: found correlation {here_N[wrong[0]]:.6f} with "
                    f"{_OF[what]} in view {view.name}, expected {told_N[wrong[0]]:.6f} as in the search: its file is "
                    "of other images, or was changed. Run the audit again from its first step."
                )


def _nearest_of(r: np.ndarray) -> np.ndarray:
    """(N,) of (N, k), the best first, or (N,)."""
    return r[:, 0] if r.ndim == 2 else r


def chain_of(samples: Stack, train: Stack, test: Stack, nearest: Path, calibration: Path) -> dict[str, str]:
    """The links that an audit.json has to its files."""
    return {
        "samples_sha256": samples.sha256,
        "train_sha256": train.sha256,
        "test_sha256": test.sha256,
        "nearest_sha256": sha256_of_file(nearest),
        "calibration_sha256": sha256_of_file(calibration),
    }


def _alike(a: object, b: object) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, Real) and isinstance(b, Real) and not isinstance(a, bool):
        return abs(a - b) <= _CLOSE * max(1, abs(a))
    return a == b
