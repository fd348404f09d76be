"""The blocks of generators, by name: every module here is one. Its class is called as it, without underscores."""

import pkgutil

from understudy.config.blocks import block_of
from understudy.config.generator import Generator

NAMES = tuple(module.name for module in pkgutil.iter_modules(__path__))


def block(name: str) -> type[Generator]:
    return block_of(__name__, name)
