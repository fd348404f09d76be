"""The workflow is used from any directory, and by other workflows: as a module, from a clone or from a repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, TINY, Project

from understudy.release.crate_run import SNAKEMAKE

MODULE = """
configfile: "study.yaml"

module understudy:
    snakefile: {snakefile}
    config: config["ours"]

use rule * from understudy as understudy_*

rule theirs:
    default_target: True
    input:
        rules.understudy_sample_generator.output.stack.format(dataset="made", generator="stylegan2"),
    output: "their summary.txt"
    shell: "python -c 'import understudy' && wc -c {{input:q}} > {{output:q}}"
"""


def snakemake(folder: Path, *arguments) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_from_any_directory(tmp_path):
    study = tmp_path / "their study"
    study.mkdir()
    (tmp_path / "study.yaml").write_text(TINY)
    where = ["--snakefile", ROOT / "Snakefile", "--directory", study, "--configfile", tmp_path / "study.yaml"]
    snakemake(tmp_path, "prepare", *where)
    assert (study / "results/made/stacks/test.zip").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.yaml", "their study"]


def test_the_workflow_of_a_release_has_the_rules(tmp_path):
    """Whoever receives a release runs them on images of their own."""
    (tmp_path / "study.yaml").write_text(TINY)
    released = ["--snakefile", ROOT / "src/understudy/release/workflow.smk", "--configfile", "study.yaml"]
    listed = snakemake(tmp_path, *released, "--config", f"understudy={ROOT / 'workflow/Snakefile'}", "--list-rules")
    assert {"slice_volumes", "train_generator", "sample_generator", "audit_samples", "all"} <= set(listed.split())
    assert f'min_version("{SNAKEMAKE["version"]}")' in (ROOT / "workflow/Snakefile").read_text()


@pytest.fixture(params=["clone", "repository"])
def snakefile(request, tmp_path_factory):
    """How another workflow says where the module is; of a repository Snakemake fetches the rules alone."""
    if request.param == "clone":
        return repr(str(ROOT / "workflow/Snakefile"))
    repository = tmp_path_factory.mktemp("repository")
    Project(repository)
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "all")
    git(repository, "tag", "v1")
    return f'gitfile("{repository}", path="workflow/Snakefile", tag="v1")'


@pytest.mark.long
def test_as_a_module_of_another_workflow(tmp_path, snakefile):
    (tmp_path / "study.yaml").write_text(f"ours:\n{indented(TINY)}\n")
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=snakefile))
    on_cpu = [f"understudy_{rule}:device=cpu" for rule in ("train_generator", "sample_generator")]
    snakemake(tmp_path, "--set-resources", *on_cpu)
    assert "samples.zip" in (tmp_path / "their summary.txt").read_text()
