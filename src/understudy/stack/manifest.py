"""The small file beside a stack or weights: what it says of itself, with hashes in place of what is large."""

from collections.abc import Mapping
from pathlib import Path

from understudy.files.atomic import hash_of, sha256_of_file, write_json


def write_manifest(path: str | Path, meta: Mapping, **more) -> dict:
    """Writes {path without its ending}.json and returns it: `meta` with the hash of its lineage in place of the list,
    `more`, and the file's sha256."""
    path = Path(path)
    manifest = {key: value for key, value in meta.items() if key != "lineage"}
    manifest |= {"lineage_hash": hash_of(meta["lineage"]), **more, "sha256": sha256_of_file(path)}
    write_json(path.with_suffix(".json"), manifest)
    return manifest
