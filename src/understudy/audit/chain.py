"""An audit holds for certain bytes: the samples, the stacks of their generator's subjects, and the results of a search.

Every artefact carries the SHA-256 of its inputs, computed from the bytes that were read. Code that joins two artefacts
compares them here, so an audit cannot be taken for the audit of other images, other patients or other thresholds.
"""

from collections.abc import Mapping
from pathlib import Path

from understudy.config.audit import CALIBRATED, SEARCH
from understudy.files.atomic import sha256_of_file
from understudy.files.json_forms import StackManifest
from understudy.files.outside import read_json_as
from understudy.stack import Stack
from understudy.stack.lineage import UNKNOWN


def check_manifest(stack: Stack) -> None:
    """Raises ValueError where the manifest beside a stack, which Snakemake watches, describes another file."""
    path = stack.path.with_suffix(".json")
    told = read_json_as(StackManifest, path, "the manifest of a stack. Make the stack again")["sha256"]
    if told != stack.sha256:
        raise ValueError(
            f"{stack.path}: found SHA-256 {stack.sha256[:16]}..., expected {told[:16]}... as in {path}: one of the two "
            "is another one's. Make the stack again."
        )


def check_origin(samples: Stack, train: Stack, test: Stack) -> None:
    """Raises ValueError where the images are of a generator that was trained on another stack than `train`, or has seen
    subjects of `test`. Nobody knows who is behind an import of unknown lineage: it is compared as it is."""
    lineage, source = set(samples.meta["lineage"]), samples.meta["source"]
    if source.get("lineage") == UNKNOWN:
        return
    if (trained := source.get("training_sha256")) != train.sha256:
        found = f"SHA-256 {trained[:16]}..." if trained else "nothing said"
        raise ValueError(
            f"{samples.path}: found {found} of the stack that its generator was trained on, expected "
            f"{train.sha256[:16]}... of {train.path}. Audit against the training images of the generator."
        )
    if not lineage or not lineage <= set(train.meta["lineage"]):
        raise ValueError(
            f"{samples.path}: found {len(lineage - set(train.meta['lineage']))} of {len(lineage)} subjects behind it "
            f"that {train.path} does not have. Audit against the training images of the generator."
        )
    if shared := lineage & set(test.meta["lineage"]):
        raise ValueError(
            f"{samples.path}: found {len(shared)} subjects behind it that are in {test.path}, expected none. "
            "Correct the split."
        )


def check_calibration(calibration: Mapping, path: Path, train: Stack, test: Stack, real: Path, audit: Mapping) -> None:
    """Raises ValueError where thresholds are those of other images, or of other options."""
    _same(path, "the training stack", calibration["train_sha256"], train.sha256, train.path)
    _same(path, "the test stack", calibration["test_sha256"], test.sha256, test.path)
    _same(path, "what real images found", calibration["real_sha256"], sha256_of_file(real), real)
    _same_options(path, calibration["options"], audit, CALIBRATED)


def check_found(about: Mapping, path: Path, samples: Stack | None, train: Stack, test: Stack, audit: Mapping) -> None:
    """Raises ValueError where a search was one for other images, among others, or in another way. `samples`: None of
    real images."""
    if samples is not None:
        _same(path, "the samples", about["samples_sha256"], samples.sha256, samples.path)
    _same(path, "the training stack", about["train_sha256"], train.sha256, train.path)
    _same(path, "the test stack", about["test_sha256"], test.sha256, test.path)
    _same_options(path, about["options"], audit, SEARCH)


def check_audited(
    summary: Mapping, path: Path, samples: Stack, train: Stack, calibration: Path, images: Path | None = None
) -> None:
    """Raises ValueError where an audit.json is not that of these samples, or of this list of its images."""
    _same(path, "the samples", summary["samples_sha256"], samples.sha256, samples.path)
    _same(path, "the training stack", summary["train_sha256"], train.sha256, train.path)
    _same(path, "the calibration", summary["calibration_sha256"], sha256_of_file(calibration), calibration)
    if images is not None:
        _same(path, "the list of images", summary["images_sha256"], sha256_of_file(images), images)


def check_weights(samples: Stack, weights: Path) -> None:
    """Raises ValueError where samples were drawn from other weights."""
    source = samples.meta["source"]
    _same(samples.path, "the weights", source.get("weights_sha256"), sha256_of_file(weights), weights)
    if source.get("seed") is None:
        raise ValueError(f"{samples.path}: found no seed of the sampling, expected one. Sample the generator again.")


def _same(path: Path, what: str, found: str | None, expected: str, of: Path) -> None:
    if found != expected:
        shown = f"{found[:16]}..." if found else "none"
        raise ValueError(
            f"{path}: found SHA-256 {shown} of {what} that it was made from, expected {expected[:16]}... of {of}. "
            "Run the audit again from its first step."
        )


def _same_options(path: Path, found: Mapping, expected: Mapping, keys: tuple[str, ...]) -> None:
    if different := [key for key in keys if found.get(key) != expected.get(key)]:
        key = different[0]
        raise ValueError(
            f"{path}: found audit.{key} {found.get(key)}, expected {expected.get(key)} as in the config. Run the audit "
            "again from its first step."
        )
