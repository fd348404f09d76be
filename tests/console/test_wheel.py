"""A wheel has all that the library reads beside its modules, and audits far from any checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from audited import AUDIT, audited

from understudy.files.atomic import read_json

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
RUN = "import sys; from understudy.console import commands; print(commands.__file__); commands.main()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built as `pip wheel --no-build-isolation` does, from a copy, as building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("src", "config"):
        shutil.copytree(
            ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    subprocess.run([sys.executable, "-c", BUILD, "dist"], cwd=folder, check=True, capture_output=True)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_has_every_file_of_the_library(unpacked):
    library = ROOT / "src/understudy"
    expected = {p.relative_to(library) for p in library.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {path.suffix for path in expected} >= {".py", ".j2", ".css", ".js", ".csv", ".html", ".yaml"}
    for path in expected:
        assert (unpacked / "understudy" / path).read_bytes() == (library / path).read_bytes(), path
    (points,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "understudy = understudy.console.commands:main" in points.read_text()


def test_it_audits_outside_of_a_checkout(unpacked, tmp_path_factory, tmp_path):
    made = audited(tmp_path_factory) / "made"
    words = ["audit", made / "generators/stylegan2/samples.zip", made / "stacks/train.zip"]
    words += ["--config", json.dumps({"audit": AUDIT, "seed": 0}), "--device", "cpu", "--threads", 1]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, words)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
    )
    of_workflow = read_json(made / "generators/stylegan2/audit.json")
    assert done.stdout.startswith(f"{unpacked}/"), done.stderr
    assert read_json(tmp_path / "audit/audit.json") == of_workflow, done.stderr
    assert done.returncode == {"pass": 0, "fail": 1, "cannot say": 2}[of_workflow["verdict"]]
