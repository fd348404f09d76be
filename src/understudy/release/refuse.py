"""May these images be shared? Lists every reason against it at once; with any reason, the rule makes nothing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.files.atomic import read_json, sha256_of_file
from understudy.files.json_forms import WeightsManifest
from understudy.files.outside import read_json_as
from understudy.files.salt import FILE, SECRET
from understudy.stack.archive import DamagedImageError, Stack
from understudy.stack.lineage import UNKNOWN
from understudy.study.bids_names import bids_problem

from .about import About
from .anonymous import weights_metadata
from .audit_result import audit_problems, read_audit
from .verify.png_pixels import png_problem

_NAME = re.compile(r"[0-9]{6,}\.png")


@dataclass(frozen=True)
class Sources:
    """The files that a release is made from."""

    images: Path  # samples.zip or filtered.zip, with its manifest (.json) beside it
    audit: Path  # of exactly these images
    nearest: Path  # what the audit was made from
    train: Path  # stack of the training subjects: whose names must not occur, and how they were drawn
    test: Path
    training: Path  # weights.json: how long the generator was trained
    # audit, images, nearest -> why the audit is not what its files say, computed once more (audit.recheck)
    recheck: Callable[[Path, Path, Path], list[str]]
    # attack, weights -> why the attack says that the weights must stay, or is another one's
    recheck_attack: Callable[[Path, Path], list[str]]
    weights: Path | None = None  # None: not part of it
    weights_attack: Path | None = None  # weights_attack.json
    weights_audit: Path | None = None  # of the unfiltered samples of these weights
    weights_nearest: Path | None = None
    weights_samples: Path | None = None  # samples.zip, the stack of those samples
    table: Path | None = None  # dice.csv
    fidelity: Path | None = None  # fidelity.csv and annotation.csv of the generator
    annotation: Path | None = None


def refusals(sources: Sources, about: About, bids: bool = False) -> list[str]:
    """The reasons, a line each; empty: the release may be made, with a BIDS data set if asked for."""
    reasons = about.problems()
    try:
        audit = read_audit(sources.audit)
    except ValueError as error:
        reasons.append(str(error))
        audit = None
    try:
        stack = Stack.open(sources.images)
        training = read_json_as(WeightsManifest, sources.training, "weights.json of train_generator")
        stacks = {"train": Stack.open(sources.train), "test": Stack.open(sources.test)}
    except ValueError as error:
        return [*reasons, str(error)]
    if audit:
        found = audit_problems(sources.audit, audit, about.dataset, about.generator, stack.sha256)
        if audit["count"] != len(stack):
            found.append(f"{sources.audit}: found {audit['count']} images audited, expected all {len(stack)}")
        reasons += found or sources.recheck(sources.audit, sources.images, sources.nearest)
        reasons += split_refusals(stacks, audit)
    if training.get("failure"):
        reasons.append(f"{sources.training}: the training of the generator failed ({training['failure']})")
    reasons += origin_refusals(stack, sources.training, training)
    reasons += image_refusals(stack)
    if bids and (problem := bids_problem(stack.channels)):
        reasons.append(f"{stack.path}: {problem}. Set release.bids to null.")
    if sources.weights:
        reasons += weights_refusals(sources, about)
    return reasons


def origin_refusals(stack: Stack, path: Path, training: Mapping) -> list[str]:
    """Images whose maker, or whose subjects, nobody knows; `training` is what `path`, weights.json, says."""
    reasons, source = [], stack.meta["source"]
    beside = stack.path.with_suffix(".json")
    if not beside.is_file() or read_json(beside).get("sha256") != stack.sha256:
        reasons.append(
            f"{stack.path}: is not the file that {beside} describes: it changed after it was made. Make it again."
        )
    if source.get("lineage") == UNKNOWN or ("subjects" not in stack.meta and not stack.meta["lineage"]):
        reasons.append(
            f"{stack.path}: found images of unknown lineage, expected to know whom their generator has seen: no audit "
            "has compared them with these subjects."
        )
    elif source.get("weights_sha256") != training["sha256"] and "subjects" not in stack.meta:
        reasons.append(f"{stack.path}: was drawn from other weights than {path} has. Draw and audit samples again.")
    return reasons


def split_refusals(stacks: Mapping[str, Stack], audit: Mapping) -> list[str]:
    """Where outsiders could draw the training subjects themselves, or the audit was against others."""
    reasons = [
        f"{stack.path}: is another stack than the audit was made with. Audit the images again."
        for split, stack in stacks.items()
        if stack.sha256 != audit[f"{split}_sha256"]
    ]
    drawn = stacks["train"].meta["source"].get("drawn")
    if drawn not in (SECRET, FILE):
        found = "subjects that were drawn by the seed alone" if drawn else "no word on how its subjects were drawn"
        reasons.append(
            f"{stacks['train'].path}: found {found}, expected a secret draw or a split file: who has the list of "
            "subjects can draw the same training subjects. Set draw: secret for the data set, and run the study again."
        )
    return reasons


def image_refusals(stack: Stack) -> list[str]:
    """Names and bytes of images that tell more than pixels."""
    if "subjects" in stack.meta:
        return [f"{stack.path}: found images of real subjects, expected synthetic ones. These cannot be released."]
    reasons = []
    if wrong := [name for name in stack.names if not _NAME.fullmatch(name)]:
        reasons.append(
            f"{stack.path}: found {len(wrong)} names such as {wrong[0]!r}, expected numbers such as 000000.png: a name "
            "may say who it is. Rename the images and import them again."
        )
    problems = []
    channels, height, width = stack.shape_CHW
    for i, name in enumerate(stack.names):
        try:
            problem = png_problem(stack.checked_png(i), channels * height, width)
        except DamagedImageError as error:
            problem = str(error)
        if problem:
            problems.append(f"{name} {problem}")
    if problems:
        shown = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        reasons.append(
            f"{stack.path}: found {len(problems)} images that are not pixels alone ({shown}). Encode them anew."
        )
    return reasons


def weights_refusals(sources: Sources, about: About) -> list[str]:
    """Weights can draw again what a filter removed, and say how well they know an image: they go out only where their
    own samples passed unfiltered, and where an attack on them failed."""
    if sources.weights_attack is None:
        attacked = [f"{sources.weights}: found no attack on these weights, expected one (weights_attack.json)."]
    else:
        attacked = sources.recheck_attack(sources.weights_attack, sources.weights)
    return samples_refusals(sources, about) + attacked


def samples_refusals(sources: Sources, about: About) -> list[str]:
    """Of the images that these weights draw, before any filter."""
    path, samples, nearest = sources.weights_audit, sources.weights_samples, sources.weights_nearest
    if path is None or samples is None or nearest is None or not Path(samples).is_file():
        return [
            f"{sources.weights}: found no audit of the unfiltered samples of these weights, expected one (audit.json, "
            "samples.zip and nearest.safetensors). Audit them, or set release.weights to false."
        ]
    reasons = []
    try:
        metadata = weights_metadata(sources.weights)
        audit, drawn = read_audit(path), Stack.open(samples)
    except ValueError as error:
        return [str(error)]
    if strength := metadata["options"].get("guard"):
        reasons.append(
            f"{sources.weights}: found a guard of {strength:g}, expected none. Its samples were kept apart from the "
            "training images. Whoever has the weights draws without that, and no audit has seen such images: set "
            "release.weights to false to share images alone, or the guard to 0."
        )
    if drawn.meta["source"].get("weights_sha256") != sha256_of_file(sources.weights):
        reasons.append(f"{samples}: was drawn from other weights than {sources.weights}. Draw and audit samples again.")
    if metadata["generator"] != about.generator or metadata["dataset"] != about.dataset:
        found = f"{metadata['generator']} on {metadata['dataset']}"
        reasons.append(f"{sources.weights}: found {found}, expected {about.generator} on {about.dataset}")
    if metadata.get("training_sha256") != audit["train_sha256"]:
        reasons.append(f"{sources.weights}: was trained on another stack than its samples were compared with")
    if audit["filtered"]:
        reasons.append(f"{path}: is the audit of filtered images, expected that of all samples of the weights")
    if path == sources.audit and audit["samples_sha256"] == drawn.sha256:  # its problems are told already
        return reasons
    failed = audit_problems(path, audit, about.dataset, about.generator, drawn.sha256)
    failed = failed or sources.recheck(path, samples, nearest)
    hint = "The weights can draw again what a filter removed; set release.weights to false to share images alone."
    return reasons + [f"{reason.rstrip('.')}. {hint}" for reason in failed]
