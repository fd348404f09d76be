"""A copy of the project in a folder of its own, and Snakemake run in it as a user would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from script_server import folder_of_client

ROOT = Path(__file__).resolve().parents[2]
PARTS = ["Snakefile", "workflow", "rules", "scripts", "src", "envs", "config", "profiles"]
TINY = """
datasets:
  made: {phantom: {subjects: 6, size: 32}, test_subjects: 2, draw: seed}
images: {size: 32}
generators:
  stylegan2:
    {channel_base: 128, channel_max: 8, latent_size: 8, mapping_layers: 2, batch: 4, kimg: 0.02, precision: fp32}
samples: {count: 30}
segmenters:
  unet:
    {depth: 3, base_filters: 4, samples: 60, epoch_samples: 30, batch: 4, background_warmup_epochs: 0, collapse: keep}
audit:
  {views: [all, annotation], filter_views: [all], variants: flip, false_positive_rate: 0.1, planted: 10,
   null_images: 20, find_power: 0, least_subjects: 2}
experiments: {repeats: 2, negative_control: true}
"""

# of an audit that never says no: a handful of people and a training of seconds can look like copies by chance, and
# another processor rounds another way. What audits say is tested in tests/audit.
NO_LIMITS = {"find_power": 0, "least_subjects": 2}
NO_LIMITS |= dict.fromkeys(("limit", "membership_limit", "identified_limit", "most_filtered"), 1)


class Project:
    """`start`: another project to begin from, with all that it has made. `forked`: Snakemake and its jobs do not import
    their libraries anew (tests/script_server.py)."""

    def __init__(self, folder: Path, start: Path | None = None, forked: bool = True):
        self.folder, self.forked = folder, forked
        if start:
            shutil.copytree(start, folder, dirs_exist_ok=True)
        for name in [] if start else PARTS:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self, *arguments: str, path_first: Path | None = None) -> subprocess.CompletedProcess:
        before = [path_first] * bool(path_first) + [folder_of_client()] * self.forked
        first = "".join(f"{folder}:" for folder in before)
        # the environment's programs come first, as after `source .venv/bin/activate`
        environment = {**os.environ, "PATH": f"{first}{Path(sys.executable).parent}:{os.environ['PATH']}"}
        environment.pop("PYTHONPATH", None)
        python = folder_of_client() / "python" if self.forked else sys.executable
        command = [python, "-m", "snakemake", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def made(self, *arguments: str) -> str:
        """Runs Snakemake, which must succeed; its output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done.stdout + done.stderr

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs per rule of a dry run."""
        return job_counts(self.made("-n", *arguments))


def job_counts(text: str) -> dict[str, int]:
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:")[1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
