"""How long the forecast of the full study takes, without data or GPU (limit: 10 s), and how much of it is CPU: the dry
run of Snakemake works beside the counting of FLOPs, so a machine of two cores takes longer than one of four.
Usage: python benchmarks/forecast.py [--rounds 3]
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 10.0


def run(*command: str) -> tuple[float, float]:
    """(wall, CPU) seconds, those of its processes included."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    walls, cpus = zip(*(run("scripts/forecast.py") for _ in range(rounds)), strict=True)
    print(f"forecast of the full study: {max(walls):.1f} s at most, {min(walls):.1f} s at best of {rounds} rounds")
    print(f"CPU: {min(cpus):.1f} s at best on {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} processes at work")
    print(f"limit {LIMIT:g} s: {'met' if max(walls) <= LIMIT else 'NOT met'}")


if __name__ == "__main__":
    main()
