"""`understudy init --quick`: a second config beside the full one, a rehearsal that runs to its report as it is."""

import json
import os
import subprocess
import sys

import pytest
from project import ROOT, Project
from scripts_here import run_here

from understudy.config.study import REHEARSAL, complete, load_yaml
from understudy.study.experiment_registry import experiments

from . import folders
from .folders import Folder

# in the place of config/demo.yaml: a training of seconds, images of 16 pixels
SMALLER = """
images: {size: 16}
generators:
  stylegan2:
    {channel_base: 64, channel_max: 8, latent_size: 8, mapping_layers: 2, batch: 4, kimg: 0.02, precision: fp32}
samples: {count: 12}
segmenters:
  unet:
    {depth: 2, base_filters: 4, samples: 24, epoch_samples: 12, batch: 4, background_warmup_epochs: 0, collapse: keep}
audit: {variants: flip, planted: 10, null_images: 20}
experiments:
  {training_sets: [real, synthetic], augmentations: [augmented], repeats: 2, share_job: true, keep_weights: true,
   controls: [copies]}
evaluation:
  bootstrap: 100
  fidelity: {spaces: [random, segmenter], frechet_draws: 10, kernel_subsets: 10, kernel_images: 10}
"""


def init(tmp_path):
    """(full config, rehearsal, what was said)"""
    done = run_here("init_config", tmp_path / "raw", "--output", tmp_path / "mine.yaml", "--quick")
    assert (done.returncode, done.stderr) == (0, "")
    return *(complete(load_yaml(tmp_path / name)) for name in ("mine.yaml", "mine_quick.yaml")), done.stdout


@pytest.mark.parametrize("kind", [folders.brats_years, folders.bids_sessions, folders.msd_heart])
def test_data_is_that_of_the_full_config_and_numbers_are_the_demo_s(kind, tmp_path):
    folders.make(tmp_path / "raw", kind)
    full, quick, said = init(tmp_path)
    assert quick["rehearsal"] and not full["rehearsal"] and not experiments(quick)
    assert quick["datasets"] == full["datasets"]
    assert {"size": 32, "downsample": 1}.items() <= quick["images"].items() and quick["images"] == full["images"]
    assert len({full["results"], full["runs"], quick["results"], quick["runs"]}) == 4
    demo = complete(load_yaml(ROOT / "config/demo.yaml"))
    assert quick["samples"] == demo["samples"] and quick["experiments"]["repeats"] == demo["experiments"]["repeats"]
    for part in ("generators", "segmenters"):
        assert quick[part] == demo[part]
    different = {key for key in demo["audit"] if quick["audit"][key] != demo["audit"][key]}
    assert different <= {"channel", "false_positive_rate"} and quick["audit"]["channel"] == full["audit"]["channel"]
    assert f"rehearsal: snakemake --profile profiles/local --configfile {tmp_path}/mine_quick.yaml" in said


@pytest.mark.parametrize(("side", "size", "downsample"), [(60, 64, 1), (100, 64, 2), (240, 64, 4), (1500, 128, 16)])
def test_images_have_about_the_demo_s_size(tmp_path, side, size, downsample):
    raw = Folder(tmp_path / "raw")
    for seed in range(3):
        raw.files(seed, {"t1": f"{seed}_t1.nii", "seg": f"{seed}_seg.nii"}, **raw.arrays(seed, (side, 20, 6)))
    full, quick, _ = init(tmp_path)
    assert (quick["images"]["size"], quick["images"]["downsample"]) == (size, downsample)
    assert full["images"]["size"] == size * downsample and full["images"]["downsample"] == 1
    different = {key for key in full["images"] if full["images"][key] != quick["images"][key]}
    assert different <= {"size", "downsample"}
    assert [one["evaluation"]["surface_tolerance_mm"] for one in (full, quick)] == [1, downsample]  # voxels of 1 mm


def test_nothing_is_overwritten(tmp_path):
    folders.make(tmp_path / "raw", folders.flat)
    (tmp_path / "mine_quick.yaml").touch()
    done = run_here("init_config", tmp_path / "raw", "--output", tmp_path / "mine.yaml", "--quick")
    assert done.returncode == 1 and "mine_quick.yaml: found a file, expected none" in done.stderr
    assert not (tmp_path / "mine.yaml").exists()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """(project, results) of ten subjects, run to the report without an edit of a file."""
    folder = tmp_path_factory.mktemp("rehearsal")
    (folder / "project").mkdir()
    project = Project(folder / "project")
    project.write("src/understudy/begin/demo.yaml", SMALLER)
    folders.make(folder / "raw", lambda raw: raw.subjects(10))
    command = [sys.executable, "scripts/init_config.py", folder / "raw", "--quick"]
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    subprocess.run(command, cwd=project.folder, env=environment, check=True, capture_output=True)
    said = project.made("--profile", "profiles/local", "--configfile", "config/mine_quick.yaml")
    return project.folder / "results/mine_quick", said


@pytest.mark.long
def test_ten_subjects_come_to_a_report(rehearsed):
    results, said = rehearsed
    assert REHEARSAL in " ".join(said.split()) and REHEARSAL in (results / "report.html").read_text()
    for name in ("dice", "fidelity", "audit"):
        assert (results / f"tables/{name}.md").read_text().startswith(REHEARSAL)
    audit = json.loads((results / "mine/generators/stylegan2/audit.json").read_text())
    assert audit["verdict"] in ("cannot say", "fail")  # of two test subjects, never `pass`
