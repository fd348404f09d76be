"""What `make demo` shows, and how long it takes: seconds, Dice relative to real images, verdicts, for several seeds.
Written to demo.md.

Each seed is config/demo.yaml from nothing, in a folder of its own, with all cores; nothing else should run beside it.
Limits: ten minutes, and 0.8 of the Dice of real images with every network, for the best generator.

    python benchmarks/demo.py --seeds 1 2 3     # some ten minutes of two cores a seed
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from understudy.study.sources import COPIES

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "config/demo.yaml"
SECONDS, PERCENT = 600, 80


def run(seed: int, folder: Path) -> float:
    """Seconds of the whole demo. Raises CalledProcessError where it fails."""
    (folder / "config").symlink_to(ROOT / "config")  # whose split file is named from the working directory
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--profile", ROOT / "profiles/local", "--configfile", ROOT / CONFIG, "--config", f"seed={seed}"]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def lines_of(seed: int, seconds: float, results: Path) -> list[str]:
    """A line for each generator, and one for copies of patients."""
    relative = pd.read_csv(results / "tables/relative_dice.csv")
    audits = {path.parent.name: json.loads(path.read_text()) for path in results.glob("*/generators/*/audit.json")}
    lines = []
    for generator, audit in sorted(audits.items(), key=lambda one: one[0] == COPIES):
        rows = relative[relative["training_set"] == generator].set_index("segmenter")["percent"]
        dice = ", ".join(f"{network} {percent:.0f}" for network, percent in rows.items())
        flagged = f"{audit['memorized']['count']} of {audit['count']}"
        lines.append(f"| {seed} | {seconds:.0f} | {generator} | {dice} | {audit['verdict']} | {flagged} |")
    return lines


def written(lines: list[str]) -> str:
    head = ("seed", "seconds", "images", "Dice, % of real", "audit", "flagged")
    about = f"`make demo` without its set-up. Limits: {SECONDS} seconds; {PERCENT} % with every network, for the best."
    return "\n".join([about, "", "| " + " | ".join(head) + " |", "| --- " * len(head) + "|", *lines]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    lines = []
    for seed in a.seeds:
        with tempfile.TemporaryDirectory() as folder:
            seconds = run(seed, Path(folder))
            lines += lines_of(seed, seconds, Path(folder) / "results")
        print(written(lines), flush=True)
    a.output.write_text(written(lines))


if __name__ == "__main__":
    main()
