"""An audit is bound to what it looked at: other images, other patients, other thresholds are refused, at every step."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from audited import AUDIT, audited, judging, run_script, script, searching
from made import make_stack

from understudy.audit.recheck import Evidence
from understudy.files.atomic import read_json, sha256_of_file, write_json
from understudy.stack import Stack, StackWriter
from understudy.stack.manifest import write_manifest


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return audited(tmp_path_factory)


@pytest.fixture
def results(whole, tmp_path) -> Path:
    """A copy, to break."""
    return Path(shutil.copytree(whole, tmp_path / "results"))


def own(results: Path) -> Path:
    return results / "made/generators/stylegan2"


def write_again(stack: Stack, path: Path, x_NCHW: np.ndarray, **source) -> None:
    """The stack with other images, or of another source."""
    meta = {key: value for key, value in stack.meta.items() if key not in ("count", "format")}
    with StackWriter(path, meta | {"source": {**meta["source"], **source}}) as writer:
        for name, x_CHW in zip(stack.names, x_NCHW, strict=True):
            writer.add(name, x_CHW)


def refused(name: str, message: str, **arguments) -> None:
    done = run_script(name, **arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr and message in done.stderr, done.stderr


def evidence(results: Path) -> Evidence:
    made = results / "made"
    files = {"train": made / "stacks/train.zip", "test": made / "stacks/test.zip"}
    files |= {"real": made / "audit/real.safetensors", "calibration": made / "audit/calibration.json"}
    return Evidence(**files, audit=AUDIT)


def rechecked(results: Path) -> list[str]:
    folder = own(results)
    return evidence(results).problems(folder / "audit.json", folder / "samples.zip", folder / "nearest.safetensors")


def searched(results: Path) -> dict:
    """The arguments of find_nearest."""
    stacks, machine = searching(results)
    return {**stacks, **machine, "samples": own(results) / "samples.zip", "output": own(results) / "n.safetensors"}


def test_a_sound_chain_holds(results):
    assert rechecked(results) == []


def test_a_new_manifest_beside_an_old_archive_is_seen(results):
    """As an attacker did: copies of training images in the archive, the manifest of a good one."""
    path, train = own(results) / "samples.zip", Stack.open(results / "made/stacks/train.zip")
    samples = Stack.open(path)
    write_again(samples, path, np.resize(train.read(), (len(samples), *train.shape_CHW)))
    refused("find_nearest", "one of the two is another one's", **searched(results))
    refused("audit_samples", "one of the two is another one's", **judging(results / "made", "", path))


def test_an_archive_and_its_manifest_changed_after_the_search(results):
    path, samples = own(results) / "samples.zip", Stack.open(own(results) / "samples.zip")
    write_again(samples, path, samples.read()[::-1])
    write_manifest(path, Stack.open(path).meta, count=len(samples))
    refused("audit_samples", "of the samples that it was made from", **judging(results / "made", "", path))
    assert "of the samples that it was made from" in rechecked(results)[0]


@pytest.mark.parametrize("step", ["find_nearest", "audit_samples"])
def test_another_training_stack_than_the_generators(results, step):
    """Whose subjects are called the same."""
    make_stack(results / "made/stacks/train.zip", ["a", "b", "c"], 8, seed=7)
    path = own(results) / "samples.zip"
    arguments = searched(results) if step == "find_nearest" else judging(results / "made", "", path)
    refused(step, "of the stack that its generator was trained on", **arguments)
    assert "of the stack that its generator was trained on" in rechecked(results)[0]


def test_subjects_that_the_training_stack_does_not_have(results):
    path, samples = own(results) / "samples.zip", Stack.open(own(results) / "samples.zip")
    samples.meta["lineage"] = ["identity-a", "identity-z"]
    write_again(samples, path, samples.read())
    write_manifest(path, Stack.open(path).meta, count=len(samples))
    refused("find_nearest", "found 1 of 2 subjects behind it that", **searched(results))


def test_samples_that_do_not_say_what_their_generator_has_seen(results):
    path, samples = own(results) / "samples.zip", Stack.open(own(results) / "samples.zip")
    del samples.meta["source"]["training_sha256"]
    write_again(samples, path, samples.read())
    write_manifest(path, Stack.open(path).meta, count=len(samples))
    refused("find_nearest", "found nothing said of the stack", **searched(results))


def test_another_test_stack(results):
    make_stack(results / "made/stacks/test.zip", ["d", "e", "f"], 8, seed=9)
    path = own(results) / "samples.zip"
    refused("audit_samples", "of the test stack that it was made from", **judging(results / "made", "", path))


def test_the_calibration_of_others(results, tmp_path):
    """Made as it has to be, of other people."""
    other = tmp_path / "other"
    shutil.copytree(results / "made/stacks", other / "made/stacks")
    make_stack(other / "made/stacks/test.zip", ["d", "e", "f"], 8, seed=9)
    stacks, machine = searching(other)
    calibration = results / "made/audit/calibration.json"
    script("calibrate_audit", **stacks, **machine, real=tmp_path / "r", seed=0, output=calibration)
    path = own(results) / "samples.zip"
    refused("audit_samples", "of the test stack that it was made from", **judging(results / "made", "", path))
    shutil.copy(tmp_path / "r", results / "made/audit/real.safetensors")
    refused("audit_samples", "of the test stack that it was made from", **judging(results / "made", "", path))
    assert "of the test stack that it was made from" in rechecked(results)[0]


def test_thresholds_that_somebody_moved(results):
    """Not even where every hash was made to fit: a release computes them once more."""
    path = results / "made/audit/calibration.json"
    calibration = read_json(path)
    calibration["detector"]["threshold"] = 100.0
    write_json(path, calibration)
    judged = judging(results / "made", "", own(results) / "samples.zip")
    script("audit_samples", **judged)
    assert "found other thresholds than" in rechecked(results)[0]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"verdict": "fail", "reasons": ["no"]}, "verdict"),
        ({"memorized": {"count": 0, "share": 0.0, "low": 0.0, "high": 0.5}}, "memorized"),
        ({"limit": 0.5}, "limit"),
        ({"recall": {"identical": 1.0}}, "recall"),
    ],
)
def test_an_audit_that_somebody_improved(results, change, key):
    path = own(results) / "audit.json"
    write_json(path, read_json(path) | change)
    assert any(f"found {key} " in problem and "the file was changed" in problem for problem in rechecked(results))


def test_an_audit_under_another_limit_than_the_configs(results):
    folder, strict = own(results), evidence(results)
    loose = Evidence(strict.train, strict.test, strict.real, strict.calibration, AUDIT | {"limit": 0.9})
    files = folder / "audit.json", folder / "samples.zip", folder / "nearest.safetensors"
    assert strict.problems(*files) == [] and "found limit 0.0, and the searches say 0.9" in loose.problems(*files)[0]
    other = Evidence(strict.train, strict.test, strict.real, strict.calibration, AUDIT | {"variants": "none"})
    assert "found audit.variants flip, expected none as in the config" in other.problems(*files)[0]


@pytest.mark.parametrize("what", ["weights", "calibration", "images", "train"])
def test_a_filter_of_other_files(results, what):
    folder = own(results)
    files = {
        "weights": folder / "weights.safetensors",
        "calibration": results / "made/audit/calibration.json",
        "images": folder / "memorization.csv",
        "train": results / "made/stacks/train.zip",
    }
    if what == "train":
        make_stack(files[what], ["a", "b", "c"], 8, seed=7)
    elif what == "weights":
        content = bytearray(files[what].read_bytes())
        content[-1] ^= 1
        files[what].write_bytes(content)
    else:
        files[what].write_bytes(files[what].read_bytes() + b"\n")
    _, machine = searching(results)
    more = {"samples": folder / "samples.zip", "summary": folder / "audit.json", "audit": json.dumps(AUDIT)}
    more |= {"sampling": results / "runs/samples", "output": folder / "filtered.zip"}
    said = {"weights": "the weights", "calibration": "the calibration", "images": "the list", "train": "the training"}
    refused("filter_samples", f"of {said[what]}", **files, **more, **machine)
    assert not (folder / "filtered.zip").exists()


def test_the_links_are_of_the_bytes(results):
    summary, folder = read_json(own(results) / "audit.json"), own(results)
    files = {"samples": folder / "samples.zip", "nearest": folder / "nearest.safetensors"}
    files |= {"train": results / "made/stacks/train.zip", "test": results / "made/stacks/test.zip"}
    files |= {"calibration": results / "made/audit/calibration.json", "images": folder / "memorization.csv"}
    assert all(summary[f"{name}_sha256"] == sha256_of_file(path) for name, path in files.items())
