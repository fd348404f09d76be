"""TensorBoard's and MLflow's own readers find what a training has written, not what a killed attempt wrote beyond."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch

from understudy.run import progress
from understudy.run.mlflow_store import SETTINGS
from understudy.run.trackers import Tracked, tracker
from understudy.run.training_loop import train

os.environ.update(SETTINGS)  # before anything imports MLflow
PICTURE_HW = np.random.default_rng(0).integers(0, 256, (6, 8), np.uint8)


@pytest.mark.long
def test_these_tests_pass_with_mlflow(tmp_path):
    """With the pinned package in a folder of its own, as it brings many that nothing else needs."""
    root = Path(__file__).resolve().parents[2]
    (pin,) = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["mlflow"]
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", tmp_path, pin], check=True)
    found = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", __file__], cwd=root, env=found, capture_output=True, text=True
    )
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout


class Watched:
    """A trainee of whom there is a picture after every step."""

    images_per_step = 4
    done = False

    def __init__(self, killed_at=None):
        self.images_seen, self.killed_at = 0, killed_at

    def step(self, images_seen):
        if images_seen == self.killed_at:
            os.kill(os.getpid(), signal.SIGTERM)
        self.images_seen = images_seen + 4
        return {"loss": torch.tensor(100.0 - self.images_seen)}

    def shown(self):
        return [("samples", self.images_seen, PICTURE_HW), ("validation/dice", self.images_seen, 0.5)]

    def state(self):
        return {"images_seen": self.images_seen}

    def load_state(self, state):
        self.images_seen = state["images_seen"]


def test_tensorboards_own_reader_finds_scalars_and_pictures(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="an extra: docs/tracking.md")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(progress, "LOG_SECONDS", 0)  # a line after every step
    assert not train(Watched(killed_at=8), tmp_path, 20, config={}, tracking=Tracked("tensorboard")).finished
    assert train(Watched(), tmp_path, 20, config={}, tracking=Tracked("tensorboard")).finished
    found = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(n, 100 - n) for n in SEEN]
    assert [event.step for event in found.Scalars("validation/dice")] == SEEN
    assert {"seconds_per_kimg", "memory_mb"} <= set(found.Tags()["scalars"])
    for event in found.Images("samples"):
        png = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(png, PICTURE_HW)


CONFIG = {"generator": "g", "options": {"lr": 0.1, "betas": [0, 0.99]}, "left_out": ["Jane"]}
SEEN = [4, 8, 12, 16, 20]


def mlflow_client(store):
    pytest.importorskip("mlflow", reason="an extra: docs/tracking.md")
    from mlflow import MlflowClient

    return MlflowClient(store.as_uri())


def history(client, run, name):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run, name)]


def picture(client, run, name):
    return cv2.imread(client.download_artifacts(run, name), cv2.IMREAD_GRAYSCALE)


def test_mlflows_own_client_finds_scalars_and_pictures_of_one_run(tmp_path, monkeypatch):
    store, folder = tmp_path / "runs/mlruns", tmp_path / "runs/phantom/generators/g/1"
    client, how = mlflow_client(store), {"config": CONFIG, "tracking": Tracked("mlflow", store)}
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)  # a line after every step
    assert not train(Watched(killed_at=8), folder, 20, **how).finished
    (run,) = client.search_runs(["0"])
    assert run.info.status == "SCHEDULED"
    assert train(Watched(), folder, 20, **how).finished
    (run,) = client.search_runs(["0"])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "phantom/generators/g/1")
    assert run.data.params == {"generator": "g", "options.lr": "0.1", "options.betas": "[0, 0.99]"}
    run = run.info.run_id
    assert history(client, run, "loss") == [(n, 100 - n) for n in SEEN]
    assert history(client, run, "validation/dice") == [(n, 0.5) for n in SEEN]
    assert {"seconds_per_kimg", "memory_mb"} <= set(client.get_run(run).data.metrics)
    assert [one.path for one in client.list_artifacts(run, "samples")] == [f"samples/{n:09d}.png" for n in SEEN]
    assert np.array_equal(picture(client, run, "samples/000000020.png"), PICTURE_HW)


def test_what_an_attempt_wrote_beyond_its_checkpoint_goes(tmp_path):
    store = tmp_path / "mlruns"
    client = mlflow_client(store)
    with tracker(Tracked("mlflow", store), tmp_path, CONFIG, 0) as first:
        for seen in SEEN:
            first.numbers(seen, {"loss": 1.0})
            first.show([("samples", seen, PICTURE_HW)])
    (run,) = client.search_runs(["0"])
    loss = store / "0" / run.info.run_id / "metrics/loss"
    loss.write_text(loss.read_text() + "1796000000000 1.0 1")  # a kill cut off the rest of `16`
    with tracker(Tracked("mlflow", store), tmp_path, CONFIG, 8) as second:
        second.numbers(12, {"loss": float("nan")})
    assert [seen for seen, _ in history(client, run.info.run_id, "loss")] == [4, 8, 12]
    assert [one.path[-6:] for one in client.list_artifacts(run.info.run_id, "samples")] == ["04.png", "08.png"]
    assert len(client.search_runs(["0"])) == 1


def test_a_run_that_somebody_deleted_is_begun_again(tmp_path):
    client = mlflow_client(tmp_path / "mlruns")
    for _ in range(2):
        tracker(Tracked("mlflow", tmp_path / "mlruns"), tmp_path, CONFIG, 0)
        (run,) = client.search_runs(["0"])
        client.delete_run(run.info.run_id)


def test_a_store_that_another_job_has_made_meanwhile_is_taken(tmp_path, monkeypatch):
    store = tmp_path / "mlruns"
    (tmp_path / "run").mkdir()
    pytest.importorskip("mlflow", reason="an extra: docs/tracking.md")
    from mlflow.store.tracking.file_store import FileStore

    def slowly(self, root, *where, make=FileStore.__init__):
        if not store.exists():
            make(FileStore.__new__(FileStore), str(store))
        make(self, root, *where)

    monkeypatch.setattr(FileStore, "__init__", slowly)
    tracker(Tracked("mlflow", store), tmp_path / "run", CONFIG, 0)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert len(mlflow_client(store).search_runs(["0"])) == 1


def test_nothing_is_written_by_default(tmp_path):
    train(Watched(), tmp_path, 20, config={})
    assert not list(tmp_path.glob("*tfevents*"))


@pytest.mark.parametrize(
    ("kind", "module", "package"),
    [("tensorboard", "torch.utils.tensorboard", "tensorboard"), ("mlflow", "mlflow", "mlflow-skinny")],
)
def test_a_missing_package_is_one_line(tmp_path, kind, module, package):
    without = patch.dict(sys.modules, {module: None})
    expected = f"expected {package}. Install it beside torch, or set `tracking: none`"
    with without, pytest.raises(ValueError, match=expected):
        train(Watched(), tmp_path, 20, config={}, tracking=Tracked(kind))
