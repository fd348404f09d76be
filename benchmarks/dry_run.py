"""How long a dry run of the full study takes, against an empty workflow with as many jobs (limit: 1.5 times).

The empty workflow has the same number of jobs in the same shape (a fan of jobs between two), no config, no functions.
Both are timed in turns; the best of the rounds counts. Usage: python benchmarks/dry_run.py [--rounds 5]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.5
EMPTY = """
N = {middle}

rule all:
    input:
        "out/last.txt",

rule first:
    output:
        "out/first.txt",
    shell:
        "touch {{output}}"

rule middle:
    input:
        "out/first.txt",
    output:
        "out/{{i}}.txt",
    shell:
        "touch {{output}}"

rule last:
    input:
        expand("out/m{{i}}.txt", i=range(N)),
    output:
        "out/last.txt",
    shell:
        "touch {{output}}"
"""


def dry_run(folder: Path) -> tuple[float, str]:
    """(seconds, output) of `snakemake -n -p`, which tells the number of jobs."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    begun = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "-n", "-p"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, done.stdout + done.stderr


def jobs(text: str) -> int:
    return int(re.search(r"^total +(\d+)$", text, re.MULTILINE)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    study = jobs(dry_run(ROOT)[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(EMPTY.format(middle=study - 3))
        empty = jobs(dry_run(folder)[1])
        assert empty == study, (empty, study)
        times = [(dry_run(ROOT)[0], dry_run(folder)[0]) for _ in range(rounds)]
    ours, theirs = (min(column) for column in zip(*times, strict=True))
    print(f"jobs {study}   full study {ours:.2f} s   empty workflow {theirs:.2f} s   ratio {ours / theirs:.2f}")
    print(f"limit {LIMIT}: {'met' if ours <= LIMIT * theirs else 'NOT met'} (best of {rounds} rounds each)")


if __name__ == "__main__":
    main()
