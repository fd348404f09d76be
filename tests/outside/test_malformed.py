"""Malformed files, drawn by a seed, over every reader: one clear error each, or a right result; no traceback of ours,
no hang, no more than a gigabyte. FUZZ_CASES and FUZZ_SEED ask for more, and for others: make fuzz.
"""

import os
import random
import resource
import signal
from pathlib import Path

import pytest

from .broken import BREAKERS, NO_FILES, put_no_file
from .readers import READERS

CASES = int(os.environ.get("FUZZ_CASES", "16"))  # of a reader of weight 1
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECONDS = 5
MEMORY = 10**9  # bytes beyond what the process has
LONGEST = 3000  # characters that a person would read


class TooSlowError(Exception):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(autouse=True)
def bounded():
    """Memory and seconds that a file may cost; both end in an error that no reader of ours takes for its own."""

    def stop(number, frame):
        raise TooSlowError

    before, limits = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    signal.signal(signal.SIGALRM, before)


def read_within(reader, path: Path) -> str | None:
    """What a reader says of a file: nothing where it takes it."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        reader.read(path)
    except ValueError as error:
        return str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def is_clear(said: str, path: Path) -> bool:
    """It names the file, or the key of a config, in as many words as a person reads."""
    return (path.name in said or said.startswith("config, ")) and len(said) < LONGEST


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_malformed_files(reader, folder):
    own = folder / reader.name.replace(" ", "_")
    own.mkdir()
    sound = own / f"sound{reader.suffix}"
    reader.make(sound)
    content = sound.read_bytes()
    read_within(reader, sound)
    refused, path = 0, own / f"broken{reader.suffix}"
    for case in range(round(CASES * reader.weight)):
        host = random.Random(f"{SEED} {reader.name} {case}")
        path.unlink(missing_ok=True)
        path.write_bytes(BREAKERS[reader.kind](content, host))
        path.chmod(0o600)
        try:
            said = read_within(reader, path)
        except BaseException as error:
            raise AssertionError(f"{reader.name}, case {case}, FUZZ_SEED={SEED}: {error!r}") from error
        if said is not None:
            refused += 1
            assert is_clear(said, path), (reader.name, case, said[:LONGEST])
    assert refused >= CASES * reader.weight / 8  # most of what is broken is seen


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_what_is_no_file(reader, kind, folder):
    """A pipe never ends, and nor does a device."""
    if reader.name == "salt" and kind in ("missing", "loop"):
        pytest.skip("a salt is drawn where there is none")
    if reader.name in ("images of a release", "volume of a release"):
        pytest.skip("verify.py looks at what a name is before it opens it: tests/release/test_verify.py")
    own = folder / f"{reader.name} {kind}".replace(" ", "_")
    own.mkdir()
    path = own / f"none{reader.suffix}"
    reader.make(path)
    put_no_file(path, kind)
    said = read_within(reader, path)
    assert said is not None and is_clear(said, path)
