"""Replaces copies: drops the images that the filter's detector flags, and draws further images of the same generator
until the count is full. The filter's detector knows fewer views than the detector that judges the result
(calibrate.py). Every image keeps its number, so that it can be drawn again."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from understudy.files.outside import read_rows, shortened
from understudy.stack import Stack, StackWriter
from understudy.stack.manifest import write_manifest

ROUND = 64  # images are drawn in multiples of it


def replacements(
    needed: int, drawn: int, flagged: int, most: int, judged: Callable[[range], np.ndarray]
) -> tuple[list[int], int]:
    """(numbers of the images that take the place of `needed` ones, how many images were drawn in all).

    Args:
        drawn, flagged: images that there are, and of these flagged. most: images that may be drawn in all.
        judged: numbers -> bool, whether each of these further images is flagged.
    Raises ValueError where `most` are not enough.
    """
    found: list[int] = []
    while len(found) < needed:
        share = min(flagged / drawn, 0.95)
        ask = ROUND * math.ceil((needed - len(found)) / (1 - share) / ROUND)
        numbers = range(drawn, min(drawn + ask, most))
        if not numbers:
            raise ValueError(
                f"audit.most_draws: of {drawn} images {flagged} are flagged, and {needed - len(found)} are still to be "
                "replaced; expected to find enough that are no copies. This generator memorizes: train it shorter, on "
                "more subjects or with augmentation, or allow more draws."
            )
        flags_N = judged(numbers)
        found += [number for number, flag in zip(numbers, flags_N, strict=True) if not flag]
        drawn, flagged = drawn + len(numbers), flagged + int(flags_N.sum())
    return found[:needed], drawn


def images_to_drop(path: str | Path, count: int) -> list[str]:
    """The names of the images that a filter drops by memorization.csv, `count` of them. Raises ValueError."""
    expected = "memorization.csv of audit_samples"
    rows = read_rows(path, ("image", "filter_drops"), expected)
    for line, row in rows:
        if row["filter_drops"] not in ("True", "False"):
            raise ValueError(
                f"{path}, line {line}: found filter_drops {shortened(row['filter_drops'])}, expected True or False in "
                f"{expected}"
            )
    found = [row["image"] for _, row in rows if row["filter_drops"] == "True"]
    if len(found) != count:
        raise ValueError(f"{path}: found {len(found)} images to drop, expected {count} as in the audit. Audit again.")
    return found


def write_filtered(
    output: str | Path,
    samples: Stack,
    dropped: Sequence[str],
    more: Sequence[tuple[str, Callable[[], bytes]]],
    about: dict,
) -> dict:
    """Writes the stack `output` of the samples that were not dropped and of `more` images (name, its PNG), and its
    manifest beside it, which is returned."""
    output, gone = Path(output), set(dropped)
    meta = {key: value for key, value in samples.meta.items() if key not in ("count", "format")}
    meta["source"] = {**meta["source"], "filtered": about}
    with StackWriter(output, meta) as writer:
        for i, name in enumerate(samples.names):
            if name not in gone:
                writer.add_png(name, samples.checked_png(i))
        for name, png in more:
            writer.add_png(name, png())
    return write_manifest(output, meta, count=len(samples) - len(gone) + len(more))
