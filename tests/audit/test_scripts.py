"""The scripts of the audit, one after the other, on a generator that is not trained; copies replaced; withdrawal."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from made import make_stack

from understudy.audit.withdraw import dependents, identity_of, near_images
from understudy.core.files import sha256_of_file
from understudy.core.machine import Limits
from understudy.core.stack import Stack
from understudy.generate import sample as sampling
from understudy.generate import weights as stage

ROOT = Path(__file__).resolve().parents[2]
COUNT = 70
AUDIT = {
    "view": "all",
    "views": ["all", "brain"],
    "channel": "t1ce",
    "variants": "flip",
    "shifts": 4,
    "nearest": 3,
    "false_positive_rate": 0.05,
    "limit": 0.0,
    "null_images": 20,
    "planted": 5,
    "details": 3,
    "most_draws": 3,
}


def script(name: str, **arguments) -> str:
    """Runs scripts/{name}.py; what it printed."""
    command = [sys.executable, str(ROOT / f"scripts/{name}.py")]
    for key, value in arguments.items():
        command += [f"--{key.replace('_', '-')}", *([] if value is True else [str(value)])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """results/made as the rules make it, for a generator with its first weights."""
    results = tmp_path_factory.mktemp("study") / "results"
    made, own = results / "made", results / "made/generators/stylegan2"
    (made / "stacks").mkdir(parents=True)
    train = make_stack(made / "stacks/train.zip", ["a", "b", "c"], 8)
    make_stack(made / "stacks/test.zip", ["d", "e", "f"], 8, seed=1)
    options = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "precision": "fp32"}
    generator = stage.seeded_build("stylegan2", 5, 16, 0, **options)
    metadata = stage.describe("stylegan2", generator, train.meta, dataset="made", seed=0, images_seen=0)
    own.mkdir(parents=True)
    stage.publish_weights(generator.networks["generator"].state_dict(), own / "weights.safetensors", metadata)
    wanted = sampling.Sampling.of(own / "weights.safetensors", COUNT, 5, results / "runs/samples")
    with sampling.only_sampler(wanted, Limits()) as attempt:
        attempt.reason = sampling.draw_samples(wanted, "cpu", 1, Limits())
    sampling.publish_samples(wanted, own / "samples.zip")
    machine = {"runs": results / "runs/audit", "memory_mb": 100, "device": "cpu", "threads": 1}
    stacks = {"train": made / "stacks/train.zip", "test": made / "stacks/test.zip", "audit": json.dumps(AUDIT)}
    real = {"real": made / "audit/real.safetensors"}
    script("calibrate_audit", **stacks, **machine, **real, seed=0, output=made / "audit/calibration.json")
    images = {"samples": own / "samples.zip"}
    script("find_nearest", **stacks, **machine, **images, output=own / "nearest.safetensors")
    judge(made, "", images["samples"])
    return results


def judge(made: Path, prefix: str, samples: Path, **more) -> dict:
    own = made / "generators/stylegan2"
    outputs = {
        "summary": own / f"{prefix}audit.json",
        "images": own / f"{prefix}memorization.csv",
        "subjects": own / f"{prefix}audit_subjects.csv",
        "figure": own / f"{prefix}memorization.png",
        "pairs": own / f"{prefix}pairs.png",
    }
    inputs = {
        "samples": samples,
        "train": made / "stacks/train.zip",
        "nearest": own / f"{prefix}nearest.safetensors",
        "calibration": made / "audit/calibration.json",
        "real": made / "audit/real.safetensors",
        "audit": json.dumps(AUDIT),
    }
    script("audit_samples", dataset="made", generator="stylegan2", **inputs, **outputs, **more)
    return json.loads(outputs["summary"].read_text())


def test_everything_is_written(results):
    own = results / "made/generators/stylegan2"
    summary = json.loads((own / "audit.json").read_text())
    assert summary["count"] == COUNT and summary["filtered"] is False
    assert summary["samples_sha256"] == sha256_of_file(own / "samples.zip")
    assert list(summary["recall"]) == ["blurred", "flipped", "gamma", "identical", "noise", "rotated", "shifted"]
    images, subjects = pd.read_csv(own / "memorization.csv"), pd.read_csv(own / "audit_subjects.csv")
    assert sorted(images["image"]) == Stack.open(own / "samples.zip").names and set(subjects["subject"]) == set("abc")
    assert images["mutual_information_bits"].notna().sum() == AUDIT["details"]
    for name in ("memorization", "pairs"):
        assert (own / f"{name}.png").stat().st_size > 5000 and (own / f"{name}.pdf").is_file()


def test_flagged_images_are_replaced_by_further_ones(results, tmp_path):
    made, own = results / "made", results / "made/generators/stylegan2"
    table = pd.read_csv(own / "memorization.csv")
    table["flagged"] = table["image"].isin(gone := [f"{number:06d}.png" for number in (3, 17, 69)])
    table.to_csv(tmp_path / "memorization.csv", index=False)
    how = {
        "weights": own / "weights.safetensors",
        "samples": own / "samples.zip",
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
    assert "3 of 70 images were flagged and replaced; 134 were drawn in all" in text
    filtered, samples = Stack.open(tmp_path / "filtered.zip"), Stack.open(own / "samples.zip")
    kept = [name for name in samples.names if name not in gone]
    assert filtered.names[:67] == kept and len(filtered) == COUNT
    assert all(int(name[:6]) >= COUNT for name in filtered.names[67:])
    assert (filtered.read(range(67)) == samples.read([samples.names.index(name) for name in kept])).all()
    assert filtered.meta["lineage"] == samples.meta["lineage"]
    assert filtered.meta["source"]["filtered"] == {"dropped": 3, "drawn": 134, "false_positive_rate": 0.05}
    manifest = json.loads((tmp_path / "filtered.json").read_text())
    assert manifest["sha256"] == sha256_of_file(tmp_path / "filtered.zip") and manifest["count"] == COUNT
    (tmp_path / "again").mkdir()
    script("filter_samples", **how, output=tmp_path / "again/filtered.zip")
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
