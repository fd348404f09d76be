"""`imports`: synthetic images from elsewhere."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from understudy.study.sources import MADE_CONTROLS, RESERVED

from .fields import Block, File, Problem, key


class Import(Block):
    """Synthetic images from elsewhere, used like a generator's samples."""

    stack: File = key(meaning="file of the images; scripts/convert_stack.py makes one from a folder per channel")
    trained_on: Literal["train", "unknown"] = key(
        "unknown",
        "which subjects the generator of these images has seen. train: only the training subjects of the "
        "dataset; unknown: no segmenter is trained on the images",
    )
    refused: str | None = key(
        None,
        "why these images are refused, in a sentence. Nothing is computed from them, and the leaderboard of "
        "a challenge shows the reason (docs/challenge.md); null: they are accepted",
    )


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    for name in config["imports"]:
        if name in {*RESERVED, *MADE_CONTROLS, *config["generators"]}:
            yield f"imports.{name}", "found a name that means something else; allowed: another one"
