"""The profiles are what Snakemake and the rules know, and their README says what is in them."""

import os
import re
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml
from project import ROOT, Project
from scripts_here import run_here

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


def test_the_lsf_profile_asks_for_what_the_slurm_profile_asks_for():
    """Snakemake has one name for a partition in SLURM and another in LSF, whose plugin knows no GPUs."""

    def of_both(settings, own):
        return {key: value for key, value in settings.items() if not key.startswith(own) and key != "nodes"}

    def in_lsf(resources):
        queue = resources["slurm_partition"]
        gpus = {"lsf_extra": "'-gpu num=1'"} if queue == "gpu" else {}
        return of_both(resources, "slurm_") | {"lsf_queue": queue} | gpus

    slurm, lsf = profile("slurm"), profile("lsf")
    for block in (slurm, lsf):
        block.pop("executor")
    asked, default = slurm.pop("set-resources"), slurm.pop("default-resources")
    assert lsf.pop("set-resources") == {rule: in_lsf(resources) for rule, resources in asked.items()}
    assert lsf.pop("default-resources") == in_lsf(default) | {"lsf_project": default["slurm_account"]}
    assert lsf == of_both(slurm, "slurm-")


def test_the_lsf_profile_is_understood_by_the_plugin():
    """It would tell bsub so of a job; LSF itself is not there."""
    plugin = pytest.importorskip("snakemake_executor_plugin_lsf", reason="an extra: profiles/README.md")
    executor = plugin.Executor.__new__(plugin.Executor)
    executor.lsf_config = {"LSF_MEMFMT": "perjob"}
    asked = profile("lsf")["set-resources"]["train_generator"] | {"mem_mb": 64000}
    job = SimpleNamespace(threads=8, resources=SimpleNamespace(**asked, get=asked.get))
    assert executor.get_queue_arg(job) == " -q gpu"
    assert (executor.get_cpus(job), executor.get_mem(job)) == (8, 64000)
    assert executor.process_time(asked["runtime"]) == 2880


@pytest.mark.parametrize("name", ["slurm", "lsf"])
def test_four_lines_are_for_the_user_to_edit(name):
    lines = (ROOT / f"profiles/{name}/config.yaml").read_text().splitlines()
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


def test_with_a_gpu_every_job_that_computes_asks_for_it(tmp_path):
    project = Project(tmp_path)
    asked = ("-n", "-p", "stylegan2", "--configfile", "config/demo.yaml", "--profile", "profiles/local")
    alone, with_gpu = (
        re.findall(r"scripts/(\w+)\.py.* --gpus (\d)", project.made(*asked, *more))
        for more in ((), ("--profile", "profiles/gpu"))
    )
    assert {"train_generator", "sample_generator", "train_segmenter"} <= {script for script, _ in alone}
    assert {gpus for _, gpus in alone} == {"0"}
    assert with_gpu == [(script, "1") for script, _ in alone]


@pytest.mark.parametrize(
    ("there", "line", "profiles"),
    [
        (True, "GPU: A card, 80 GB", ["local", "gpu"]),
        (False, f"no GPU found: {len(os.sched_getaffinity(0))} CPU cores", ["local"]),
    ],
)
def test_a_study_takes_the_gpu_that_is_there_and_says_so(there, line, profiles, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append((program, words)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    card = SimpleNamespace(name="A card", total_memory=80e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    done = run_here("run_study", "--config", "config/demo.yaml")
    assert done.returncode == 0 and done.stdout == f"{line}\n"
    [(program, words)] = started
    assert program == words[0] == sys.executable and words[words.index("--configfile") + 1] == "config/demo.yaml"
    given = [after for word, after in zip(words, words[1:], strict=False) if word == "--profile"]
    assert given == [str(ROOT / f"profiles/{name}") for name in profiles]


def test_a_study_without_its_config_is_one_line():
    done = run_here("run_study", "--config", "config/gone.yaml")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "config/gone.yaml" in done.stderr
