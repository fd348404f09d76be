"""Finding the class that a module is about, so that nobody keeps a list."""

import importlib


def block_of(package: str, name: str) -> type:
    """The class of the module `name` in a package: called as it, without underscores, in any letters."""
    module = importlib.import_module(f"{package}.{name}")
    wanted = name.replace("_", "")
    return next(value for key, value in vars(module).items() if key.lower() == wanted and isinstance(value, type))
