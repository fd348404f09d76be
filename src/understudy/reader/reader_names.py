"""What a reader of a reader study may be called, and which names the tables use themselves."""

import re
import unicodedata

from understudy.files.escape import invisible
from understudy.study.grid import REAL

SYNTHETIC = "synthetic"
ALL = "all readers"  # rows of the tables
PUBLISHED = "published"
EVERY = "all generators"
TWICE = "twice"  # "A, twice": a reader who saw an image again
RESERVED = (ALL, PUBLISHED, EVERY, REAL, SYNTHETIC, TWICE)
LONGEST = 80
FORBIDDEN = "/\\<>,"  # tables put commas between names


def checked_name(path: object, found: str) -> str:
    """The name as tables show it: NFKC, with one blank where there were several.

    Raises ValueError where it is none that can stand in a table.
    """
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", found)).strip()
    good = 1 <= len(name) <= LONGEST and unicodedata.category(name[0])[0] in "LN"
    good = good and not any(c in FORBIDDEN or invisible(c) for c in name)
    if not good:
        raise ValueError(
            f"{path}: found the reader {found!r}, expected a name of 1 to {LONGEST} characters that begins with a "
            f"letter or a digit and has none of {' '.join(FORBIDDEN)} and nothing that cannot be seen. Write another "
            "name for this reader at `reader` in the file."
        )
    if same(name) in RESERVED:
        raise ValueError(
            f"{path}: found the reader {found!r}, expected none of {', '.join(map(repr, RESERVED))}, which the tables "
            "use themselves. Write another name for this reader at `reader` in the file."
        )
    return name


def same(name: str) -> str:
    """What two names have in common that differ in capitals alone."""
    return unicodedata.normalize("NFKC", name.casefold())
