"""What people are told of every training, from the files that real trainings leave."""

import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from understudy.core.config import complete, load_yaml
from understudy.core.machine import Limits
from understudy.core.plan import Job
from understudy.core.progress import Progress
from understudy.core.status import standing, wanted
from understudy.core.training import train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "datasets": {"made": {"phantom": {}, "test_subjects": 2}},
    "generators": {"stylegan2": {}},
    "segmenters": {"unet": {}},
    "experiments": {"repeats": 2, "training_sets": ["real"], "augmentations": ["plain"]},
}


class Trainee:
    images_per_step = 4
    done = False

    def __init__(self, action=lambda images_seen: None):
        self.action = action

    def step(self, images_seen):
        self.action(images_seen)
        return {"loss": torch.ones(())}

    def state(self):
        return {"x": torch.zeros(1)}

    def load_state(self, state): ...


def training(folder):
    results = (str(folder / "weights.json"),)
    return Job("train_generator", "made/stylegan2", "made / stylegan2", (), results, run=str(folder / "runs"))


@pytest.fixture
def job(tmp_path):
    return training(tmp_path)


def go(job, action=lambda images_seen: None, images=40, **limits):
    return train(Trainee(action), Path(job.run) / "hash", images, config={}, limits=Limits(**limits))


def test_not_begun_stopped_unpublished_done(job):
    assert standing(job).state == "waiting"
    go(job, lambda seen: os.kill(os.getpid(), signal.SIGTERM) if seen == 8 else None)
    now = standing(job)
    assert (now.state, now.word, now.restarts) == ("stopped", "by signal", 0)
    go(job, deadline=time.time() - 1)
    assert (standing(job).state, standing(job).word) == ("stopped", "time budget used")
    go(job)
    now = standing(job)
    assert (now.state, now.images_seen, now.images, now.restarts) == ("unpublished", 40, 40, 2)
    Path(job.outputs[0]).touch()
    assert standing(job).state == "done"


def test_an_error_is_quoted(job):
    def fail(images_seen):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError):
        go(job, fail)
    assert (standing(job).state, standing(job).word) == ("error", "RuntimeError: CUDA out of memory")


def test_divergence_is_a_failure_for_good(job, monkeypatch):
    monkeypatch.setattr(Progress, "due", lambda self: True)
    monkeypatch.setattr(Trainee, "step", lambda self, images_seen: {"loss": torch.tensor(torch.nan)})
    with pytest.raises(ValueError, match="diverged"):
        go(job, images=4000)
    assert standing(job).state == "failed" and "loss is no number" in standing(job).word


def _hold(job, started):
    go(job, lambda seen: (started.set(), time.sleep(0.05)), images=4000)


def test_running_and_killed(job, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_hold, args=(job, started))
    process.start()
    try:
        assert started.wait(30)
        assert (standing(job).state, standing(job).slurm_job) == ("running", "4711")
    finally:
        process.kill()
        process.join()
    assert standing(job).state == "running"  # its last beat is fresh: nobody can know yet
    assert standing(job, time.time() + 600).state == "lost"
    Path(job.outputs[0]).touch()
    assert standing(job, time.time() + 600).state == "done"


def test_the_time_left_is_what_the_speed_says(job):
    (Path(job.run) / "hash").mkdir(parents=True)
    (Path(job.run) / "hash/lock").touch()
    line = {"images_seen": 2000, "images": 12000, "seconds_per_kimg": 36.0, "seconds": 72}
    (Path(job.run) / "hash/progress.jsonl").write_text(json.dumps(line) + '\n{"images_seen": 2')
    assert standing(job).seconds_left == 360


def test_the_newest_run_directory_counts(job):
    for name, age in (("old", 100), ("new", 0)):
        (Path(job.run) / name).mkdir(parents=True)
        (Path(job.run) / name / "lock").touch()
        os.utime(Path(job.run) / name / "lock", (time.time() - age,) * 2)
    (Path(job.run) / "new/progress.jsonl").write_text('{"images_seen": 7}\n')
    assert standing(job).images_seen == 7


def test_everything_that_the_config_asks_for_is_there():
    config = complete(CONFIG, load_yaml(ROOT / "workflow/schemas/config.schema.yaml"))
    names = {standing(job).name for job in wanted(config)}
    trainings = {"made unet real plain repeat1", "made unet real plain repeat2"}
    assert names == {"made stylegan2", "made stylegan2 samples", *trainings}


def test_the_table(tmp_path, monkeypatch, capsys):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    job = Job("train_generator", "made/stylegan2", "made / stylegan2", (), (), run="runs/made/generators/stylegan2")
    go(job, deadline=time.time() - 1)
    monkeypatch.setattr(sys, "argv", ["show_status.py", "--config", "study.yaml"])
    runpy.run_path(str(ROOT / "scripts/show_status.py"), run_name="__main__")
    text = capsys.readouterr().out
    assert "made / stylegan2  1 stopped, 1 waiting" in text and "made / real       2 waiting" in text
    (row,) = [line for line in text.splitlines() if "time budget used" in line]
    assert row.split()[:3] == ["made", "stylegan2", "stopped"]


def test_it_does_not_wait_for_torch():
    """torch alone takes seconds to import; the table has one second."""
    code = "import sys, runpy; runpy.run_path(sys.argv[1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, ROOT / "scripts/show_status.py"]).returncode == 0
