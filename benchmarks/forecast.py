"""How long the forecast of the full study takes, without data or GPU (limit: 20 s), and whether its job counts are
those of Snakemake's dry run. Usage: python benchmarks/forecast.py [--rounds 3]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 20.0


def run(*command: str) -> tuple[float, str]:
    begun = time.perf_counter()
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - begun, done.stdout + done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "forecast.json"
        times = [run("scripts/forecast.py", "--json", str(told))[0] for _ in range(rounds)]
        rules = json.loads(told.read_text())["rules"]
    listed = run("-m", "snakemake", "-n")[1].split("Job stats:")[1].split("\n\n")[0]
    planned = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", listed, re.MULTILINE)}
    agree = {row["name"]: row["jobs"] for row in rules} == {k: v for k, v in planned.items() if k != "total"}
    print(f"forecast of the full study: {max(times):.1f} s at most, {min(times):.1f} s at best of {rounds} rounds")
    print(f"limit {LIMIT:g} s: {'met' if max(times) <= LIMIT else 'NOT met'}")
    print(f"job counts {'equal' if agree else 'DO NOT equal'} those of a dry run ({planned['total']} jobs)")


if __name__ == "__main__":
    main()
