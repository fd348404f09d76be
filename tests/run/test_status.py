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

from understudy.config.study import complete
from understudy.run.progress import Progress
from understudy.run.status import Work, standing, wanted
from understudy.run.stop import Limits
from understudy.run.training_loop import train

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
    return Work("made stylegan2", "made / stylegan2", str(folder / "runs"), str(folder / "weights.json"))


@pytest.fixture
def work(tmp_path):
    return training(tmp_path)


def go(work, action=lambda images_seen: None, images=40, **limits):
    return train(Trainee(action), Path(work.run) / "hash", images, config={}, limits=Limits(**limits))


def test_not_begun_stopped_unpublished_done(work):
    assert standing(work).state == "waiting"
    go(work, lambda seen: os.kill(os.getpid(), signal.SIGTERM) if seen == 8 else None)
    now = standing(work)
    assert (now.state, now.word, now.restarts) == ("stopped", "by signal", 0)
    go(work, deadline=time.time() - 1)
    assert (standing(work).state, standing(work).word) == ("stopped", "time budget used")
    go(work)
    now = standing(work)
    assert (now.state, now.images_seen, now.images, now.restarts) == ("unpublished", 40, 40, 2)
    Path(work.output).write_text("{}")
    assert standing(work).state == "done"


def test_an_error_is_quoted(work):
    def fail(images_seen):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError):
        go(work, fail)
    assert (standing(work).state, standing(work).word) == ("error", "RuntimeError: CUDA out of memory")


def test_divergence_is_a_failure_for_good(work, monkeypatch):
    monkeypatch.setattr(Progress, "due", lambda self: True)
    monkeypatch.setattr(Trainee, "step", lambda self, images_seen: {"loss": torch.tensor(torch.nan)})
    with pytest.raises(ValueError, match="diverged"):
        go(work, images=4000)
    assert standing(work).state == "failed" and "loss is no number" in standing(work).word


@pytest.mark.parametrize("trained", [True, False])
def test_a_failure_that_was_published_is_no_success(work, trained):
    """Scores of a collapsed network, and of one that never began as its generator had failed."""
    scores = Work("made unet", "made / unet", work.run, work.output.replace("weights.json", "scores.csv"))
    if trained:
        go(scores)
        go(work)
    Path(scores.output).write_text('dice,failure\n0,"collapsed, after 4 epochs"\n0.5,\n')
    Path(work.output).write_text(json.dumps({"failure": "the generator has collapsed"}))
    assert (standing(scores).state, standing(scores).word) == ("failed", "collapsed, after 4 epochs")
    assert (standing(work).state, standing(work).word) == ("failed", "the generator has collapsed")
    Path(scores.output).write_text("dice,failure\n0,\n")
    Path(work.output).write_text("{}")
    assert (standing(scores).state, standing(work).state, standing(work).word) == ("done", "done", "")


def _hold(work, started):
    go(work, lambda seen: (started.set(), time.sleep(0.05)), images=4000)


def test_running_and_killed(work, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_hold, args=(work, started))
    process.start()
    try:
        assert started.wait(30)
        assert (standing(work).state, standing(work).slurm_job) == ("running", "4711")
    finally:
        process.kill()
        process.join()
    assert standing(work).state == "running"  # its last beat is fresh: nobody can know yet
    assert standing(work, time.time() + 600).state == "lost"
    Path(work.output).write_text("{}")
    assert standing(work, time.time() + 600).state == "done"


def test_the_time_left_is_what_the_speed_says(work):
    (Path(work.run) / "hash").mkdir(parents=True)
    (Path(work.run) / "hash/lock").touch()
    line = {"images_seen": 2000, "images": 12000, "seconds_per_kimg": 36.0, "seconds": 72}
    (Path(work.run) / "hash/progress.jsonl").write_text(json.dumps(line) + '\n{"images_seen": 2')
    assert standing(work).seconds_left == 360


def test_the_newest_run_directory_counts(work):
    for name, age in (("old", 100), ("new", 0)):
        (Path(work.run) / name).mkdir(parents=True)
        (Path(work.run) / name / "lock").touch()
        os.utime(Path(work.run) / name / "lock", (time.time() - age,) * 2)
    (Path(work.run) / "new/progress.jsonl").write_text('{"images_seen": 7}\n')
    assert standing(work).images_seen == 7


def test_everything_that_the_config_asks_for_is_there():
    config = complete(CONFIG)
    works = {work.name: work for work in wanted(config)}
    trainings = {"made unet real plain repeat1", "made unet real plain repeat2"}
    assert set(works) == {"made stylegan2", "made stylegan2 samples", *trainings}
    assert works["made stylegan2 samples"].run == "runs/made/samples/stylegan2"
    assert works["made unet real plain repeat2"].run == "runs/made/segmenters/unet/real/plain/repeat2"


def test_the_table(tmp_path, monkeypatch, capsys):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    work = Work("made stylegan2", "made / stylegan2", "runs/made/generators/stylegan2", "weights.json")
    go(work, deadline=time.time() - 1)
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
