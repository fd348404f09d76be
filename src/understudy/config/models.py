"""The models that a config lists: generators and segmenters, each read by the block of its name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import generators, segmenters
from .fields import Block, Problem
from .reading import read_block, unknown_keys


@dataclass(frozen=True, eq=False)
class Listed:
    """A model of a config, with the options that it gives."""

    part: str
    name: str
    given: Mapping

    @property
    def place(self) -> str:
        return f"{self.part}.{self.name}"

    @property
    def kind(self) -> type[Block]:
        return generators.block(self.name) if self.part == "generators" else segmenters.block(self.name)


def listed(config: Mapping) -> Iterator[Listed]:
    """Those that have a block. What is no section or no name is told of by its own section."""
    for part in ("generators", "segmenters"):
        given = config.get(part)
        for name, options in given.items() if isinstance(given, dict) else ():
            known = name in generators.NAMES if part == "generators" else isinstance(name, str)
            if known and isinstance(options, dict):
                yield Listed(part, name, options)


def without_models(config: Mapping) -> dict:
    """The config with the names of its models and not their options."""
    parts = {part: config[part] for part in ("generators", "segmenters") if isinstance(config.get(part), dict)}
    return {**config, **{part: dict.fromkeys(given, "") for part, given in parts.items()}}


def unknown_generators(config: Mapping) -> Iterator[Problem]:
    given = config.get("generators")
    if unknown := [name for name in given if name not in generators.NAMES] if isinstance(given, dict) else []:
        yield "generators", unknown_keys(unknown, list(generators.NAMES))


def read(models: list[Listed]) -> tuple[dict[Listed, Block], list[Problem]]:
    """({model: block}, what is wrong)."""
    blocks, problems = {}, []
    for model in models:
        blocks[model], wrong = read_block(model.kind, model.given, model.place)
        problems += wrong
    return blocks, problems


def impossible(blocks: Mapping[Listed, Block], size: int, root: Path) -> Iterator[Problem]:
    """Options that cannot work together, or with images of size x size pixels."""
    for model, block in blocks.items():
        for option, text in block.problems(size):
            yield ("images.size", f"{text}, by {model.name}") if option == "size" else (f"{model.place}.{option}", text)
        if (file := getattr(block, "pretrained", None)) and not (root / file).is_file():
            yield f"{model.place}.pretrained", f"found {file!r}, which is no file; allowed: weights of the backbone"
