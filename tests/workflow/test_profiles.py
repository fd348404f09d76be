"""The profiles are what Snakemake and the rules know, and their README says what is in them."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from project import ROOT, Project

from understudy.core.cli import stand_in_for

PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
RULES = set(re.findall(r"^rule (\w+):", "\n".join(p.read_text() for p in (ROOT / "rules").glob("*.smk")), re.MULTILINE))


def profile(name):
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


@pytest.mark.parametrize("name", PROFILES)
def test_blocks_are_about_rules_that_exist(name):
    settings = profile(name)
    assert set(settings.get("set-resources", {})) | set(settings.get("set-threads", {})) <= RULES


def test_every_rule_with_a_gpu_goes_where_the_gpus_are():
    settings = profile("slurm")["set-resources"]
    text = "\n".join(p.read_text() for p in (ROOT / "rules").glob("*.smk"))
    blocks = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    with_gpu = {name for name, block in blocks if "gpu=" in block}
    assert {name for name, resources in settings.items() if resources.get("slurm_partition") == "gpu"} == with_gpu
    assert with_gpu >= {"train_generator", "sample_generator", "train_segmenter"}


def test_four_lines_are_for_the_user_to_edit():
    lines = (ROOT / "profiles/slurm/config.yaml").read_text().splitlines()
    edited = [line for line in lines if re.search(r"# [1-4]  ", line)]
    assert [re.search(r"# ([1-4])", line)[1] for line in edited] == list("1234")
    readme = (ROOT / "profiles/README.md").read_text()
    for line in edited:
        assert f"`{line.split(':')[0].strip()}" in readme


@pytest.mark.parametrize("name", PROFILES)
def test_the_readme_says_what_each_entry_is_for(name):
    readme = (ROOT / "profiles/README.md").read_text()
    for key in profile(name).keys() - {"executor", "default-resources"}:
        assert f"`{key}" in readme, key


def test_the_partition_file_is_understood_by_the_plugin():
    from snakemake_executor_plugin_slurm.partitions import read_partition_file

    partitions = read_partition_file(ROOT / "profiles/slurm/partitions.yaml")
    assert [partition.name for partition in partitions] == ["cpu", "gpu"]


def test_a_dry_run_with_the_cluster_profile_needs_no_cluster(tmp_path):
    project = Project(tmp_path)
    assert project.planned("--profile", "profiles/slurm", "--configfile", "config/demo.yaml")["train_segmenter"] == 31


def sacct(folder: Path, says: str, code: int = 0, path: str = "") -> Path:
    folder.mkdir()
    (folder / "sacct").write_text(f"#!/bin/sh\necho '{says}'\necho \"$@\" >&2\nexit {code}\n")
    (folder / "sacct").chmod(0o755)
    return folder


def test_a_cancelled_job_is_called_cancelled(tmp_path):
    """The plugin takes "CANCELLED by 1000" for a job that still runs."""
    real = sacct(tmp_path / "real", "7|CANCELLED by 1000\n8|COMPLETED", 3)
    shim = ROOT / "workflow/bin/sacct"
    environment = {"PATH": f"{shim.parent}:{real}:/usr/bin:/bin"}
    done = subprocess.run([shim, "-X", "--name", "a b"], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("7|CANCELLED\n8|COMPLETED\n", 3)
    assert done.stderr == "-X --name a b\n"


def test_without_sacct_none_is_pretended(tmp_path):
    shim = ROOT / "workflow/bin/sacct"
    done = subprocess.run([shim], env={"PATH": f"{shim.parent}:{tmp_path}"}, capture_output=True, text=True)
    assert done.returncode == 127 and "not found" in done.stderr


def test_the_stand_in_is_put_first_once_and_only_where_there_is_a_sacct(tmp_path, monkeypatch):
    shim, real = ROOT / "workflow/bin", sacct(tmp_path / "real", "8|COMPLETED")
    monkeypatch.setenv("PATH", str(tmp_path))
    stand_in_for("sacct", shim)
    assert os.environ["PATH"] == str(tmp_path)
    monkeypatch.setenv("PATH", str(real))
    stand_in_for("sacct", shim)
    stand_in_for("sacct", shim)
    assert os.environ["PATH"] == f"{shim}{os.pathsep}{real}"
