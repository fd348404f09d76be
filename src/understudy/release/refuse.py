"""May these images leave the house? Every reason why not, told at once; the rule makes nothing where there is one."""

import re
from dataclasses import dataclass
from pathlib import Path

from understudy.core.files import read_json, sha256_of_file
from understudy.core.stack import DamagedImageError, Stack

from .about import About
from .anonymous import weights_metadata
from .audit import audit_problems, read_audit
from .verify import png_problem

_NAME = re.compile(r"\d{6,}\.png")


@dataclass(frozen=True)
class Sources:
    """The files that a release is made from; None: not part of it."""

    images: Path  # samples.zip or filtered.zip, with its manifest (.json) beside it
    audit: Path  # of exactly these images
    manifest: Path | None = None  # stacks.json: whose names must not occur
    training: Path | None = None  # weights.json: how long the generator was trained
    weights: Path | None = None
    weights_audit: Path | None = None  # of the unfiltered samples of these weights
    weights_samples: Path | None = None  # samples.json, which says what was drawn from which weights
    table: Path | None = None  # dice.csv


def refusals(sources: Sources, about: About) -> list[str]:
    """The reasons, a line each; empty: the release may be made."""
    reasons = about.problems()
    try:
        audit = read_audit(sources.audit)
    except ValueError as error:
        reasons.append(str(error))
        audit = None
    try:
        stack = Stack.open(sources.images)
    except ValueError as error:
        return [*reasons, str(error)]
    sha256 = sha256_of_file(sources.images)
    if audit:
        reasons += audit_problems(sources.audit, audit, about.dataset, about.generator, sha256)
        if audit["count"] != len(stack):
            reasons.append(f"{sources.audit}: found {audit['count']} images audited, expected all {len(stack)}")
    beside = sources.images.with_suffix(".json")
    if not beside.is_file() or read_json(beside).get("sha256") != sha256:
        reasons.append(
            f"{sources.images}: is not the file that {beside} describes: it changed after it was made. Make it again."
        )
    reasons += image_refusals(stack)
    if sources.weights:
        reasons += weights_refusals(sources, about)
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
    for i, name in enumerate(stack.names):
        try:
            problem = png_problem(stack.checked_png(i))
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
    """Weights can draw again what a filter removed: they go out only where their own samples passed unfiltered."""
    path, samples = sources.weights_audit, sources.weights_samples
    if path is None or samples is None or not Path(samples).is_file():
        return [
            f"{sources.weights}: found no audit of the unfiltered samples of these weights, expected one (audit.json "
            "and samples.json). Audit them, or set release.weights to false."
        ]
    reasons = []
    try:
        metadata = weights_metadata(sources.weights)
        audit = read_audit(path)
    except (ValueError, FileNotFoundError) as error:
        return [str(error)]
    drawn = read_json(samples)
    if drawn["source"].get("weights_sha256") != sha256_of_file(sources.weights):
        reasons.append(f"{samples}: was drawn from other weights than {sources.weights}. Draw and audit samples again.")
    if metadata["generator"] != about.generator or metadata["dataset"] != about.dataset:
        found = f"{metadata['generator']} on {metadata['dataset']}"
        reasons.append(f"{sources.weights}: found {found}, expected {about.generator} on {about.dataset}")
    if audit.get("filtered"):
        reasons.append(f"{path}: is the audit of filtered images, expected that of all samples of the weights")
    if path == sources.audit:  # its problems are told already
        return reasons
    failed = audit_problems(path, audit, about.dataset, about.generator, drawn["sha256"])
    hint = "The weights can draw again what a filter removed; set release.weights to false to share images alone."
    return reasons + [f"{reason.rstrip('.')}. {hint}" for reason in failed]
