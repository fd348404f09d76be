"""Who has been seen: no subject of a test set may be behind any image that a network learns from.

Every stack lists the identities (hashes) of the subjects behind it; that of a generator's samples lists the subjects
that the generator was trained on. An identity is a patient, whatever the patient is called in a dataset.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from .archive import Stack

UNKNOWN = "unknown"  # source.lineage of a stack that was imported without saying who is behind it


def check_training_stacks(training: Iterable[Stack], test: Stack) -> None:
    """Raises ValueError where a training stack has seen a test subject, or may have, or does not fit the test stack."""
    for stack in training:
        if stack.meta["source"].get("lineage") == UNKNOWN:
            raise ValueError(
                f"{stack.path}: found images of unknown lineage, expected to know whose they are. Import them "
                "again with --lineage and the stack that their generator was trained on."
            )
        _refuse_seen(stack.path, stack.meta["lineage"], test)
        for key in ("channels", "labels", "height", "width"):
            if stack.meta[key] != test.meta[key]:
                raise ValueError(
                    f"{stack.path}: found {key} {stack.meta[key]}, expected {test.meta[key]} as in {test.path}. "
                    "Both must be made with the same `images` section of the config."
                )


def check_trained_network(path: str | Path, about: Mapping, test: Stack) -> None:
    """Raises ValueError where a published network has seen a test subject, or does not fit the test stack.

    Args:
        about: the metadata of its weights: lineage, labels, channels, size.
    """
    _refuse_seen(path, about["lineage"], test)
    expected = {"labels": test.meta["labels"], "channels": len(test.channels) - 1, "size": test.meta["height"]}
    for key, value in expected.items():
        if about.get(key) != value:
            raise ValueError(
                f"{path}: found a network of {key} {about.get(key)}, expected {value} as in {test.path}. Both must be "
                "made with the same `images` section of the config."
            )


def _refuse_seen(path: object, lineage: Iterable[str], test: Stack) -> None:
    names = {subject["identity"]: name for name, subject in test.meta["subjects"].items()}
    if shared := sorted(names[identity] for identity in names.keys() & set(lineage)):
        shown = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        raise ValueError(
            f"{path}: has seen {len(shared)} test subjects of {test.path} ({shown}), expected none. "
            "Scores on them would mean nothing; correct the split, or the identities file of the datasets."
        )
