"""How long show_status.py takes for a study of 600 trainings, each with a long history (limit: one second).

Every training gets a run directory as a training of days leaves it: a lock, ten attempts, 10 000 lines of progress. The
best of the rounds counts. Usage: python benchmarks/status.py [--rounds 5]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from understudy.config.study import complete
from understudy.run.status import wanted

ROOT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 1.0
CONFIG = {
    "datasets": {f"d{i}": {"root": "x", "test_subjects": 2} for i in range(2)},
    "generators": {"stylegan2": {}},
    "experiments": {"repeats": 50},
}


def make(folder: Path) -> int:
    """Writes the run directories; how many there are."""
    (folder / "study.yaml").write_text(yaml.safe_dump(CONFIG))
    config = complete(CONFIG)
    line = {"images_seen": 12_000_000, "images": 25_000_000, "seconds": 1.5e5, "seconds_per_kimg": 12.4, "loss": 0.5}
    progress = "".join(json.dumps(line) + "\n" for _ in range(10_000))
    start = {"event": "start", "images_seen": 12_000_000, "job": "4711", "host": "n3", "time": "2026-01-01T00:00:00"}
    end = {"event": "end", "images_seen": 12_000_000, "reason": "budget", "time": "2026-01-01T00:00:00"}
    jobs = wanted(config)
    for job in jobs:
        run_dir = folder / job.run / "0123456789abcdef"
        run_dir.mkdir(parents=True)
        (run_dir / "lock").write_text(json.dumps({"token": "t", "host": "n3", "boot": "b", "pid": 1, "job": "4711"}))
        (run_dir / "attempts.jsonl").write_text((json.dumps(start) + "\n" + json.dumps(end) + "\n") * 10)
        (run_dir / "progress.jsonl").write_text(progress)
    return len(jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        trainings, times = make(Path(name)), []
        for _ in range(rounds):
            begun = time.perf_counter()
            command = [sys.executable, ROOT / "scripts/show_status.py", "--config", "study.yaml"]
            done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=True)
            times.append(time.perf_counter() - begun)
        assert done.stdout.count("running") >= trainings
    best = min(times)
    print(f"{trainings} trainings listed in {best:.2f} s, {best / LIMIT_SECONDS:.2f} of the limit of one second")
    print(f"limit: {'met' if best <= LIMIT_SECONDS else 'NOT met'} (best of {rounds} rounds)")


if __name__ == "__main__":
    main()
