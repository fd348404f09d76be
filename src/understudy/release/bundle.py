"""The release of one generator's images: a folder that may leave the house, or a refusal with every reason.

Its bytes are a function of what goes in: no clock, no order of a file system. It is made beside its place, checked
there with the very program that the receiver runs, and put in its place as a whole.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.core.files import read_json, sha256_of_file, write_json, write_text_atomically
from understudy.core.folders import export_folders
from understudy.core.stack import Stack

from . import verify
from .about import About
from .anonymous import (
    commitment,
    drawn_salt,
    read_salt,
    secrets_of,
    traces,
    weights_metadata,
    write_stack,
    write_weights,
)
from .audit import public_audit, read_audit
from .card import card
from .crate import METADATA, crate
from .croissant import croissant
from .facts import KINDS, Facts, dice_rows, dice_text
from .refuse import Sources, refusals
from .terms import citation, licence

SALT = ".salt"  # beside the releases of a data set, in none of them


def make_release(
    sources: Sources, about: About, output: str | Path, salt_file: str | Path | None = None, folders: bool = False
) -> list[str]:
    """Makes the folder `output`, or replaces the release that is there. Returns the names of its files.

    Args:
        salt_file: secret behind the commitment to the subjects; None: drawn once, beside the folder.
        folders: also the images as a folder for each channel.
    Raises:
        ValueError: the release is refused (all reasons in one message; nothing is written), a file cannot be read, or
            the disk is full.
    """
    output = Path(output)
    _refuse_other_folder(output)
    if reasons := refusals(sources, about):
        raise ValueError(_refused(output, reasons))
    salt = read_salt(salt_file) if salt_file else drawn_salt(output.parent / SALT)
    manifest = read_json(sources.manifest) if sources.manifest else {}
    stack = Stack.open(sources.images)
    identities = set(stack.meta["lineage"])
    if sources.weights:
        identities |= set(weights_metadata(sources.weights)["lineage"])
    with _put_in_place(output) as folder:
        facts = _write_data(sources, about, folder, salt, folders)
        _write_documents(facts)
        if found := traces(folder, secrets_of(manifest, identities)):
            raise ValueError(_refused(output, found))
        names = verify.files_in(folder)
        write_text_atomically(folder / verify.SUMS, verify.sums_of(folder, names))
        _check(folder, output)
    return [*names, verify.SUMS]


def _refused(output: Path, reasons: list[str]) -> str:
    count = f"{len(reasons)} reasons" if len(reasons) > 1 else "1 reason"
    return "\n  - ".join([f"{output}: the release is refused, for {count}:", *reasons])


def _refuse_other_folder(output: Path) -> None:
    """What is replaced is a release, or what is left of one, and no folder of somebody's."""
    known = {name.split("/")[0] for name in [*KINDS, METADATA]}
    if output.exists() and (strange := sorted({path.name for path in output.iterdir()} - known)):
        raise ValueError(f"{output}: found {strange[0]} there, expected no folder, or a release. Nothing is replaced.")


@contextmanager
def _put_in_place(output: Path) -> Iterator[Path]:
    """A folder to write to, that becomes `output` when the block ends well, and is removed when it does not."""
    folder, old = output.with_name(f".{output.name}.tmp"), output.with_name(f".{output.name}.old")
    for left in (folder, old):  # of a kill
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        if output.exists():
            output.rename(old)
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_data(sources: Sources, about: About, folder: Path, salt: bytes, folders: bool) -> Facts:
    """Images, weights, audit and table."""
    stack = Stack.open(sources.images)
    committed = commitment(stack.meta["lineage"], salt)
    write_stack(stack, folder / "images.zip", about.dataset, about.generator, committed)
    if folders:
        released = Stack.open(folder / "images.zip")
        export_folders(released, folder / "images", {channel: channel for channel in released.channels})
    if sources.weights:
        weights = weights_metadata(sources.weights)
        terms = f"{about.licence}, {about.licence_address}"
        write_weights(sources.weights, folder / "weights.safetensors", terms, commitment(weights["lineage"], salt))
    audit = public_audit(read_audit(sources.audit), sha256_of_file(folder / "images.zip"))
    write_json(folder / "audit/audit.json", audit)
    rows = dice_rows(sources.table, about.dataset, about.generator) if sources.table else []
    if rows:
        write_text_atomically(folder / "tables/dice.csv", dice_text(rows))
    training = read_json(sources.training) if sources.training else {}
    return Facts(about, folder, audit, committed["subjects"], training, rows)


def _write_documents(facts: Facts) -> None:
    """In this order: each tells the hashes of those before it."""
    folder = facts.folder
    write_text_atomically(folder / "LICENSE", licence(facts))
    write_text_atomically(folder / "CITATION.cff", citation(facts))
    write_text_atomically(folder / "README.md", card(facts))
    shutil.copyfile(verify.__file__, folder / "verify.py")
    write_json(folder / "croissant.json", croissant(facts))
    write_json(folder / METADATA, crate(facts))


def _check(folder: Path, output: Path) -> None:
    """As the receiver does, with the program that lies in the folder."""
    done = subprocess.run([sys.executable, "-I", "verify.py"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{output}: what was written does not pass its own check, is the disk sound?\n{done.stderr}")
