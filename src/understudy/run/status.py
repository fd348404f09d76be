"""How every training and sampling of a study stands, from files alone: results, run directories, their locks.

Nothing here asks SLURM or Snakemake, so it answers in a second, on a login node or on a laptop that mounts the disk,
and also when the workflow itself has died.
"""

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.files.atomic import read_json
from understudy.files.escape import of_csv_cell
from understudy.study.grid import Setting, branch_of, run_folder, settings
from understudy.study.looks import after_looks, made_snapshots, made_trainings
from understudy.study.result_paths import generator_folder

from . import attempts, progress
from .lock import read_owner

SILENT_SECONDS = 180  # a heart beats every 10 s; the clocks of two machines may differ
RUNNING, LOST, STOPPED, ERROR, FAILED = "running", "lost", "stopped", "error", "failed"
UNPUBLISHED, DONE, WAITING = "unpublished", "done", "waiting"
STATES = {
    RUNNING: "a process is at work",
    LOST: "a process was killed: out of memory, time limit, node lost; it goes on when started again",
    STOPPED: "left by itself, at the end of its time budget or asked to; it goes on when started again",
    ERROR: "ended with an error; it is tried again when started again",
    FAILED: "failed, and that is its result: it counts in the tables, and is not tried again",
    UNPUBLISHED: "all images seen, its result is not there yet",
    DONE: "its result is there",
    WAITING: "not begun",
}


@dataclass(frozen=True)
class Work:
    """A training, or the sampling of a generator."""

    name: str  # such as "brats2020 unet real plain repeat3"
    branch: str
    run: str  # folder of its run directories
    output: str  # when it is there, it is done


@dataclass(frozen=True)
class Standing:
    """How a Work stands."""

    work: Work
    state: str
    images_seen: int | None = None
    images: int | None = None
    seconds_per_kimg: float | None = None
    restarts: int = 0
    slurm_job: str = ""
    word: str = ""  # the last error, or why it ended

    @property
    def seconds_left(self) -> float | None:
        if self.images is None or self.images_seen is None or self.seconds_per_kimg is None:
            return None
        return (self.images - self.images_seen) / 1000 * self.seconds_per_kimg


def wanted(config: Mapping) -> list[Work]:
    """The trainings and samplings that a validated config asks for."""
    results, runs, works = config["results"], config["runs"], []
    for dataset, generator in [*made_trainings(config), *made_snapshots(config)]:
        wildcards = {"dataset": dataset, "generator": generator}
        name, folder = f"{dataset} {generator}", generator_folder(results, dataset, generator)
        where = {rule: run_folder(runs, rule, wildcards) for rule in ("train_generator", "sample_generator")}
        if where["train_generator"]:
            works.append(Work(name, branch_of(wildcards), where["train_generator"], f"{folder}/weights.json"))
        works.append(Work(f"{name} samples", branch_of(wildcards), where["sample_generator"], f"{folder}/samples.zip"))
    asked = after_looks(settings(config), config)
    repeats = (work_of(setting, repeat, results, runs) for setting in asked for repeat in setting.numbers)
    return works + list(dict.fromkeys(repeats))  # settings may share trainings: stylegan2 and stylegan2-seed2


def work_of(setting: Setting, repeat: int, results: str, runs: str) -> Work:
    """The training of one repeat."""
    s = setting.of_repeat(repeat)
    wildcards, scores = {**s.as_dict(), "repeat": str(repeat)}, f"{s.folder(results)}/repeat{repeat}/scores.csv"
    name = f"{s.dataset} {s.segmenter} {s.training_set} {s.augmentation} repeat{repeat}"
    run = run_folder(runs, "train_segmenter", wildcards)
    return Work(name, branch_of(wildcards), run, scores)


def standing(work: Work, now: float | None = None) -> Standing:
    """Raises nothing for half-written files: what cannot be read yet is not known yet."""
    run_dir = _newest_run(Path(work.run))
    if run_dir is None:
        state, word = _result(work) if Path(work.output).exists() else (WAITING, "")
        return Standing(work, state, word=word)
    lines, line = attempts.read(run_dir), progress.last_line(run_dir) or {}
    start = next((entry for entry in reversed(lines) if entry["event"] == "start"), {})
    state, word = _state(work, run_dir, lines, line, time.time() if now is None else now)
    return Standing(
        work,
        state,
        line.get("images_seen", start.get("images_seen")),
        line.get("images"),
        line.get("seconds_per_kimg"),
        attempts.restarts(lines),
        start.get("job") or "",
        word,
    )


def _newest_run(runs: Path) -> Path | None:
    """Another config is another directory: the one that was begun or went on last is meant."""
    if not runs.is_dir():
        return None
    found = [(path.stat().st_mtime, path) for path in runs.glob("*/lock")]
    return max(found)[1].parent if found else None


def _state(work: Work, run_dir: Path, lines: list[dict], line: dict, now: float) -> tuple[str, str]:
    owner = read_owner(run_dir / "lock")
    silent = now - (run_dir / "lock").stat().st_mtime
    if owner and silent < SILENT_SECONDS:
        return RUNNING, attempts.last_message(lines[:-1])
    if Path(work.output).exists():
        return _result(work)
    if owner or (lines and lines[-1]["event"] == "start"):
        return LOST, f"not heard of for {silent / 60:.0f} min, killed by something"
    reason = lines[-1]["reason"] if lines else "finished"
    if reason in ("error", "failed"):
        return (ERROR if reason == "error" else FAILED), attempts.last_message(lines)
    if reason == "finished":
        return UNPUBLISHED, ""
    return STOPPED, {"budget": "time budget used", "asked": "another process took over"}.get(reason, f"by {reason}")


def _result(work: Work) -> tuple[str, str]:
    """Of what was published: a failure is a result, and scores or the manifest of weights say why."""
    failure = ""
    if work.output.endswith(".csv"):
        with open(work.output, newline="", encoding="utf-8") as scores:
            failure = of_csv_cell(next(csv.DictReader(scores), {}).get("failure") or "")
    elif work.output.endswith("weights.json"):
        failure = read_json(Path(work.output)).get("failure", "")
    return (FAILED, failure) if failure else (DONE, "")
