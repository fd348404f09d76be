"""`imports`: synthetic images from elsewhere."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from understudy.study.sources import MADE_CONTROLS, RESERVED

from .fields import Block, File, Problem, key


class Import(Block):
    """Synthetic images from elsewhere, used like a generator's samples."""

    stack: File = key(meaning="file; scripts/convert_stack.py makes one of a folder per channel")
    trained_on: Literal["train", "unknown"] = key(
        "unknown",
        "which subjects their generator has seen. train: the training subjects of the dataset and nobody else; "
        "unknown: then no segmenter is trained on them",
    )
    refused: str | None = key(
        None,
        "why it is not taken, in a sentence: nothing is computed of it, and the leaderboard of a challenge lists it "
        "with this reason (docs/challenge.md); null: it is taken",
    )


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    for name in config["imports"]:
        if name in {*RESERVED, *MADE_CONTROLS, *config["generators"]}:
            yield f"imports.{name}", "found a name that means something else; allowed: another one"
