"""MLflow's file store: a folder that all trainings of a study share, in which each is a run with a folder of its own.

MLflow 3 prefers a database and only maintains this store. Jobs of a cluster keep it: each writes in its run's folder
alone, where all would write into one file of SQLite, which a network file system does not lock safely.
`mlflow migrate-filestore` makes a database of it.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

import numpy as np

from understudy.files.atomic import write_text_atomically

_RUN_ID = "mlflow_run"  # in the run directory
_EXPERIMENT = "0"  # the one that MLflow makes itself
_PEOPLE = {"left_out", "subjects"}  # of a config: names of subjects
SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # else MLflow 3.13 and newer refuse it
    "MLFLOW_DISABLE_TELEMETRY": "true",  # else it reports its use to another host
}


class MLflow(AbstractContextManager):
    """A trackers.Tracker: one run of the store, which later attempts continue.

    Args:
        store: made where it is not there.
        config: of the training; becomes the parameters of the run.
        images_seen: what an attempt that was killed wrote beyond is removed.
    """

    def __init__(self, store: Path, run_dir: Path, config: dict, images_seen: int):
        os.environ.update(SETTINGS)  # MLflow reads them as it is imported
        try:
            self.mlflow = import_module("mlflow")  # an extra, which environments of rules do not hold
        except ModuleNotFoundError as error:
            raise ValueError(
                f"tracking: found no package {error.name}, expected mlflow-skinny. Install it beside torch, or set "
                "`tracking: none`; docs/tracking.md says how."
            ) from error
        self.status = "FAILED"  # until it is known how the attempt ends
        _make_store(store)
        self.client = self.mlflow.MlflowClient(store.resolve().as_uri())
        self.run = self._known(run_dir) or self._new(store, run_dir)
        _forget_beyond(store / _EXPERIMENT / self.run, images_seen)
        for name, value in _parameters(config):
            self.client.log_param(self.run, name, value)

    def _known(self, run_dir: Path) -> str | None:
        """The run of earlier attempts, where nobody has deleted it."""
        path = run_dir / _RUN_ID
        if not path.exists():
            return None
        run = path.read_text()
        try:
            if self.client.get_run(run).info.lifecycle_stage != "active":
                return None
        except self.mlflow.MlflowException:
            return None
        self.client.update_run(run, "RUNNING")
        return run

    def _new(self, store: Path, run_dir: Path) -> str:
        name = os.path.relpath(run_dir, store.parent)
        run = self.client.create_run(_EXPERIMENT, run_name=name).info.run_id
        write_text_atomically(run_dir / _RUN_ID, run)
        return run

    def __exit__(self, *error: object) -> None:
        self.client.set_terminated(self.run, self.status)

    def ended(self, finished: bool) -> None:
        self.status = "FINISHED" if finished else "SCHEDULED"

    def numbers(self, images_seen: int, record: dict[str, float]) -> None:
        now_ms = round(time.time() * 1000)
        self.client.log_batch(
            self.run,
            [self.mlflow.entities.Metric(name, float(value), now_ms, images_seen) for name, value in record.items()],
        )

    def show(self, shown: Iterable[tuple[str, int, float | np.ndarray]]) -> None:
        for name, images_seen, value in shown:
            if isinstance(value, np.ndarray):
                self.client.log_image(self.run, value, f"{name}/{images_seen:09d}.png")
            else:
                self.numbers(images_seen, {name: value})


def _make_store(store: Path) -> None:
    """Whole or not at all: many jobs may come first."""
    if store.exists():
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mlruns-", dir=store.parent) as folder:
        made = Path(folder, store.name)
        import_module("mlflow.store.tracking.file_store").FileStore(str(made), store.resolve().as_uri())
        try:
            made.rename(store)
        except OSError:  # another job was faster
            if not store.exists():
                raise


def _forget_beyond(folder: Path, images_seen: int) -> None:
    """Of a run of the store: a line of a metric is `time value step`; a kill may cut the last one."""
    for path in [path for path in folder.glob("metrics/**/*") if path.is_file()]:
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and int(line.split()[2]) <= images_seen]
        if kept != lines:
            write_text_atomically(path, "".join(kept))
    for path in folder.glob("artifacts/**/*.png"):
        if int(path.stem) > images_seen:
            path.unlink()


def _parameters(config: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Blocks flattened: options.lr. Names of subjects stay out: a store is shown to others more easily than `runs`."""
    for key, value in config.items():
        if not prefix and key in _PEOPLE:
            continue
        name = prefix + re.sub(r"[^\w. -]", "_", str(key))
        if isinstance(value, dict):
            yield from _parameters(value, f"{name}.")
        else:
            yield name, value
