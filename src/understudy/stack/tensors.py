"""The one tensor file: safetensors with our metadata, as JSON under one key of its header.

Its header is read here first, to the byte, before anything is allocated: which tensors there are, that they follow each
other without a gap to the end of the file, that nothing else is said. Written files are whole or not there.
"""

import json
import math
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors import numpy as numpy_format
from safetensors import torch as torch_format
from torch import Tensor

from understudy.files.atomic import atomic_path
from understudy.files.json_forms import Form
from understudy.files.outside import checked, parse_json, regular_file

METADATA = "understudy"  # one key, since the order of several is not fixed in a safetensors file
_HEADER_BYTES = 10_000_000  # of 2000 tensors it has 0.3
_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
# what building a network raises where its options cannot be
UNBUILDABLE = (
    ValueError, TypeError, AssertionError, ArithmeticError, LookupError, RuntimeError, AttributeError,
)  # fmt: skip


class Entry(Form):
    """Of one tensor in the header."""

    dtype: str
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=2**48)]], Field(max_length=16)]
    data_offsets: Annotated[list[Annotated[int, Field(ge=0, lt=2**62)]], Field(min_length=2, max_length=2)]


_ENTRIES = TypeAdapter(dict[str, Entry])


@dataclass(frozen=True)
class Header:
    entries: Mapping[str, Entry]
    metadata: str | None  # the JSON of METADATA
    start: int  # byte of the first tensor

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(entry.shape) for name, entry in self.entries.items()}

    @property
    def numbers(self) -> int:
        """In all tensors together."""
        return sum(math.prod(entry.shape) for entry in self.entries.values())


def read_header(path: str | Path, expected: str) -> Header:
    """Raises ValueError where the file is missing or no safetensors file, or holds anything beside its tensors."""
    path = regular_file(path, expected)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_HEADER_BYTES, size - 8):
            raise ValueError(f"{path}: found no safetensors header, expected {expected}")
        text = file.read(length)
    header = parse_json(text, str(path), expected)
    if not isinstance(header, dict):
        raise ValueError(f"{path}: found a header that is no JSON object, expected {expected}")
    about = header.pop("__metadata__", {})
    if not isinstance(about, dict) or about.keys() - {METADATA, "format"}:
        raise ValueError(f"{path}: found metadata of another kind in its header, expected {expected}")
    try:
        entries = _ENTRIES.validate_python(header)
    except (ValidationError, RecursionError) as error:
        raise ValueError(f"{path}: found a header that describes no tensors, expected {expected}") from error
    if problem := _layout_problem(entries, size - 8 - length):
        raise ValueError(f"{path}: found {problem}, expected {expected}")
    metadata = about.get(METADATA)
    if not isinstance(metadata, str | None):
        raise ValueError(f"{path}: found metadata that is no text, expected {expected}")
    return Header(entries, metadata, 8 + length)


def _layout_problem(entries: Mapping[str, Entry], size: int) -> str | None:
    """What is wrong with where tensors lie: each has the bytes of its shape, one behind the other, to the end."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in _SIZES:
            return f"a tensor of the unknown type {entry.dtype[:20]!r}"
        first, stop = entry.data_offsets
        if first != position or stop - first != math.prod(entry.shape) * _SIZES[entry.dtype]:
            return f"the tensor {name[:80]!r} at another place than its shape says"
        position = stop
    return None if position == size else f"{size} bytes of tensors, of which {position} are described"


def read_metadata(path: str | Path, form: type[Form], expected: str) -> dict:
    """What the file says of itself, of that form. Raises ValueError."""
    return _metadata(read_header(path, expected), path, form, expected)


def _metadata(header: Header, path: str | Path, form: type[Form], expected: str) -> dict:
    if header.metadata is None:
        raise ValueError(f"{path}: found no metadata of ours, expected {expected}")
    where = f"{path}, metadata"
    return checked(form, parse_json(header.metadata, where, expected), where, expected)


def read_tensors(path: str | Path, expected: str) -> dict[str, Tensor]:
    """All tensors, on the CPU. Raises ValueError."""
    return _loaded(torch_format.load_file, path, expected)


def read_finite(path: str | Path, expected: str) -> dict[str, Tensor]:
    """The same. Raises ValueError where one of them has NaN or infinity, too."""
    found = read_tensors(path, expected)
    if wrong := [name for name, tensor in found.items() if not bool(tensor.isfinite().all())]:
        raise ValueError(f"{path}: found numbers that are not finite in {wrong[0][:80]!r}, expected {expected}")
    return found


def check_fits(header: Header, state: Mapping[str, Tensor]) -> None:
    """Raises ValueError where a network's tensors are of other names, shapes or types than those of a file."""
    own = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    held = {name: (tuple(entry.shape), _TYPES.get(entry.dtype)) for name, entry in header.entries.items()}
    if own != held:
        raise ValueError("weights of another network than its options describe")


def read_arrays(path: str | Path, form: type[Form], expected: str) -> tuple[dict[str, np.ndarray], dict]:
    """(all arrays, metadata). Raises ValueError."""
    about = read_metadata(path, form, expected)
    return _loaded(numpy_format.load_file, path, expected), about


def _loaded(load, path: str | Path, expected: str) -> dict:
    read_header(path, expected)
    try:
        return load(path)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path}: found {error}, expected {expected}") from error


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping) -> None:
    """Raises ValueError where the disk is full (which save_file of safetensors hides)."""
    # clones: safetensors refuses tensors that share memory, and views would be written whole
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    _write(path, torch_format.save(tensors, {METADATA: json.dumps(metadata, sort_keys=True)}))


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _write(path, numpy_format.save(arrays, {METADATA: json.dumps(metadata, sort_keys=True)}))


def copy_tensors(source: str | Path, output: str | Path, metadata: Mapping, expected: str) -> None:
    """The same tensors, byte for byte, under a header made anew: where they are, and `metadata`. Raises ValueError."""
    header = read_header(source, expected)
    entries = sorted(header.entries.items(), key=lambda item: item[1].data_offsets)
    made = {"__metadata__": {METADATA: json.dumps(metadata, sort_keys=True)}}
    text = json.dumps(made | {name: entry.model_dump() for name, entry in entries}, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of 8 bytes
    with atomic_path(output) as temporary, open(source, "rb") as file, open(temporary, "wb") as written:
        written.write(struct.pack("<Q", len(text)) + text)
        file.seek(header.start)
        shutil.copyfileobj(file, written, 1 << 20)


def _write(path: str | Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
