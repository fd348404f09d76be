"""What the receiver has of a release, and does with it."""

import subprocess
import sys

from understudy.release.verify.listed_files import files_in, sums_of


def check(folder):
    """Exit code and what it says, as the receiver would run it: alone, in a folder of its own."""
    done = subprocess.run([sys.executable, "verify.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def resum(folder):
    """As a sender would who makes the sums for whatever is there."""
    (folder / "SHA256SUMS").write_text(sums_of(str(folder), files_in(str(folder))))
