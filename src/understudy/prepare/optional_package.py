"""Packages that only few data sets need: optional extras, imported only if a file needs them."""

import importlib
from types import ModuleType


def optional_package(module: str, extra: str, found: str) -> ModuleType:
    """Imports a module. Raises ValueError that says what to install where it is missing.

    Args:
        extra: of understudy in pyproject.toml, named after the format. found: what asks for it, such as "an NRRD file".
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f'found {found}, and {error.name} is not installed, expected it. Run: pip install "understudy[{extra}]"'
        ) from error
