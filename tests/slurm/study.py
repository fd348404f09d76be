"""A small study on the throw-away cluster: a copy of the project, the shipped profile with small numbers, Snakemake.

The profile is profiles/slurm as it stands; only sizes, times and the device differ, since the nodes share two cores.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from cluster import Cluster
from project import ROOT, Project
from script_server import folder_of_client

from understudy.run import attempts, progress

CONFIG = """
datasets:
  made: {{phantom: {{subjects: 6, size: 32}}, test_subjects: 2, draw: seed}}
images: {{size: 32}}
generators:
  stylegan2:
    {{channel_base: 128, channel_max: 8, latent_size: 8, mapping_layers: 2, batch: 4, kimg: {kimg}, precision: fp32}}
samples: {{count: 30}}
segmenters:
  unet:
    {{depth: 3, base_filters: 4, samples: 60, epoch_samples: 30, batch: 4, background_warmup_epochs: 0, collapse: keep}}
audit: {{false_positive_rate: 0.1, planted: 10, null_images: 20, find_power: 0, least_subjects: 2}}
experiments: {{repeats: 2, training_sets: [real], augmentations: [plain]}}
"""
IMAGES = 1600  # some ten seconds
WEIGHTS = "results/made/generators/stylegan2/weights.safetensors"
SCORERS = ("score_calibration", "score_external", "score_network_ensemble")
TRAINERS = (
    "train_generator",
    "sample_generator",
    "train_segmenter",
    "train_nnunet",
    *SCORERS,
    "score_fidelity",
    "measure_speed",
    "calibrate_audit",
    "find_nearest",
    "filter_samples",
    "attack_weights",
)
CHECKPOINT_MIN = "0.05"  # 3 s: a fault may cost that much


def profile(partition_file: bool = False, **changes: dict) -> dict:
    """profiles/slurm for jobs of seconds; `changes`: rule -> resources. `partition_file`: without any partition."""
    settings = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    small = {"mem_mb": 1500, "runtime": 20}
    resources = settings["set-resources"]
    for rule in (
        "make_phantom",
        "index_subjects",
        "slice_volumes",
        "make_tables",
        "compare_generators",
        "compare_fidelity",
        "make_figures",
        "make_control",
        "make_report",
        "audit_samples",
        "compare_audits",
        "make_release",
        "make_reader_study",
        "read_answers",
        "pool_samples",
        "export_training_set",
        "compare_experiment",
        "compare_calibration",
        "compare_external",
        "compare_network_ensembles",
        "compare_strata",
        "make_leaderboard",
    ):
        resources[rule] = dict(small)
    for rule in TRAINERS:
        resources[rule] |= {**small, "device": "cpu"}
        if rule not in (*SCORERS, "score_fidelity", "measure_speed"):
            resources[rule] |= {"checkpoint_min": f"'{CHECKPOINT_MIN}'"}
    for rule, more in changes.items():
        resources[rule] |= more
    settings["set-threads"] = dict.fromkeys(resources, 1)
    if partition_file:  # as the comment in the profile says
        for block in (settings["default-resources"], *resources.values()):
            block.pop("slurm_partition", None)
        settings["slurm-partition-config"] = "profiles/slurm/partitions.yaml"
    settings |= {"latency-wait": 5, "slurm-init-seconds-before-status-checks": 3}
    return settings


class Study(Project):
    """A project in a folder of its own, run on a cluster. `prepared`: one whose stacks are there, to start from.
    `forked_jobs`: what jobs run are forks (tests/script_server.py), which no limit of SLURM reaches."""

    def __init__(self, folder: Path, cluster: Cluster, prepared: Path | None = None, forked_jobs=False, **changes):
        folder.mkdir(parents=True)
        super().__init__(folder, prepared)
        self.cluster, self.forked_jobs = cluster, forked_jobs
        (folder / "profiles/test").mkdir()
        self.write("profiles/test/config.yaml", yaml.safe_dump(profile(**changes)))
        self._log = folder / "snakemake.log"

    def start(self, *targets: str, config: str = "config/study.yaml", **settings: str) -> subprocess.Popen:
        """Snakemake in the background, as its own process group; what it says goes to a log file."""
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        command = [sys.executable, "-m", "snakemake", *targets, "--profile", "profiles/test", "--configfile", config]
        first = f"{folder_of_client()}:" if self.forked_jobs else ""
        path = f"{first}{Path(sys.executable).parent}:{self.cluster.environment['PATH']}"
        with open(self._log, "a") as log:
            return subprocess.Popen(
                [*command, *options],
                cwd=self.folder,
                env={**self.cluster.environment, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def finish(self, snakemake: subprocess.Popen, seconds: float = 400) -> str:
        """Waits for a good end; what Snakemake said."""
        self.wait(lambda: snakemake.poll() is not None, seconds, "Snakemake to end")
        assert snakemake.returncode == 0, self.log()[-6000:] + self._logs_of_failures()
        return self.log()

    def _logs_of_failures(self) -> str:
        """The logs of the jobs that Snakemake says failed, as a file's end."""
        names = dict.fromkeys(re.findall(r"log: (\S+) \(check log file", self.log()))
        logs = [self.folder / name for name in names]
        return "".join(f"\n--- {log}\n{log.read_text()[-3000:]}" for log in logs if log.is_file())

    def script(self, name: str, *arguments: str) -> str:
        """What scripts/{name} prints in this folder."""
        command = [sys.executable, f"scripts/{name}", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    def log(self) -> str:
        return self._log.read_text()

    def wait(self, condition: Callable, seconds: float, what: str):
        try:
            return self.cluster.wait(condition, seconds, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log()[-4000:]}") from None

    def attempts(self, runs: str = "runs/made/generators/stylegan2") -> list[dict]:
        """The history of the one run directory there."""
        found = list((self.folder / runs).glob("*/attempts.jsonl"))
        return attempts.read(found[0].parent) if found else []

    def checkpoint(self) -> int:
        """Images of the generator's newest checkpoint; 0 if there is none."""
        steps = (self.folder / "runs/made/generators/stylegan2").glob("*/step-?????????")
        return max((int(path.name.removeprefix("step-")) for path in steps), default=0)

    def job_of_training(self) -> int:
        """The SLURM job that trains the generator now; waits until it has made a checkpoint of its own."""
        before = self.checkpoint()
        self.wait(lambda: self.checkpoint() > before, 120, "a checkpoint")
        return int(self.attempts()[-1]["job"])

    def node_of(self, job: int) -> str:
        return next(row["NodeList"] for row in self.cluster.queue() if row["JobID"] == str(job))

    def jobs(self, rule: str) -> list[dict[str, str]]:
        """SLURM's own records of a rule's jobs in this folder, every run of a requeued one by itself."""
        logs = (self.folder / f".snakemake/slurm_logs/rule_{rule}").rglob("*.log")
        known = {path.stem for path in logs}
        return [row for row in self.cluster.accounting() if row["JobID"] in known]


class Undisturbed:
    """What a training comes to when nothing happens to it: `weights` (bytes), `images`, `seconds_per_image`."""

    def __init__(self, prepared: Path, folders, config: str = "config/study.yaml"):
        self._prepared, self._folders = prepared, folders
        project = Project(folders.mktemp("undisturbed"), prepared)
        project.made(WEIGHTS, "--profile", "profiles/local", "--configfile", config)
        (run_dir,) = (project.folder / "runs/made/generators/stylegan2").iterdir()
        line = progress.last_line(run_dir)
        self.images, self.seconds_per_image = line["images"], line["seconds"] / line["images"]
        self.weights = (project.folder / WEIGHTS).read_bytes()

    def train(self, config: str) -> "Undisturbed":
        """Another config of the same project."""
        return Undisturbed(self._prepared, self._folders, config)


def states(rows: list[dict[str, str]]) -> list[str]:
    """Without who cancelled: CANCELLED by 0 is CANCELLED."""
    return [row["State"].split()[0] for row in rows]


def wait_for_states(study: Study, rule: str, expected: list[str]) -> list[dict[str, str]]:
    """The records of a rule's jobs, once they have these states: accounting is some seconds late."""
    study.wait(lambda: states(study.jobs(rule)) == expected, 30, f"{rule} to be on record as {expected}")
    return study.jobs(rule)


def kill_snakemake(snakemake: subprocess.Popen) -> None:
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.wait()


def one_at_a_time(lines: list[dict]) -> bool:
    """Whether no attempt began before the one before it had ended, or was killed: starts and ends take turns."""
    return all(
        later["time"] >= earlier["time"] and not (earlier["event"] == later["event"] == "end")
        for earlier, later in zip(lines, lines[1:], strict=False)
    )


def goes_on_without_loss(study: Study, undisturbed: bytes) -> list[dict]:
    """Asserts that the weights are those of an undisturbed training, that attempts came one after the other, and each
    where the one before it had a checkpoint. Returns the attempts."""
    assert (study.folder / WEIGHTS).read_bytes() == undisturbed
    lines = study.attempts()
    assert one_at_a_time(lines) and lines[-1]["reason"] == "finished"
    assert places(lines) == sorted(places(lines)) and places(lines)[0] == 0
    return lines


def places(lines: list[dict]) -> list[int]:
    """Images at which attempts began."""
    return [line["images_seen"] for line in lines if line["event"] == "start"]
