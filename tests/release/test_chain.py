"""A release through its script, of a study that the scripts of the rules have made: what was audited is what leaves."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from audited import AUDIT, audited, run_script, searching
from house import OPTIONS

from understudy.audit.search_tasks import read_found, write_found
from understudy.files.atomic import read_json, sha256_of_file, write_json
from understudy.files.json_forms import Nearest
from understudy.generate.weights import read_metadata
from understudy.stack import Stack, StackWriter
from understudy.stack.manifest import write_manifest
from understudy.stack.tensors import read_tensors, write_tensors


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return audited(tmp_path_factory)


@pytest.fixture
def results(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "results"))


def release(results: Path, **more) -> subprocess.CompletedProcess:
    made, own = results / "made", results / "made/generators/stylegan2"
    given = {
        "dataset": "made",
        "generator": "stylegan2",
        "options": json.dumps(OPTIONS),
        "audit_options": json.dumps(AUDIT),
        "images": own / "samples.zip",
        "audit": own / "audit.json",
        "nearest": own / "nearest.safetensors",
        "train": made / "stacks/train.zip",
        "test": made / "stacks/test.zip",
        "real": made / "audit/real.safetensors",
        "calibration": made / "audit/calibration.json",
        "training": own / "weights.json",
        "salt": results.parent / "runs/salt",
        "weights": own / "weights.safetensors",
        "weights_attack": own / "weights_attack.json",
        "weights_audit": own / "audit.json",
        "weights_nearest": own / "nearest.safetensors",
        "weights_samples": own / "samples.zip",
        "output": made / "release/stylegan2",
    }
    return run_script("make_release", **(given | more))


def refused(results: Path, *said: str, **more) -> None:
    done = release(results, **more)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert all(one in done.stderr for one in said), done.stderr
    assert not (results / "made/release/stylegan2").exists()


def with_copies(results: Path) -> None:
    """Training images in the place of the samples, and a manifest that fits them."""
    path, train = results / "made/generators/stylegan2/samples.zip", Stack.open(results / "made/stacks/train.zip")
    samples = Stack.open(path)
    meta = {key: value for key, value in samples.meta.items() if key not in ("count", "format")}
    with StackWriter(path, meta) as writer:
        for name, x_CHW in zip(samples.names, np.resize(train.read(), (len(samples), *train.shape_CHW)), strict=True):
            writer.add(name, x_CHW)
    write_manifest(path, meta, count=len(samples))


def test_a_sound_chain_is_released_and_verified(results):
    done = release(results, options=json.dumps(OPTIONS | {"bids": "whole_head", "orientation": "RAS"}))
    assert done.returncode == 0, done.stderr
    output = results / "made/release/stylegan2"
    checked = subprocess.run([sys.executable, output / "verify.py"], capture_output=True, text=True)
    assert checked.returncode == 0 and "hold pixels alone" in checked.stdout, checked.stderr
    assert read_json(output / "bids/T1w.json")["SkullStripped"] is False
    volume = next(output.glob("bids/sub-synthetic000000/anat/*_T2w.nii.gz"))
    assert nibabel.aff2axcodes(nibabel.load(volume).affine) == ("R", "A", "S")
    assert read_json(output / "audit/audit.json")["verdict"] == "pass"
    told = (output / "audit/audit.json").read_text()
    assert not any(sha256_of_file(path) in told for path in (results / "made/stacks").glob("*.zip"))


def test_copies_behind_an_old_audit(results):
    with_copies(results)
    refused(results, "is the audit of images with SHA-256")


def test_copies_whose_hash_somebody_wrote_into_the_audit(results):
    with_copies(results)
    own = results / "made/generators/stylegan2"
    sha256 = sha256_of_file(own / "samples.zip")
    write_json(own / "audit.json", read_json(own / "audit.json") | {"samples_sha256": sha256})
    refused(results, "nearest.safetensors: found SHA-256", "of the samples that it was made from")


def test_copies_behind_a_search_that_says_to_be_theirs(results):
    """Every hash was made to fit: the release searches some images again."""
    with_copies(results)
    own = results / "made/generators/stylegan2"
    found, about = read_found(own / "nearest.safetensors", Nearest)
    sha256 = sha256_of_file(own / "samples.zip")
    write_found(own / "nearest.safetensors", found, about | {"samples_sha256": sha256})
    links = {"samples_sha256": sha256, "nearest_sha256": sha256_of_file(own / "nearest.safetensors")}
    write_json(own / "audit.json", read_json(own / "audit.json") | links)
    refused(results, "found correlation 1.000000 with the nearest training image in view all, ")


@pytest.mark.parametrize("field, of", [("other_r", "the next training subject"), ("crowd_r", "the training subjects")])
def test_a_search_that_says_that_nobody_leads(results, field, of):
    """As near to others as to the nearest: no image would be flagged."""
    own = results / "made/generators/stylegan2"
    found, about = read_found(own / "nearest.safetensors", Nearest)
    hidden = {name: replace(one, **{field: one.r[:, 0].copy()}) for name, one in found.items()}
    write_found(own / "nearest.safetensors", hidden, about)
    links = {"nearest_sha256": sha256_of_file(own / "nearest.safetensors")}
    write_json(own / "audit.json", read_json(own / "audit.json") | links)
    refused(results, f"with {of} in view ")


def test_another_training_stack(results):
    """Its manifest fits; the generator has not seen it."""
    path = results / "made/stacks/train.zip"
    stack = Stack.open(path)
    meta = {key: value for key, value in stack.meta.items() if key not in ("count", "format")}
    with StackWriter(path, meta) as writer:
        for name, x_CHW in zip(stack.names, stack.read()[::-1], strict=True):
            writer.add(name, x_CHW)
    refused(
        results,
        "of the stack that its generator was trained on",
        "train.zip: is another stack than the audit was made with",
    )


def test_a_limit_that_is_not_the_configs(results):
    own = results / "made/generators/stylegan2"
    write_json(own / "audit.json", read_json(own / "audit.json") | {"limit": 1.0})
    refused(results, "found limit 1.0, and the searches say 0.0")
    done = release(results, audit_options=json.dumps(AUDIT).replace('"limit": 0.0', '"limit": NaN'))
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_all_reasons_in_one_message(results):
    audit = results / "made/generators/stylegan2/audit.json"
    write_json(audit, read_json(audit) | {"verdict": "fail", "reasons": ["a", "b"]})
    refused(results, "refused, for 3 reasons:", options=json.dumps(OPTIONS | {"licence": None}))


def test_a_stack_of_noise_is_no_audit(results):
    """An audit file that is something else ends in a line, not in a traceback."""
    own = results / "made/generators/stylegan2"
    shutil.copy(own / "samples.zip", own / "audit.json")
    refused(results, "expected an audit")


def test_a_harmless_archive_under_the_manifest_of_copies(results):
    """So 200 exact copies were released: the search took the hash from the manifest, and read the other archive."""
    path = results / "made/generators/stylegan2/samples.zip"
    harmless = path.read_bytes()
    with_copies(results)
    path.write_bytes(harmless)
    stacks, machine = searching(results)
    done = run_script("find_nearest", **stacks, **machine, samples=path, output=path.with_name("n.safetensors"))
    assert done.returncode == 1 and "one of the two is another one's" in done.stderr


def test_a_note_beside_the_numbers_does_not_leave(results):
    table = results / "dice.csv"
    head = "dataset,segmenter,training_set,augmentation,ed_mean,note\n"
    table.write_text(head + "made,unet,real,augmented,0.8,Jane Doe MRN 12345\n")
    done = release(results, table=table)
    assert done.returncode == 0, done.stderr
    assert (results / "made/release/stylegan2/tables/dice.csv").read_text() == (
        "dataset,segmenter,training_set,augmentation,ed_mean\nmade,unet,real,augmented,0.8\n"
    )
    table.write_text(head + "made,unet,real,augmented,Jane Doe MRN 12345,\n")
    shutil.rmtree(results / "made/release")
    refused(results, "dice.csv, line 2: found another ed_mean than in tables/dice.csv", table=table)


@pytest.mark.parametrize("place", ["tensor", "option", "version"])
def test_weights_of_another_form_do_not_leave(results, place):
    path = results / "made/generators/stylegan2/weights.safetensors"
    state, about = read_tensors(path, "weights"), read_metadata(path)
    if place == "tensor":
        state["Jane Doe MRN 12345"] = torch.zeros(1)
    else:
        about["options" if place == "option" else "versions"]["torch" if place == "version" else "Jane"] = "Doe 12345"
    write_tensors(path, state, about)
    done = release(results)
    assert done.returncode == 1 and "weights.safetensors" in done.stderr and "Traceback" not in done.stderr
    assert not (results / "made/release/stylegan2").exists()


@pytest.mark.parametrize("change", ["given away", "other weights"])
def test_an_attack_that_succeeded_or_was_on_others(results, change):
    path = results / "made/generators/stylegan2/weights_attack.json"
    told = json.loads(path.read_text())
    if change == "given away":
        told["membership"] |= {"auc": 0.9, "low": 0.8, "high": 0.95, "auc_p": 0.001}
    else:
        told["weights_sha256"] = "1" * 64
    path.write_text(json.dumps(told))
    refused(
        results,
        {"given away": "(AUC 0.90, 0.80 to 0.95; allowed 0.6)", "other weights": "found another SHA-256 of weights"}[
            change
        ],
    )
