"""Each format of a release describes the files that are there, and says what the others say: without any validator."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from house import OPTIONS

from understudy.files.atomic import read_json, sha256_of_file
from understudy.release.about import About
from understudy.release.healthdcat import web_page
from understudy.release.steps import steps

HERE = Path(__file__).parent


def test_the_crate_describes_what_is_there(bundle):
    folder = bundle[1]
    crate = read_json(folder / "ro-crate-metadata.json")
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pictures = {name for name in there if name.endswith(".png")}
    assert parts == there - pictures - {"ro-crate-metadata.json"} | {"images/"}
    for name in parts - {"images/", "SHA256SUMS"}:
        assert entities[name]["sha256"] == sha256_of_file(folder / name)
    for name in parts - {"images/"}:
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
        kinds = entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]]
        assert {key for key in entity if not key.startswith("@")} | set(kinds) <= known


def test_croissant_describes_what_is_there(bundle):
    described = read_json(bundle[1] / "croissant.json")
    files = {f["contentUrl"]: f for f in described["distribution"] if f["@type"] == "cr:FileObject"}
    assert set(files) == {"images.zip", "weights.safetensors", "audit/audit.json", "tables/dice.csv"}
    for name, about in files.items():
        assert about["sha256"] == sha256_of_file(bundle[1] / name)


def test_croissant_says_that_the_images_are_synthetic(bundle):
    described = read_json(bundle[1] / "croissant.json")
    assert described["conformsTo"][0] == "http://mlcommons.org/croissant/1.1" and described["rai:hasSyntheticData"]
    assert "training subjects of the data set made" in described["prov:wasDerivedFrom"]["prov:label"]
    assert described["prov:wasGeneratedBy"]["prov:label"].endswith("train_generator, sample_generator, audit_samples")


def test_the_crate_tells_the_parameters_of_each_rule(bundle):
    entities = {entity["@id"]: entity for entity in read_json(bundle[1] / "ro-crate-metadata.json")["@graph"]}
    run = entities["#drawing"]
    assert [given["@id"] for given in run["object"]] == [
        *("#train_generator", "#sample_generator", "#audit_samples", "#versions")
    ]
    assert "latent_size 4" in entities["#train_generator"]["value"] and "images_seen 9000" in str(entities)
    assert "seed" not in entities["#train_generator"]["value"]
    workflow = entities[run["instrument"]["@id"]]
    assert (
        workflow["@id"] == "workflow.smk" == entities["./"]["mainEntity"]["@id"] and run["endTime"] == OPTIONS["date"]
    )
    assert [entities[one["@id"]]["workExample"] for one in workflow["input"]] == run["object"]
    assert entities[workflow["output"]["@id"]]["workExample"] == {"@id": "images.zip"}
    assert entities[workflow["softwareRequirements"]["@id"]]["name"] == "python"


def test_parameters_that_may_name_a_place_are_not_told():
    """Of a filtered release; options are what a config, perhaps another one, holds."""
    options = {"batch": 4, "betas": [0.0, 0.99], "start": "/data/patient_7/weights", "seed": 1, "kind": "grey", "x": {}}
    trained, drawn, kept, judged = steps({"options": options}, {"filtered": True, "dropped": 2, "view": "all"}, 12)
    assert trained.parameters == {"batch": "4", "betas": "[0.0, 0.99]", "kind": '"grey"'}
    assert (drawn.parameters, kept.parameters) == ({"count": "12"}, {"dropped": "2"})
    assert kept.rule == "filter_samples" and judged.parameters == {"view": '"all"'}


def test_archives_are_told_the_same(bundle):
    """DataCite and Zenodo; the two of Ada and Bo work at one hospital, whose ROR one of them gives."""
    record, form = (read_json(bundle[1] / name) for name in ("datacite.json", ".zenodo.json"))
    assert record["titles"] == [{"title": form["title"]}] == [{"title": OPTIONS["title"]}]
    hospital = {"name": "A Hospital", "affiliationIdentifier": "https://ror.org/05ynxx418"}
    assert [creator["affiliation"] for creator in record["creators"]] == [
        [hospital | {"affiliationIdentifierScheme": "ROR"}]
    ] * 2
    assert form["creators"][0] == {"name": "Ada Example", "affiliation": "A Hospital", "orcid": "0000-0002-1825-0097"}
    assert form["license"] == record["rightsList"][0]["rightsIdentifier"] == "cc-by-4.0"
    assert "doi" not in record and "identifiers" not in record  # the archive gives it
    assert f"images.zip: {(bundle[1] / 'images.zip').stat().st_size} bytes" in record["sizes"]


def test_terms_of_ones_own_are_no_licence_of_an_archive(house):
    terms = {"licence": "LicenseRef-House", "licence_url": "https://x.example", "contact": "the front desk"}
    house.release(about=About.of("made", "stylegan2", OPTIONS | terms))
    record, form, sbom = (
        read_json(house.output / name) for name in ("datacite.json", ".zenodo.json", "sbom.spdx.json")
    )
    assert "license" not in form and "LicenseRef-House" in form["notes"]
    assert record["rightsList"] == [{"rights": "LicenseRef-House", "rightsUri": "https://x.example"}]
    assert sbom["hasExtractedLicensingInfos"] == [
        {"licenseId": "LicenseRef-House", "name": "House", "extractedText": "See https://x.example"}
    ]

    described = read_json(house.output / "healthdcat-ap.jsonld")["@graph"][0]
    assert "dct:accessRights" not in described and described["dcat:distribution"]["dct:license"]["@id"] == (
        "https://x.example"
    )
    assert "dcat:contactPoint" not in described and "cv:contactPoint" not in described["dct:publisher"]


def test_what_the_hospital_states_is_in_the_record_of_a_health_catalogue(house):
    body = {"name": "A Body", "contact": "ask@body.example"}
    laws = ["http://data.europa.eu/eli/reg/2025/327/oj"]
    stated = {"legislation": laws, "categories": ["EHRS", "RQSH"], "access_body": body, "public": True}
    terms = {"licence": "LicenseRef-House", "licence_url": "https://x.example", "health_catalogue": stated}
    house.release(about=About.of("made", "stylegan2", OPTIONS | terms))
    described, *lists = read_json(house.output / "healthdcat-ap.jsonld")["@graph"]
    for part in (described, described["dcat:distribution"]):
        assert [law["@id"] for law in part["dcatap:applicableLegislation"]] == laws
    assert [one["@id"].rsplit("/", 1)[1] for one in described["healthdcatap:healthCategory"]] == ["EHRS", "RQSH"]
    assert described["healthdcatap:hdab"]["foaf:name"] == "A Body"
    assert described["healthdcatap:hdab"]["cv:contactPoint"]["cv:email"] == "ask@body.example"
    assert described["dct:accessRights"]["@id"].endswith("/PUBLIC")  # own terms, and the hospital says so
    assert "Health categories" in {one["dct:title"]["@value"] for one in lists}


def test_the_record_of_a_health_catalogue_says_what_is_known(bundle):
    described, *lists = read_json(bundle[1] / "healthdcat-ap.jsonld")["@graph"]
    images, publisher = described["dcat:distribution"], described["dct:publisher"]
    assert images["spdx:checksum"]["spdx:checksumValue"]["@value"] == sha256_of_file(bundle[1] / "images.zip")
    assert int(images["dcat:byteSize"]["@value"]) == (bundle[1] / "images.zip").stat().st_size
    assert (publisher["@id"], publisher["foaf:name"]) == ("https://ror.org/05ynxx418", "A Hospital")
    assert publisher["cv:contactPoint"]["cv:email"] == OPTIONS["contact"]
    assert described["dct:type"]["@id"].endswith("/SYNTHETIC_DATA")
    asked = (described["dcat:theme"], described["dct:type"], images["dct:format"], described["dct:accessRights"])
    assert {one["skos:inScheme"]["@id"] for one in asked} == {one["@id"] for one in lists}
    said = json.dumps(described)  # what only the hospital can state is left out, not made up
    assert not any(name in said for name in ("applicableLegislation", "hdab", "healthCategory", "accessURL"))


@pytest.mark.parametrize(
    "text", ["the front desk", "https://x.example/a b", "mailto:a@b.example", 'https://x.example/"']
)
def test_what_is_no_address_becomes_none(text):
    assert web_page(text) == "" and web_page("https://x.example/a?b=c") == "https://x.example/a?b=c"


def test_the_bill_of_materials_lists_every_file_and_its_sums(bundle):
    folder, sbom = bundle[1], read_json(bundle[1] / "sbom.spdx.json")
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.suffix != ".png"}
    listed = {file["fileName"].removeprefix("./"): file for file in sbom["files"]}
    assert set(listed) == there - {"sbom.spdx.json", "ro-crate-metadata.json", "SHA256SUMS"}
    for name, file in listed.items():
        sums = {one["algorithm"]: one["checksumValue"] for one in file["checksums"]}
        content = (folder / name).read_bytes()
        assert sums == {"SHA1": hashlib.sha1(content).hexdigest(), "SHA256": hashlib.sha256(content).hexdigest()}
    assert len({file["SPDXID"] for file in listed.values()}) == len(listed)
    assert {one["name"] for one in sbom["packages"]} == {OPTIONS["title"], "numpy", "python", "torch", "understudy"}


def test_a_table_of_pictures_is_for_image_folders_alone(bundle, house):
    rows = (bundle[1] / "images/metadata.csv").read_text().splitlines()
    assert rows[0] == "t1_file_name,t1ce_file_name,t2_file_name,flair_file_name,seg_file_name" and len(rows) == 13
    assert all((bundle[1] / "images" / name).is_file() for row in rows[1:] for name in row.split(","))
    front = yaml.safe_load((bundle[1] / "README.md").read_text().split("---")[1])
    assert front["configs"] == [{"config_name": "default", "data_dir": "images"}]
    house.release()
    assert "configs" not in (house.output / "README.md").read_text() and not (house.output / "images").exists()


@pytest.mark.parametrize("creator", [{"ror": "05ynxx418", "affiliation": "A"}, {"ror": "https://ror.org/05ynxx418"}])
def test_an_identifier_of_an_organization_needs_its_form_and_its_name(creator):
    about = About.of("made", "stylegan2", OPTIONS | {"creators": [{"name": "A"} | creator]})
    (problem,) = about.problems()
    assert problem.startswith(f"release.creators: found ror {creator['ror']!r}, expected an address")
