"""The profiles are what Snakemake and the rules know, and their README says what is in them."""

import re

import pytest
import yaml
from project import ROOT, Project

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
    jobs = project.planned("--profile", "profiles/slurm", "--configfile", "config/demo_full.yaml")
    assert jobs["train_segmenter"] == 31
