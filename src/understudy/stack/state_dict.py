"""Weights that others published: a dictionary of tensors, as safetensors or as torch.save writes it.

Files of torch.save are read by PyTorch's own reader of tensors (`weights_only`), which runs no code that a file brings:
it knows tensors and plain containers, and refuses everything else.
"""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from understudy.files.outside import regular_file

from .tensors import read_tensors


def read_state(path: str | Path, expected: str) -> dict[str, Tensor]:
    """The tensors by name, on the CPU; of a training checkpoint those under `state_dict`. Raises ValueError."""
    path = regular_file(path, expected)
    if path.suffix == ".safetensors":
        return read_tensors(path, expected)
    _refuse_packed(path, expected)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path}: cannot be read as weights ({reason}), expected {expected}") from error
    found = found.get("state_dict", found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise ValueError(f"{path}: found {type(found).__name__}, expected {expected}: a dictionary of tensors")
    return dict(found)


# what torch.load raises where bytes have changed, found by changing them; the first has no other name
UNREADABLE = (
    torch.serialization.pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError,
    AttributeError, AssertionError, ArithmeticError, OSError, MemoryError, struct.error,
)  # fmt: skip


def _refuse_packed(path: Path, expected: str) -> None:
    """torch.save compresses nothing: a file that does would unpack to any size."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            packed = [member for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, ValueError, OSError, struct.error) as error:
        raise ValueError(f"{path}: found {error}, expected {expected}") from error
    if packed:
        raise ValueError(f"{path}: found compressed members, expected {expected}")
