"""Runs the whole study of a config on this machine, on a GPU where there is one, and says which device that is.

The same as `snakemake --profile profiles/local`, to which a GPU adds `--profile profiles/gpu`.
"""

import argparse
import os
import sys
from pathlib import Path

from understudy.config.study import load_yaml
from understudy.run import command_line, machine

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, type=Path)
    a = parser.parse_args()
    load_yaml(a.config)  # names a file that is not there, or is no YAML, in one line
    gpu = machine.gpu_found()
    print(f"GPU: {gpu}" if gpu else f"no GPU found: {len(os.sched_getaffinity(0))} CPU cores", flush=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(a.config)]
    for profile in ("local", "gpu") if gpu else ("local",):
        command += ["--profile", str(ROOT / "profiles" / profile)]
    os.environ["UNDERSTUDY_ANSWERS"] = "later"  # show_results.py prints them, also where nothing was to be done
    os.execv(sys.executable, command)  # noqa: S606  no shell; Snakemake takes the place of this process, and its signals


if __name__ == "__main__":
    command_line.run(main)
