"""What leaves the house names nobody: stacks and weights without identities, and a search for traces of subjects.

A commitment stands in place of the identities: HMAC-SHA256 of them all with a salt that stays at home. It says nothing
to who has no salt, and with the salt the sharer can show later who was behind the images.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from understudy.core.files import atomic_path, canonical_json
from understudy.core.lineage import UNKNOWN
from understudy.core.stack import Stack, StackWriter

SALT_BYTES = 32
_METADATA = "understudy"  # the entry of our safetensors files
_WEIGHTS_KEYS = ("format", "generator", "options", "channels", "labels", "size", "dataset", "seed", "images_seen")
_WEIGHTS_KEYS += ("versions",)
_LARGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows


# ------------------------------------------------------------------------------------------------ the salt
def read_salt(path: str | Path) -> bytes:
    """Raises ValueError where the file is missing, too short to keep a secret, or readable by others."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: found no such file, expected the salt (release.salt_file); `openssl rand -hex 32`")
    salt = path.read_bytes().strip()
    if len(salt) < SALT_BYTES:
        raise ValueError(f"{path}: found a salt of {len(salt)} bytes, expected at least {SALT_BYTES} random ones")
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: found a salt that others may read, expected a secret. Run chmod 600 {path}")
    return salt


def drawn_salt(path: str | Path) -> bytes:
    """The salt in this file, which is drawn the first time. Several processes that draw at once get the same."""
    path = Path(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(SALT_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # of another process: its salt counts
            os.link(temporary, path)
        temporary.unlink()
    return read_salt(path)


def commitment(identities: Iterable[str], salt: bytes) -> dict:
    """How many subjects are behind the images, and the HMAC-SHA256 of the sorted list of their identities."""
    identities = sorted(set(identities))
    digest = hmac.new(salt, canonical_json(identities).encode(), hashlib.sha256).hexdigest()
    return {"subjects": len(identities), "hmac_sha256": digest}


# ------------------------------------------------------------------------------------------------ stacks, weights
def write_stack(stack: Stack, output: Path, dataset: str, generator: str, committed: Mapping) -> None:
    """The same PNGs under the same names; of stack.json what describes images, and the commitment for the lineage.

    The hash of the weights goes as well: weights hold identities, so it would confirm a guess of them.
    """
    meta = {key: stack.meta[key] for key in ("channels", "labels", "height", "width")}
    meta["source"] = {"dataset": dataset, "generator": generator, "lineage": UNKNOWN}
    meta |= {"lineage": [], "lineage_commitment": dict(committed)}
    with StackWriter(output, meta) as writer:
        for i, name in enumerate(stack.names):
            writer.add_png(name, stack.checked_png(i))


def weights_header(path: str | Path) -> tuple[dict, int]:
    """(header of a safetensors file, position of its first tensor). Raises ValueError where it is none."""
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= _LARGEST_HEADER:
            raise ValueError(f"{path}: found no safetensors header, expected weights of train_generator")
        text = file.read(length)
    try:
        header = json.loads(text)
        json.loads(header["__metadata__"][_METADATA])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: found {error!r} in its header, expected weights of train_generator") from error
    return header, 8 + length


def weights_metadata(path: str | Path) -> dict:
    return json.loads(weights_header(path)[0]["__metadata__"][_METADATA])


def write_weights(source: Path, output: Path, licence: str, committed: Mapping) -> None:
    """The same tensors, byte for byte; of the metadata what is needed to sample, and the commitment for the lineage."""
    header, start = weights_header(source)
    metadata = json.loads(header["__metadata__"][_METADATA])
    kept = {key: metadata[key] for key in _WEIGHTS_KEYS if key in metadata}
    kept |= {"licence": licence, "lineage": [], "lineage_commitment": dict(committed)}
    text = json.dumps({**header, "__metadata__": {_METADATA: json.dumps(kept, sort_keys=True)}}, separators=(",", ":"))
    text = text.encode().ljust(-(-len(text.encode()) // 8) * 8)  # tensors begin at a multiple of 8 bytes
    with atomic_path(output) as temporary, open(source, "rb") as tensors, open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        tensors.seek(start)
        shutil.copyfileobj(tensors, file, 1 << 20)


# ------------------------------------------------------------------------------------------------ traces
def secrets_of(manifest: Mapping, *identities: Iterable[str]) -> set[str]:
    """The words that may not occur in a release: names and identities of all subjects, train and test (stacks.json).

    A name that is a short number would be found in any text; such a one identifies nobody by itself.
    """
    found = {identity for some in identities for identity in some}
    for split in manifest.get("splits", {}).values():
        found |= {*split["subjects"], *split["lineage"]}
    return {word for word in found if len(word) >= 6 or (len(word) >= 3 and not word.isdigit())}


def traces(folder: Path, words: Iterable[str]) -> list[str]:
    """Where a secret word stands in a file's name or text, a line each. Pixels and tensors are not text."""
    words = sorted(words, key=len, reverse=True)
    if not words:
        return []
    pattern = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, words)) + r")(?![A-Za-z0-9])")
    return [f"{place}: names a subject" for place, text in _texts(folder) if pattern.search(text)]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        yield name, name
        if path.name == "images.zip":
            stack = Stack.open(path)
            yield f"{name}, stack.json", json.dumps(stack.meta)
            yield f"{name}, names", "\n".join(stack.names)
        elif path.suffix == ".safetensors":
            yield f"{name}, header", json.dumps(weights_header(path)[0])
        elif path.suffix != ".png":
            yield name, path.read_text(encoding="utf-8")
