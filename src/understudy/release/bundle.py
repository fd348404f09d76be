"""The release of one generator's images: a folder that may be shared, or a refusal with every reason.

Its bytes depend only on its inputs, not on the clock or the file system. It is built beside its final place, checked
there with the program that the receiver runs, and then moved into place as a whole.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.files.atomic import sha256_of_file, write_json, write_text_atomically
from understudy.files.json_forms import WeightsManifest
from understudy.files.names_in_text import secrets_of
from understudy.files.outside import read_json_as
from understudy.files.salt import drawn_salt
from understudy.stack import Stack
from understudy.stack.channel_folders import export_folders
from understudy.stack.labels import label_names
from understudy.study.bids_names import BIDS_FOLDER, SUBJECT

from .about import About
from .anonymous import commitment, weights_metadata, write_stack, write_weights
from .archives import datacite, zenodo
from .audit_result import public_audit, read_audit
from .bids import Bids, write_texts, write_volumes
from .card import card
from .crate import METADATA, crate
from .croissant import croissant
from .facts import KINDS, WORKFLOW, Facts
from .healthdcat import HEALTHDCAT, healthdcat
from .names_in_release import traces
from .privacy_page import privacy_page
from .privacy_questions import Released
from .quality import Quality, anatomy, dice_rows, dice_text, likeness
from .refuse import Sources, refusals
from .spdx import spdx
from .terms import citation, licence
from .verify import program
from .verify.isolated import SUMS
from .verify.listed_files import files_in, sums_of
from .verify.picture_folders import TABLE, table_of_pictures

_IMAGE = re.compile(rf"images/[^/]+/\d{{6,}}\.png|{BIDS_FOLDER}/{SUBJECT}\d{{6,}}/anat/[^/]+\.nii\.gz", re.ASCII)


def make_release(
    sources: Sources,
    about: About,
    output: str | Path,
    salt_file: str | Path,
    folders: bool = False,
    bids: str | None = None,
) -> list[str]:
    """Makes the folder `output`, or replaces the release that is there. Returns the names of its files.

    Args:
        salt_file: secret behind the commitment to the subjects, drawn the first time; outside of what people zip.
        folders: also the images as a folder for each channel.
        bids: also as a BIDS derivative data set, of heads that are skull_stripped, or of others.
    Raises:
        ValueError: the release is refused (all reasons in one message; nothing is written), a file cannot be read, or
            the disk is full.
    """
    output = Path(output)
    _refuse_other_folder(output)
    _refuse_salt_among_releases(Path(salt_file), output)
    if reasons := refusals(sources, about, bool(bids)):
        raise ValueError(_refused(output, reasons))
    salt = drawn_salt(salt_file)
    stack = Stack.open(sources.images)
    identities = set(stack.meta["lineage"])
    if sources.weights:
        identities |= set(weights_metadata(sources.weights)["lineage"])
    real = [Stack.open(path).meta for path in (sources.train, sources.test)]
    words = secrets_of([*identities, *(word for meta in real for word in (*meta["lineage"], *meta["subjects"]))])
    with _put_in_place(output) as folder:
        facts = _write_data(sources, about, folder, salt, folders)
        if bids:
            described = Bids.of(bids, about.orientation, real[0]["subjects"].values())
            write_volumes(facts.stack, folder, described)
            write_texts(facts, described)
        _write_documents(facts)
        if found := traces(folder, words):
            raise ValueError(_refused(output, found))
        names = files_in(folder)
        write_text_atomically(folder / SUMS, sums_of(folder, names))
        _check(folder, output)
    return [*names, SUMS]


def _refused(output: Path, reasons: list[str]) -> str:
    count = f"{len(reasons)} reasons" if len(reasons) > 1 else "1 reason"
    return "\n  - ".join([f"{output}: the release is refused, for {count}:", *reasons])


def _refuse_other_folder(output: Path) -> None:
    """What is replaced is a release, or what is left of one, and no folder of somebody's."""
    if output.is_symlink():
        raise ValueError(f"{output}: found a link, expected no folder, or a release. Nothing is replaced.")
    there = [path.relative_to(output).as_posix() for path in output.rglob("*") if not path.is_dir()]
    strange = [name for name in there if name not in (*KINDS, METADATA) and not _IMAGE.fullmatch(name)]
    if strange or (output.exists() and not output.is_dir()):
        found = min(strange, default="a file")
        raise ValueError(f"{output}: found {found} there, expected no folder, or a release. Nothing is replaced.")


def _refuse_salt_among_releases(salt: Path, output: Path) -> None:
    """The folder of all releases is what people zip."""
    if any(salt.resolve().is_relative_to(place) for place in (output.resolve().parent, output.parent.resolve())):
        raise ValueError(
            f"{salt}: found the salt in the folder of releases, {output.parent}, expected it outside of what is "
            "shared. Move it, and name it in release.salt_file."
        )


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
    """Images, weights, audit and table. Raises ValueError where others lie in the place of the audited images now."""
    stack, audited = Stack.open(sources.images), read_audit(sources.audit)
    if stack.sha256 != audited["samples_sha256"]:
        raise ValueError(f"{sources.images}: changed while it was being released. Nothing was written.")
    committed = commitment(stack.meta["lineage"], salt)
    write_stack(stack, folder / "images.zip", about.dataset, about.generator, committed)
    if folders:
        released = Stack.open(folder / "images.zip")
        export_folders(released, folder / "images", {channel: channel for channel in released.channels})
        listed = table_of_pictures(released.channels, released.names)
        write_text_atomically(folder / TABLE, listed)
    if sources.weights:
        weights = weights_metadata(sources.weights)
        terms = f"{about.licence}, {about.licence_address}"
        write_weights(sources.weights, folder / "weights.safetensors", terms, commitment(weights["lineage"], salt))
    audit = public_audit(audited, sha256_of_file(folder / "images.zip"))
    write_json(folder / "audit/audit.json", audit)
    quality = _quality(sources, about, stack)
    if quality.dice:
        write_text_atomically(folder / "tables/dice.csv", dice_text(quality.dice))
    training = read_json_as(WeightsManifest, sources.training, "the manifest of the weights")
    return Facts(about, folder, audit, committed["subjects"], training, quality)


def _quality(sources: Sources, about: About, stack: Stack) -> Quality:
    """Of the tables that are given. Fidelity and annotation are of the images before a filter, which names them."""
    whose, labels = (about.dataset, about.generator), label_names(stack.meta["labels"])
    drawn = stack.meta["source"].get("filtered", {}).get("samples_sha256", stack.sha256)
    return Quality(
        dice_rows(sources.table, *whose, labels) if sources.table else (),
        likeness(sources.fidelity, (*whose, drawn), stack.channels) if sources.fidelity else (),
        anatomy(sources.annotation, (*whose, drawn), labels) if sources.annotation else None,
    )


def _write_documents(facts: Facts) -> None:
    """In this order: each tells the hashes of those before it."""
    folder = facts.folder
    write_text_atomically(folder / "LICENSE", licence(facts))
    write_text_atomically(folder / "CITATION.cff", citation(facts))
    write_text_atomically(folder / "README.md", card(facts))
    write_text_atomically(folder / "privacy.html", privacy_page(facts.audit, _released(facts)))
    write_text_atomically(folder / "verify.py", program())
    shutil.copyfile(Path(__file__).with_name(WORKFLOW), folder / WORKFLOW)
    write_json(folder / "croissant.json", croissant(facts))
    write_json(folder / "datacite.json", datacite(facts))
    write_json(folder / ".zenodo.json", zenodo(facts))
    write_json(folder / HEALTHDCAT, healthdcat(facts))
    write_json(folder / "sbom.spdx.json", spdx(facts))
    write_json(folder / METADATA, crate(facts, sorted([*files_in(folder), METADATA])))


def _released(facts: Facts) -> Released:
    weights = (facts.folder / "weights.safetensors").exists()
    return Released(facts.subjects, weights, facts.about.licence, facts.about.contact or "", facts.quality)


def _check(folder: Path, output: Path) -> None:
    """As the receiver does, with the program that lies in the folder."""
    done = subprocess.run([sys.executable, "-I", "verify.py"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{output}: what was written does not pass its own check, is the disk sound?\n{done.stderr}")
