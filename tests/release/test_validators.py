"""The public validators of Croissant and RO-Crate accept a release.

They are no part of the lock: one wants older packages than others of ours, the other is built from source. So
each runs in an environment of its own, that uv makes once (some 40 MB) and keeps in its cache. By hand:

    uv run --no-project --isolated --with mlcroissant==1.1.1 mlcroissant validate --jsonld croissant.json
    uv run --no-project --isolated --with roc-validator==0.13.0 rocrate-validator validate FOLDER
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from understudy.files.atomic import read_json, sha256_of_file
from understudy.stack import Stack

HERE = Path(__file__).parent
CROISSANT = ("mlcroissant==1.1.1", "pillow")
CRATE = ("roc-validator==0.13.0",)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Validators keep what they unpacked in the user's home: not in this one's."""
    return tmp_path_factory.mktemp("home")


def run_with(packages, home, *command):
    """Runs Python in an environment with these packages; skips where they cannot be had."""
    uv = Path(sys.executable).with_name("uv")
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HOME": str(home), "UV_CACHE_DIR": cache}
    prefix = [uv, "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable]
    prefix += [word for package in packages for word in ("--with", package)]
    there = subprocess.run([*prefix, "python", "-c", ""], cwd=home, env=environment, capture_output=True, text=True)
    if there.returncode:
        pytest.skip(f"{packages[0]} cannot be installed here: {there.stderr.strip()[:300]}")
    return subprocess.run([*prefix, "python", *command], cwd=home, env=environment, capture_output=True, text=True)


READ = """
import json, sys
import mlcroissant, numpy
dataset = mlcroissant.Dataset(jsonld=sys.argv[1] + "/croissant.json")  # raises where the file is not valid
issues = dataset.metadata.ctx.issues
records = {name: list(dataset.records(name)) for name in ("images", "channels", "labels")}
numpy.savez(
    sys.argv[2],
    names=[record["images/name"].decode() for record in records["images"]],
    pixels=[numpy.asarray(record["images/pixels"]) for record in records["images"]],
)
print(json.dumps([sorted(issues.errors), sorted(issues.warnings), records["channels"], records["labels"]]))
"""


@pytest.mark.timeout(600)
def test_croissant_is_valid_and_loads_the_images(bundle, home, tmp_path):
    house, folder = bundle
    done = run_with(CROISSANT, home, "-c", READ, folder, tmp_path / "read.npz")
    assert done.returncode == 0, done.stderr[-3000:]
    errors, warnings, channels, labels = json.loads(done.stdout.splitlines()[-1])
    assert errors == [] and warnings == []
    assert [(c["channels/name"], c["channels/first_row"]) for c in channels] == [
        (name, 16 * i) for i, name in enumerate(("t1", "t1ce", "t2", "flair", "seg"))
    ]
    assert {label["labels/name"]: label["labels/grey"] for label in labels} == {"ncr_net": 51, "ed": 102, "et": 204}
    read, stack = np.load(tmp_path / "read.npz"), Stack.open(folder / "images.zip")
    order = np.argsort(read["names"])
    assert list(read["names"][order]) == stack.names
    np.testing.assert_array_equal(read["pixels"][order], stack.read().reshape(12, 80, 16))


@pytest.mark.timeout(600)
def test_a_changed_archive_is_refused_by_a_loader(bundle, home, tmp_path):
    """The hash in croissant.json is that of the file."""
    folder = shutil.copytree(bundle[1], tmp_path / "changed")
    archive = bytearray((folder / "images.zip").read_bytes())
    archive[300] ^= 1
    (folder / "images.zip").write_bytes(archive)
    done = run_with(CROISSANT, home, "-c", READ, folder, tmp_path / "read.npz")
    assert done.returncode != 0 and "Hash of" in done.stderr, done.stderr[-2000:]


@pytest.mark.timeout(600)
def test_ro_crate_is_valid(bundle, home):
    terms = HERE / "ro_crate_terms.json"
    done = run_with(CRATE, home, HERE / "validate_crate.py", bundle[1], terms, home / "http-cache")
    lines = done.stdout.splitlines()
    assert lines and lines[-1] == "passed", done.stdout[-3000:] + done.stderr[-3000:]
    assert not [line for line in lines if line.startswith("REQUIRED")]
    assert {path.name for path in bundle[1].iterdir()} >= {"SHA256SUMS", "ro-crate-metadata.json"}


@pytest.mark.timeout(600)
def test_the_validator_of_ro_crate_does_refuse(bundle, home, tmp_path):
    folder = shutil.copytree(bundle[1], tmp_path / "changed")
    crate = read_json(folder / "ro-crate-metadata.json")
    crate["@graph"] = [entity for entity in crate["@graph"] if entity["@id"] != "LICENSE"]
    next(entity for entity in crate["@graph"] if entity["@id"] == "./").pop("datePublished")
    (folder / "ro-crate-metadata.json").write_text(json.dumps(crate))
    done = run_with(CRATE, home, HERE / "validate_crate.py", folder, HERE / "ro_crate_terms.json", home / "http-cache")
    assert done.stdout.splitlines()[-1] == "failed" and "datePublished" in done.stdout


# ------------------------------------------------------------------------------------------------ without any validator
def test_the_crate_describes_what_is_there(bundle):
    folder = bundle[1]
    crate = read_json(folder / "ro-crate-metadata.json")
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert parts == {name for name in there if not name.startswith("images/")} - {"ro-crate-metadata.json"} | {
        "images/"
    }
    for name in parts - {"images/", "SHA256SUMS"}:
        assert entities[name]["sha256"] == sha256_of_file(folder / name)
        assert int(entities[name]["contentSize"]) == (folder / name).stat().st_size
    references = {
        value["@id"]
        for entity in entities.values()
        for given in entity.values()
        for value in (given if isinstance(given, list) else [given])
        if isinstance(value, dict)
    }
    assert references - {"https://w3id.org/ro/crate/1.2"} <= entities.keys()


def test_the_terms_of_the_crate_are_those_of_its_context(bundle):
    """ro_crate_terms.json is the part of https://w3id.org/ro/crate/1.2/context that we use (CC0)."""
    known = read_json(HERE / "ro_crate_terms.json")["@context"].keys()
    for entity in read_json(bundle[1] / "ro-crate-metadata.json")["@graph"]:
        assert {key for key in entity if not key.startswith("@")} | {entity["@type"]} <= known


def test_croissant_describes_what_is_there(bundle):
    described = read_json(bundle[1] / "croissant.json")
    files = {f["contentUrl"]: f for f in described["distribution"] if f["@type"] == "cr:FileObject"}
    assert set(files) == {"images.zip", "weights.safetensors", "audit/audit.json", "tables/dice.csv"}
    for name, about in files.items():
        assert about["sha256"] == sha256_of_file(bundle[1] / name)
