"""Files that are either whole or not there: atomic writes, content hashes, messages for a full disk."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path in the folder of `path`; it becomes `path` when the block ends well, else it is removed.

    Raises:
        ValueError: the disk, the quota or the file size limit is exhausted; nothing is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sync_folder(path: str | Path) -> None:
    """Makes renames inside a folder durable (a rename is only as safe as its directory entry)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """The same text for the same value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def hash_of(value: object) -> str:
    """16 hex digits that identify a JSON value: the name of a run directory, the key of a cache."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
