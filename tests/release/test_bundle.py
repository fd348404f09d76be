"""What is in a release, what is not, and that it can be made again to the last bit."""

import hashlib
import hmac
import json
import os
import stat
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from house import OPTIONS, SUBJECTS
from safetensors import safe_open

from understudy.files.atomic import canonical_json, read_json, sha256_of_file
from understudy.files.salt import drawn_salt, read_salt
from understudy.generate.sample import Sampling
from understudy.generate.weights import load_generator
from understudy.release.about import About
from understudy.release.anonymous import commitment
from understudy.stack.archive import Stack, decode_png, encode_png


def content_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_files(bundle):
    house, folder = bundle
    top = {path.name for path in folder.iterdir()}
    assert top == {
        *("images.zip", "images", "weights.safetensors", "audit", "tables", "README.md", "LICENSE", "CITATION.cff"),
        *("croissant.json", "ro-crate-metadata.json", "verify.py", "SHA256SUMS", "privacy.html"),
        *("datacite.json", ".zenodo.json", "healthdcat-ap.jsonld", "sbom.spdx.json", "workflow.smk"),
    }
    assert [path.name for path in (folder / "audit").iterdir()] == ["audit.json"]
    assert not list(folder.parent.glob(".stylegan2.*"))


def test_a_release_of_images_alone(house):
    """Weights go out where that is asked for, and so do folders."""
    house.release()
    assert not (house.output / "weights.safetensors").exists() and not (house.output / "images").exists()
    house.release(sources=replace(house.sources, table=None, fidelity=None, annotation=None))
    assert "not measured here" in (house.output / "privacy.html").read_text()
    assert not (house.output / "tables").exists() and "was not measured" in (house.output / "README.md").read_text()


def test_no_subject_in_any_byte(bundle):
    house, folder = bundle
    secrets = {*SUBJECTS, *house.identities.values()}
    assert len(secrets) == 12 and SUBJECTS[0] in json.dumps(house.manifest())
    for name, content in content_of(folder).items():
        for secret in secrets:
            assert secret.encode() not in content and secret not in name, (name, secret)


def test_no_hash_that_confirms_a_guess_of_the_subjects(bundle):
    """Hashes of files with identities in them would: who has the images and guesses the list can make the same file."""
    house, folder = bundle
    hashes = [sha256_of_file(house.generator / name) for name in ("samples.zip", "weights.safetensors")]
    hashes.append(read_json(house.generator / "samples.json")["lineage_hash"])
    for name, content in content_of(folder).items():
        assert not any(known.encode() in content for known in hashes), name


def test_two_makes_are_the_same_to_the_last_bit(house):
    how = {"sources": house.with_weights(), "folders": True}
    first = content_of(house.release(**how))
    os.utime(house.generator / "samples.zip", (1, 1))
    assert content_of(house.release(**how)) == first


def test_images_are_those_that_were_audited(bundle):
    house, folder = bundle
    before, after = Stack.open(house.generator / "samples.zip"), Stack.open(folder / "images.zip")
    assert after.names == before.names and len(after) == 12
    np.testing.assert_array_equal(after.read(), before.read())
    assert all(encode_png(decode_png(after.png(i), after.shape_CHW)) == after.png(i) for i in range(12))
    assert after.meta["labels"] == before.meta["labels"] and after.channels == before.channels
    for i, channel in enumerate(after.channels):
        picture = cv2.imread(str(folder / f"images/{channel}/000007.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(picture, before[7][i])
        assert encode_png(picture[None]) == (folder / f"images/{channel}/000007.png").read_bytes()


def test_a_receiver_cannot_take_the_images_for_those_of_nobody(bundle):
    """No segmenter is trained on a stack of unknown lineage: it could have seen the test subjects."""
    meta = Stack.open(bundle[1] / "images.zip").meta
    assert meta["lineage"] == [] and meta["source"] == {
        "dataset": "made",
        "generator": "stylegan2",
        "lineage": "unknown",
    }


def test_the_sharer_can_open_the_commitment(bundle):
    house, folder = bundle
    salt = read_salt(house.salt)
    committed = Stack.open(folder / "images.zip").meta["lineage_commitment"]
    lineage = sorted(house.identities[name] for name in SUBJECTS[:4])
    expected = hmac.new(salt, canonical_json(lineage).encode(), hashlib.sha256).hexdigest()
    assert committed == {"subjects": 4, "hmac_sha256": expected}
    assert commitment(lineage[::-1], salt) == committed != commitment(lineage, salt[::-1])


def test_weights_draw_the_same_without_saying_of_whom(bundle):
    house, folder = bundle
    theirs, about = load_generator(folder / "weights.safetensors")
    ours, before = load_generator(house.weights)
    assert (theirs.sample(2, seed=3) == ours.sample(2, seed=3)).all()
    assert about["lineage"] == [] and about["lineage_commitment"]["subjects"] == 4 == len(before["lineage"])
    assert about["licence"].startswith("CC-BY-4.0") and about["options"] == before["options"]
    assert "seed" in before and "seed" not in about  # with it, the draw of subjects could be made again
    with safe_open(folder / "weights.safetensors", "np") as file:
        assert list(file.metadata()) == ["understudy"] and not file.metadata()["understudy"].count(SUBJECTS[0])


def test_samples_of_released_weights_are_of_unknown_subjects(bundle, tmp_path):
    folder = bundle[1]
    released = Sampling.of(folder / "weights.safetensors", 4, 1, tmp_path)
    assert released.meta["source"]["lineage"] == "unknown" and released.meta["lineage"] == []
    assert "lineage" not in Sampling.of(bundle[0].weights, 4, 1, tmp_path).meta["source"]


def test_the_audit_is_numbers_alone(bundle):
    house, folder = bundle
    audit = read_json(folder / "audit/audit.json")
    assert audit["samples_sha256"] == sha256_of_file(folder / "images.zip")
    assert audit["recall"]["turned"] == 0.42 and audit["memorized"]["high"] == 0.221 and audit["verdict"] == "pass"
    assert "pairs" not in audit and "reasons" not in audit


def test_the_card_says_what_a_receiver_asks(bundle):
    text = (bundle[1] / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "cc-by-4.0" and front["pretty_name"] == OPTIONS["title"]
    assert "12 synthetic medical images of 16 x 16 pixels (t1, t1ce, t2, flair)" in text
    assert "trained on images of 4 subjects" in text and "| `seg` | 64 to 79 |" in text
    assert "`ncr_net` 51, `ed` 102, `et` 204" in text
    assert "0, 0 % (95 % interval 0 % to 22.1 %)" in text and "score 1.4" in text and "| turned | 42 % |" in text
    assert "| `unet` | `stylegan2` | `augmented` | 0.703 ± 0.020 | 2 |" in text and "`real+stylegan2`" in text
    for other in ("diffusion", "shuffled", "0.201"):
        assert other not in text.split("## Do they serve?")[1]
    assert "data@hospital.example" in text and "Ada Example, Bo Example (2026): " in text
    shown = [line.split("`")[1].rstrip("/") for line in text.splitlines() if line.startswith("| `") and "." in line]
    assert {"images.zip", "weights.safetensors", "croissant.json"} <= set(shown)


def test_the_page_has_the_numbers_of_the_study(bundle):
    """And of what others may have written in these files, nothing else."""
    page = (bundle[1] / "privacy.html").read_text()
    assert "random features of t1ce: Frechet distance 3.2 (real: 1.5); precision 50 % (real: 75 %)" in page
    assert "unet, stylegan2: 0.70, 87 % of real" in page and "pieces of ncr_net" in page and "12 % (real: 0 %)" in page
    assert "biased" not in page and "inception" not in page


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("fidelity", "made,stylegan2,test", "made,diffusion,test", "found 'diffusion' on 'made', expected stylegan2"),
        ("fidelity", "1.0,", "1.0,0", "was computed from images with SHA-256 '0.*it is out of date"),
        ("annotation", "stylegan2,", "stylegan2,0", "was computed from images with SHA-256 '0.*it is out of date"),
        ("fidelity", ",random,,t1ce", ",random,,patient_7", "found another space or channel"),
        ("fidelity", "made,stylegan2,test", "made,stylegan2,real", "expected both"),
        ("fidelity", "3.25", "3.25 of phantom_001", "found '3.25 of phantom_001', expected a number"),
        ("annotation", "all,illegal_share", "all,legal_share", "found no row all illegal_share"),
    ],
)
def test_other_tables_are_refused(house, name, old, new, message):
    path = house.generator / f"{name}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        house.release()


def test_the_example_of_the_card_runs(bundle, monkeypatch):
    monkeypatch.chdir(bundle[1])
    example = (bundle[1] / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    np.testing.assert_array_equal(names["image"], Stack.open("images.zip")[0])


def test_citation_and_licence(bundle):
    citation = yaml.safe_load((bundle[1] / "CITATION.cff").read_text())
    assert citation["title"] == OPTIONS["title"] and citation["license"] == "CC-BY-4.0"
    assert [person["name"] for person in citation["authors"]] == ["Ada Example", "Bo Example"]
    assert citation["cff-version"] == "1.2.0" and str(citation["date-released"]) == "2026-01-31"
    licence = (bundle[1] / "LICENSE").read_text()
    assert "SPDX-License-Identifier: CC-BY-4.0" in licence and "https://spdx.org/licenses/CC-BY-4.0" in licence


def test_words_of_the_sharer_break_no_file(house):
    """Whatever stands in a title, a name or an address: the head stays YAML, the table a table, the title one line."""
    title = 'Heads: "A" | B\n---\n# <b>\x85\u2028x'
    creators = [{"name": "Ada\nlicense: MIT | [x](y)"}]
    own = About.of(
        "made", "stylegan2", OPTIONS | {"title": title, "creators": creators, "licence_url": "https://x/a b)("}
    )
    house.release(about=own)
    text = (house.output / "README.md").read_text()
    assert yaml.safe_load(text.split("\n---\n")[0])["pretty_name"] == title
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert (
        headings[0].startswith('# Heads: "A" \\| B ---')
        and "<b>" not in headings[0]
        and "https://x/a%20b%29%28)" in text
    )
    citation = yaml.safe_load((house.output / "CITATION.cff").read_text())
    assert citation["title"] == title and citation["authors"] == creators and citation["license"] == "CC-BY-4.0"
    assert len((house.output / "LICENSE").read_text().splitlines()[1].split("license: MIT")) == 2
    assert read_json(house.output / "croissant.json")["alternateName"] == title


def test_terms_of_ones_own(house, tmp_path):
    terms = tmp_path / "terms.txt"
    terms.write_text("Ask us first.\n")
    own = About.of("made", "stylegan2", OPTIONS | {"licence": "LicenseRef-House", "licence_file": str(terms)})
    house.release(about=own)
    assert (house.output / "LICENSE").read_text().endswith("Ask us first.\n")
    graph = read_json(house.output / "ro-crate-metadata.json")["@graph"]
    assert [e for e in graph if e["@id"] == "LICENSE"][0]["@type"] == "File"
    assert next(e for e in graph if e["@id"] == "./")["license"] == {"@id": "LICENSE"}
    assert "license: other" in (house.output / "README.md").read_text()


# ------------------------------------------------------------------------------------------------ the salt
def test_the_salt_is_a_secret_outside_of_what_people_zip(house):
    house.release()
    assert stat.S_IMODE(house.salt.stat().st_mode) == 0o600 and len(read_salt(house.salt)) == 64
    before = house.salt.read_bytes()
    house.release()
    assert house.salt.read_bytes() == before
    for folder in (house.output.parent, house.folder):
        assert all(before.strip() not in content for content in content_of(folder).values())
    with pytest.raises(ValueError, match="found the salt in the folder of releases"):
        house.release(salt_file=house.output.parent / ".salt")
    assert [path.name for path in house.output.parent.iterdir()] == ["stylegan2"]


def test_a_salt_of_ones_own(house, tmp_path):
    own = tmp_path / "salt"
    own.write_text("0123456789abcdef" * 4)
    own.chmod(0o644)
    with pytest.raises(ValueError, match="found a salt that others may read.*chmod 600"):
        house.release(salt_file=own)
    own.chmod(0o600)
    house.release(salt_file=own)
    assert not house.salt.exists()
    own.write_text("short")
    with pytest.raises(ValueError, match="found a salt of 5 bytes, expected at least 32"):
        house.release(salt_file=own)


def test_who_draws_second_takes_the_first_salt(tmp_path, monkeypatch):
    first = drawn_salt(tmp_path / ".salt")
    monkeypatch.setattr("pathlib.Path.exists", lambda self: False)  # as if both had looked at once
    assert drawn_salt(tmp_path / ".salt") == first
    assert [path.name for path in tmp_path.iterdir()] == [".salt"]


# ------------------------------------------------------------------------------------------------ the folder
def test_an_older_release_is_replaced_as_a_whole(house):
    house.release(sources=house.with_weights(), folders=True)
    house.release()
    assert not (house.output / "images").exists() and not (house.output / "weights.safetensors").exists()


def test_a_folder_of_somebody_is_not_replaced(house):
    house.output.mkdir(parents=True)
    (house.output / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"found thesis.tex there, expected no folder, or a release"):
        house.release()
    assert (house.output / "thesis.tex").read_text() == "x"


@pytest.mark.parametrize("name", ["images/patient.nii.gz", "images/t1/patient.png", "tables/mine.csv", "audit/a/b"])
def test_a_folder_with_more_than_a_release_is_not_replaced(house, name):
    (house.output / name).parent.mkdir(parents=True)
    (house.output / name).write_text("x")
    with pytest.raises(ValueError, match=f"found {name} there, expected no folder, or a release"):
        house.release()
    assert (house.output / name).read_text() == "x"


def test_a_link_in_the_place_of_a_release_is_not_followed(house, tmp_path):
    house.output.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    house.output.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="found a link"):
        house.release()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_kill_leaves_nothing_in_the_way(house):
    half = house.output.with_name(".stylegan2.tmp")
    half.mkdir(parents=True)
    (half / "images.zip").write_text("half")
    house.release()
    assert not half.exists() and (house.output / "verify.py").is_file()


def test_a_full_disk_is_said_and_leaves_nothing(house, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    house.release()
    before = content_of(house.output)
    monkeypatch.setattr("understudy.files.atomic.os.fsync", full)
    with pytest.raises(ValueError, match="could not be written .No space left on device.;"):
        house.release()
    assert content_of(house.output) == before and not house.output.with_name(".stylegan2.tmp").exists()
