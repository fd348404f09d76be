"""The generators, by name. `build("stylegan2", channels=5, size=256, **options)` gives one, ready to train or load.

A generator is two modules of the same name: its options in understudy/config/generators/, and its class here, named
after the module. A class is imported when it is first asked for.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from understudy.config.blocks import block_of
from understudy.config.generators import NAMES

if TYPE_CHECKING:
    from .generator_protocol import Generator


class _Registry(Mapping):
    """name -> class; `in`, `len` and iteration import nothing."""

    def __getitem__(self, name: str) -> type:
        if name not in NAMES:
            raise KeyError(name)
        return block_of(__name__, name)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __contains__(self, name: object) -> bool:
        return name in NAMES


GENERATORS = _Registry()


def build(name: str, channels: int, size: int, **options) -> "Generator":
    """The generator `name` for images of (channels, size, size), with the study's options where none are given.

    Raises:
        ValueError: unknown generator or option, or a value that it cannot work with.
    """
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; known are {', '.join(GENERATORS)}")
    return GENERATORS[name](channels, size, **options)
