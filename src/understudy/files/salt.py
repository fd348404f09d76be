"""The secret of a study, called its salt: random bytes in one file, outside of everything that is shared.

Two things depend on it: the commitment to the subjects that a release shows, and the draw of the test subjects. Without
it nobody outside can repeat either; with it the owner can.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from .outside import read_bytes

SECRET, SEED, FILE = "secret", "seed", "file"  # source.drawn of a real stack: what split its subjects
SALT_BYTES = 32
_MOST = 4096


def read_salt(path: str | Path) -> bytes:
    """Raises ValueError where the file is missing, too short to keep a secret, or readable by others."""
    path = Path(path)
    salt = read_bytes(path, "the salt (release.salt_file); `openssl rand -hex 32` makes one", _MOST).strip()
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
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(secrets.token_hex(SALT_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # of another process: its salt counts
            os.link(temporary, path)
        temporary.unlink()
    return read_salt(path)


def keyed_hash(salt: bytes, text: str) -> str:
    """HMAC-SHA256, hexadecimal."""
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()
