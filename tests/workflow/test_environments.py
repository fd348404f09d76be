"""The conda environments agree with the lock, hold what their scripts import, and the wiring works (stand-in conda)."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT, TINY, Project

from understudy.config.segmenters.nnunet import PACKAGE

STAGES = ["prepare", "generate", "segment", "nnunet", "evaluate", "audit", "forecast", "report", "release", "reader"]
MODULES = {
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "pydantic_core": "pydantic-core",
    "mmseg": "onedl-mmsegmentation",
    "mmengine": "onedl-mmengine",
    "pytorch_fid": "pytorch-fid",
}  # where import name and package differ


def pip_part(stage):
    spec = yaml.safe_load((ROOT / f"envs/{stage}.yaml").read_text())
    return next(part["pip"] for part in spec["dependencies"] if isinstance(part, dict))


def test_environment_files_are_those_of_the_lock(tmp_path):
    subprocess.run([sys.executable, ROOT / "scripts/write_environments.py", "--output", tmp_path], check=True)
    for stage in STAGES:
        assert (tmp_path / f"{stage}.yaml").read_text() == (ROOT / f"envs/{stage}.yaml").read_text()


@pytest.mark.parametrize("stage", STAGES)
def test_pins_are_what_is_installed(stage):
    if sys.version_info[:2] == (3, 11):  # the environments' Python
        for pin in set(pip_part(stage)) - {PACKAGE}:  # nnU-Net is in no lock
            name, version = pin.split("==")
            assert importlib.metadata.version(name).split("+")[0] == version


def imported(path, seen):
    """Packages outside the standard library that a script needs, through our own modules."""
    found, tree = set(), ast.parse(path.read_text())
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    never_run = {inner for block in checks for inner in ast.walk(block)}
    for node in ast.walk(tree):
        names = []
        if node in never_run:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = path.relative_to(ROOT / "src").parts[: -node.level]
                base = ".".join([*parent, base]).rstrip(".")
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if not name.startswith("understudy"):
                found.add(name.split(".")[0])
                continue
            own = ROOT / "src" / Path(*name.split("."))
            for file in (own.with_suffix(".py"), own / "__init__.py"):
                if file.is_file() and file not in seen:
                    seen.add(file)
                    found |= imported(file, seen)
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("stage", STAGES)
def test_environments_hold_what_their_scripts_import(stage):
    rules = (ROOT / f"rules/{stage}.smk").read_text()
    scripts = [p for p in (ROOT / "scripts").glob("*.py") if f"scripts/{p.name}" in rules]
    assert scripts
    needed = set().union(*(imported(script, set()) for script in scripts))
    pinned = {pin.split("==")[0] for pin in pip_part(stage)}
    assert {MODULES.get(name, name) for name in needed} <= pinned


APPTAINER = """#!/bin/sh
# stands in for apptainer: notes the call, and runs the command after the image outside of any container
echo "$@" >> calls.txt
if [ "$1" = --version ]; then echo "apptainer version 1.3.6"; exit; fi
while [ "$1" != understudy.sif ]; do shift; done
shift
exec "$@"
"""


@pytest.mark.long
def test_rules_run_in_the_image(tmp_path):
    """`--sdm apptainer` with a stand-in that runs every command as it is: the wiring alone, no container."""
    project = Project(tmp_path)
    project.write("config/tiny.yaml", TINY)
    program = tmp_path / "bin/apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    program.chmod(0o755)
    (tmp_path / "understudy.sif").touch()
    arguments = ("prepare", "--sdm", "apptainer", "--apptainer-args=--nv", "--profile", "profiles/local")
    done = project.run(*arguments, "--configfile", "config/tiny.yaml", path_first=program.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "results/made/stacks/stacks.json").is_file()
    calls = [call for call in (tmp_path / "calls.txt").read_text().splitlines() if call.startswith("exec")]
    assert len(calls) == 3 and all("--nv" in call and "understudy.sif" in call for call in calls)


def test_the_image_has_what_the_lock_pins():
    definition = (ROOT / "envs/understudy.def").read_text()
    assert "requirements.lock /opt/requirements.lock" in definition and "--require-hashes" in definition


@pytest.mark.long
def test_rules_run_in_their_own_environment(tmp_path):
    """`--sdm conda` with a stand-in for conda that makes a venv and really installs the pip part; conda's own solver
    is not shown to work by this."""
    project = Project(tmp_path)
    project.write("config/tiny.yaml", TINY)
    conda = tmp_path / "conda/bin"
    conda.mkdir(parents=True)
    (conda / "conda").write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("conda_stand_in.py").read_text())
    (conda / "conda").chmod(0o755)
    (conda / "activate").write_text('. "$1/bin/activate"\n')
    arguments = ("prepare", "--sdm", "conda", "--profile", "profiles/local", "--configfile", "config/tiny.yaml")
    done = project.run(*arguments, path_first=conda)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "results/made/stacks/stacks.json").is_file()
    (environment,) = [p for p in (tmp_path / ".snakemake/conda").iterdir() if p.is_dir()]
    installed = {p.name.split("-")[0] for p in environment.glob("lib/python3.*/site-packages/*.dist-info")}
    assert {"isal", "nibabel"} <= installed and "torch" not in installed
