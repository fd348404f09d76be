"""The rules of the workflow that made the images of a release, in their order, with their parameters."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,63}")
_SEED = "seed"  # with it, outsiders could draw the subjects of training again


@dataclass(frozen=True)
class Step:
    """A rule of the workflow, what it did, and what decided how; each value of a parameter is JSON."""

    rule: str
    what: str
    parameters: Mapping[str, str]


def steps(training: Mapping, audit: Mapping, images: int) -> list[Step]:
    """Of weights.json, of the public audit, and of the number of images."""
    trained = {**training.get("options", {}), "images_seen": training.get("images_seen")}
    found = [
        Step("train_generator", "trained the generator on images of patients", _public(trained)),
        Step("sample_generator", "drew the images", _public({"count": images})),
    ]
    if audit.get("filtered"):
        found.append(Step("filter_samples", "replaced flagged images", _public({"dropped": audit["dropped"]})))
    judged = {name: audit.get(name) for name in ("view", "variants", "false_positive_rate", "limit")}
    found.append(Step("audit_samples", "compared every image with every training image", _public(judged)))
    return found


def _public(parameters: Mapping) -> dict[str, str]:
    """Numbers, lists of numbers, and words without a path: others may have written what else there is."""
    return {name: json.dumps(value) for name, value in _parts(parameters) if name != _SEED and _is_plain(value)}


def _parts(parameters: Mapping) -> Iterator[tuple[str, object]]:
    yield from sorted((name, value) for name, value in parameters.items() if _WORD.fullmatch(name))


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return bool(_WORD.fullmatch(value))
    return isinstance(value, Real) or (isinstance(value, list) and all(isinstance(one, Real) for one in value))
