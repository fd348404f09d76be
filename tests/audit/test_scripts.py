"""The scripts of the audit, one after the other, on a generator that is not trained; copies replaced; withdrawal."""

import json
from pathlib import Path

import pandas as pd
import pytest
from audited import AUDIT, COUNT, audited, script
from scripts_here import run_apart

from understudy.audit.planted import KINDS
from understudy.audit.withdraw import dependents, identity_of, near_images
from understudy.files.atomic import sha256_of_file
from understudy.stack import Stack


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return audited(tmp_path_factory)


def test_everything_is_written(results):
    own = results / "made/generators/stylegan2"
    summary = json.loads((own / "audit.json").read_text())
    assert summary["count"] == COUNT and summary["filtered"] is False
    assert summary["samples_sha256"] == sha256_of_file(own / "samples.zip")
    assert set(summary["recall"]) == set(KINDS) and summary["recall"]["identical"] == 1
    images, subjects = pd.read_csv(own / "memorization.csv"), pd.read_csv(own / "audit_subjects.csv")
    assert sorted(images["image"]) == Stack.open(own / "samples.zip").names and set(subjects["subject"]) == set("abc")
    assert images["mutual_information_bits"].notna().sum() == AUDIT["details"]
    for name in ("memorization", "pairs"):
        assert (own / f"{name}.png").stat().st_size > 5000 and (own / f"{name}.pdf").is_file()


def test_flagged_images_are_replaced_by_further_ones(results, tmp_path):
    made, own = results / "made", results / "made/generators/stylegan2"
    table = pd.read_csv(own / "memorization.csv")
    table["filter_drops"] = table["image"].isin(gone := [f"{number:06d}.png" for number in (3, 17, 69)])
    table.to_csv(tmp_path / "memorization.csv", index=False)
    summary = json.loads((own / "audit.json").read_text())
    summary |= {"images_sha256": sha256_of_file(tmp_path / "memorization.csv")}
    summary["filter_drops"] = 3
    (tmp_path / "audit.json").write_text(json.dumps(summary))
    how = {
        "weights": own / "weights.safetensors",
        "samples": own / "samples.zip",
        "summary": tmp_path / "audit.json",
        "images": tmp_path / "memorization.csv",
        "calibration": made / "audit/calibration.json",
        "train": made / "stacks/train.zip",
        "audit": json.dumps(AUDIT),
        "memory_mb": 100,
        "sampling": results / "runs/samples",
        "runs": results / "runs/audit",
        "device": "cpu",
        "threads": 1,
    }
    text = script("filter_samples", **how, output=tmp_path / "filtered.zip")
    assert "3 of 70 images were dropped and replaced; 134 were drawn in all" in text
    filtered, samples = Stack.open(tmp_path / "filtered.zip"), Stack.open(own / "samples.zip")
    kept = [name for name in samples.names if name not in gone]
    assert filtered.names[:67] == kept and len(filtered) == COUNT
    assert all(int(name[:6]) >= COUNT for name in filtered.names[67:])
    assert (filtered.read(range(67)) == samples.read([samples.names.index(name) for name in kept])).all()
    assert filtered.meta["lineage"] == samples.meta["lineage"]
    told = {"dropped": 3, "drawn": 134, "false_positive_rate": 0.05, "samples_sha256": samples.sha256}
    told |= {"flagged": summary["memorized"]["count"]}
    assert filtered.meta["source"]["filtered"] == told
    manifest = json.loads((tmp_path / "filtered.json").read_text())
    assert manifest["sha256"] == sha256_of_file(tmp_path / "filtered.zip") and manifest["count"] == COUNT
    (tmp_path / "again").mkdir()
    script("filter_samples", run_apart, **how, output=tmp_path / "again/filtered.zip")
    assert (tmp_path / "again/filtered.zip").read_bytes() == (tmp_path / "filtered.zip").read_bytes()


def test_what_has_seen_a_withdrawn_subject_is_listed(results):
    own = results / "made/generators/stylegan2"
    table = pd.read_csv(own / "memorization.csv")
    table.loc[2, ["flagged", "nearest"]] = [True, "b/003.png"]
    table.to_csv(own / "memorization.csv", index=False)
    for name in ("real", "stylegan2", "shuffled"):
        (results / "made/segmenters/unet" / name).mkdir(parents=True)
    identity, split = identity_of(results, "made", "b")
    assert (identity, split) == ("identity-b", "train")
    found = {Path(one.path).relative_to(results / "made").as_posix() for one in dependents(results, identity)}
    segmenters = {f"segmenters/unet/{name}" for name in ("real", "stylegan2", "shuffled")}
    samples = {"generators/stylegan2/samples.zip", "generators/stylegan2/weights.safetensors"}
    assert found == {"stacks/train.zip", *samples, *segmenters}
    assert [one.path for one in dependents(results, "identity-d")] == [str(results / "made/stacks/test.zip")]
    (near,) = near_images(results, "made", "b").itertuples()
    assert near.image == table.loc[2, "image"] and near.stack == str(own / "samples.zip")
    with pytest.raises(ValueError, match="found no subject 'nobody', expected one of 6, such as a"):
        identity_of(results, "made", "nobody")
