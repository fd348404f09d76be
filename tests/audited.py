"""A small study up to its audit, made by the scripts of the rules one after the other."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from made import finished_here, make_stack
from scripts_here import run_here

from understudy.generate import sample as sampling
from understudy.generate import weights as stage

COUNT = 70
REAL = {"dataset": "made", "drawn": "secret"}
AUDIT = {
    "view": "all",
    "views": ["all", "pose", "annotation"],
    "filter_views": ["all"],
    "channel": "t1ce",
    "variants": "flip",
    "nearest": 3,
    "false_positive_rate": 0.05,
    "limit": 0.0,
    "membership_limit": 0.6,
    "identified_limit": 0.1,
    "most_filtered": 0.05,
    "find_share": 0.2,
    "find_power": 0.0,
    "least_subjects": 2,
    "null_images": 20,
    "planted": 5,
    "details": 3,
    "most_draws": 3,
}


MEMBERS = {
    **{"auc": 0.51, "low": 0.45, "high": 0.57, "wrong": 0.05, "found": 0.0, "found_low": 0.0, "found_high": 0.1},
    **{"advantage": 0.05, "advantage_p": 0.8, "auc_p": 0.4, "found_p": 1.0},
}


def audit_summary(**changes) -> dict:
    """An audit.json that a pass has, with some changes."""
    none = {"count": 0, "share": 0.0, "low": 0.0, "high": 0.221}
    median = {"median": 0.5, "q99": 0.7, "largest": 0.8}
    links = ("samples", "train", "test", "nearest", "calibration", "images")
    return {
        "format": 7, "dataset": "made", "generator": "stylegan2", "filtered": False, "count": 12,
        **{f"{name}_sha256": "0" * 64 for name in links},
        "view": "all", "variants": "flip", "false_positive_rate": 0.01,
        "thresholds": {"score": 1.4, "far": 2.1}, "memorized": none, "copies": none, "seen_in": {"all": 0},
        "chance": {"flagged": 1.0, "copies": 1.0}, "dropped": 0, "flagged_before": 0, "filter_drops": 0, "limit": 0.0,
        "recall": {"identical": 1.0, "flipped": 1.0, "turned": 0.42},
        "power": {kind: {"0.05": 1.0} for kind in ("identical", "flipped", "turned")}, "correlation": median,
        "correlation_of_test": median, "membership": MEMBERS, "disclosure": {}, "verdict": "pass",
        "reasons": [], **changes,
    }  # fmt: skip


def script(name: str, run=run_here, **arguments) -> str:
    """Runs scripts/{name}.py, which must succeed; what it printed."""
    done = run_script(name, run, **arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_script(name: str, run=run_here, **arguments) -> subprocess.CompletedProcess:
    words = []
    for key, value in arguments.items():
        words += [f"--{key.replace('_', '-')}", *([] if value is True else [value])]
    return run(name, *words)


def audited(folders: pytest.TempPathFactory) -> Path:
    """A copy of results/ of a study up to its audit; it is made once for all files of tests, of whichever process."""
    session = folders.getbasetemp()
    session = session.parent if "PYTEST_XDIST_WORKER" in os.environ else session
    made = session / "audited/results"
    with open(session / "audited.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.copytree(make_audited(folders.mktemp("audited") / "results"), made.with_suffix(".part"))
            made.with_suffix(".part").rename(made)
    return Path(shutil.copytree(made, folders.mktemp("study") / "results"))


def make_audited(results: Path) -> Path:
    """results/made as the rules make it, for a generator with its first weights."""
    made, own = results / "made", results / "made/generators/stylegan2"
    (made / "stacks").mkdir(parents=True)
    train = make_stack(made / "stacks/train.zip", ["a", "b", "c"], 8, source=REAL)
    make_stack(made / "stacks/test.zip", ["d", "e", "f"], 8, seed=1, source=REAL)
    options = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "mapping_layers": 2, "precision": "fp32"}
    generator = stage.seeded_build("stylegan2", 5, 16, 0, **options)
    metadata = stage.describe(
        "stylegan2", generator, train.meta, dataset="made", seed=0, images_seen=0, training_sha256=train.sha256
    )
    own.mkdir(parents=True)
    stage.publish_weights(generator.networks["generator"].state_dict(), own / "weights.safetensors", metadata)
    wanted = sampling.Sampling.of(own / "weights.safetensors", COUNT, 5, results / "runs/samples")
    finished_here(wanted, lambda: sampling.publish_samples(wanted, own / "samples.zip"))
    stacks, machine = searching(results)
    real = {"real": made / "audit/real.safetensors"}
    script("calibrate_audit", **stacks, **machine, **real, seed=0, output=made / "audit/calibration.json")
    images = {"samples": own / "samples.zip"}
    script("find_nearest", **stacks, **machine, **images, output=own / "nearest.safetensors")
    judge(made, "", images["samples"])
    weights, people = own / "weights.safetensors", {name: stacks[name] for name in ("train", "test")}
    script("attack_weights", weights=weights, **people, seed=0, output=own / "weights_attack.json", device="cpu")
    return results


def searching(results: Path) -> tuple[dict, dict]:
    """(stacks and options, machine) of a script that searches."""
    made = results / "made"
    stacks = {"train": made / "stacks/train.zip", "test": made / "stacks/test.zip", "audit": json.dumps(AUDIT)}
    return stacks, {"runs": results / "runs/audit", "memory_mb": 100, "device": "cpu", "threads": 1}


def judge(made: Path, prefix: str, samples: Path, **more) -> dict:
    """The audit of `samples`, as the rule audit_samples makes it."""
    outputs = judging(made, prefix, samples)
    script("audit_samples", **outputs, **more)
    return json.loads(outputs["summary"].read_text())


def judging(made: Path, prefix: str, samples: Path) -> dict:
    """The arguments of audit_samples."""
    own = made / "generators/stylegan2"
    outputs = {
        "summary": own / f"{prefix}audit.json",
        "images": own / f"{prefix}memorization.csv",
        "subjects": own / f"{prefix}audit_subjects.csv",
        "privacy": own / f"{prefix}privacy.html",
        "figure": own / f"{prefix}memorization.png",
        "pairs": own / f"{prefix}pairs.png",
    }
    inputs = {
        "samples": samples,
        "train": made / "stacks/train.zip",
        "test": made / "stacks/test.zip",
        "nearest": own / f"{prefix}nearest.safetensors",
        "calibration": made / "audit/calibration.json",
        "real": made / "audit/real.safetensors",
        "audit": json.dumps(AUDIT),
    }
    return {"dataset": "made", "generator": "stylegan2", **inputs, **outputs}
