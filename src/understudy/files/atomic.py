"""Files that are either whole or not there: atomic writes, content hashes, messages for a full disk."""

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .outside import JSON_BYTES, parse_json, read_bytes

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path in the folder of `path`; it becomes `path` when the block ends well, else it is removed.

    Raises:
        ValueError: the disk, the quota or the file size limit is exhausted; nothing is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name that nobody can foresee: a link of that name would be followed
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise ValueError(full_disk_message(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def full_disk_message(path: Path, error: OSError) -> str:
    free_mb = shutil.disk_usage(path.parent).free / 2**20
    return (
        f"{path}: could not be written ({error.strerror}); {free_mb:.0f} MB are free there. "
        "Nothing half-written was kept and finished work is safe: make room and run the same command again."
    )


def write_text_atomically(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    write_text_atomically(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: str | Path) -> dict:
    """Of a file of ours that has no declared form. Raises ValueError where it is no JSON object."""
    value = parse_json(read_bytes(path, "JSON", JSON_BYTES), str(path), "JSON")
    if not isinstance(value, dict):
        raise ValueError(f"{path}: found {type(value).__name__}, expected a JSON object")
    return value


def sync_folder(path: str | Path) -> None:
    """Makes renames inside a folder durable (a rename is only as safe as its directory entry)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: str | Path) -> str:
    with open(path, "rb") as file:
        return known_sha256(os.fstat(file.fileno()), lambda: hashlib.file_digest(file, "sha256").hexdigest())


_known: dict[tuple[int, ...], str] = {}  # of files that this process has hashed
_SETTLED = 2.0  # seconds: what was written later than that may be written once more within one tick of the clock


def known_sha256(stat: os.stat_result, compute: Callable[[], str]) -> str:
    """The hash of an open file; computed once in a process for as long as the file is the same one and unchanged, as
    its number, size and both times tell (nobody can set the second, the time of the last change)."""
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if key in _known:
        return _known[key]
    found = compute()
    if time.time() - max(stat.st_mtime, stat.st_ctime) > _SETTLED:
        _known[key] = found
    return found


def canonical_json(value: object) -> str:
    """The same text for the same value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def hash_of(value: object) -> str:
    """16 hex digits that identify a JSON value: the name of a run directory, the key of a cache."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
