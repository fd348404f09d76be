"""Programs of others that tests run, each in an environment of its own: some want older packages than ours.

uv makes an environment from its cache where that has all packages, else from PyPI. Where PyPI cannot be reached, the
test is skipped with the reason, and so is each later one that would have to ask it again.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

UV = Path(sys.executable).with_name("uv")
SECONDS = 300  # for a download


class Environments:
    """Environments below `home`, which is also the home of what runs in them: programs keep things there."""

    def __init__(self, home: Path):
        self.home = home
        self.pythons: dict[str, Path] = {}
        self.unreachable = ""  # what uv said when it could not fetch something
        cache = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
        self.variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.variables |= {"UV_CACHE_DIR": cache, "UV_HTTP_TIMEOUT": "30", "HOME": str(home)}

    def run(self, packages: Sequence[str], *words: object, files_of: Sequence[str] = ()) -> subprocess.CompletedProcess:
        """Runs Python with these words and packages. Skips the test where they cannot be had.

        files_of: further packages, of which files are read and nothing runs: without what they need to run.
        """
        python = self.pythons.get(packages[0]) or self._make(packages, files_of)
        return subprocess.run([python, *words], cwd=self.home, env=self.variables, capture_output=True, text=True)

    def _make(self, packages: Sequence[str], files_of: Sequence[str]) -> Path:
        folder = self.home / packages[0]
        self._uv("venv", "--clear", "--python", sys.executable, folder)
        self._install(folder, *packages)
        if files_of:
            self._install(folder, "--no-deps", *files_of)
        self.pythons[packages[0]] = folder / "bin/python"
        return self.pythons[packages[0]]

    def _install(self, folder: Path, *words: str) -> None:
        install = ("pip", "install", "--python", folder, *words)
        if self._uv(*install, "--offline"):  # from PyPI, unless it did not answer before
            self.unreachable = self.unreachable or self._uv(*install)
            if self.unreachable:
                pytest.skip(f"{words[-1]} cannot be fetched here: {self.unreachable}")

    def _uv(self, *words: object) -> str:
        """What it says where it fails; nothing where it is done."""
        how = {"env": self.variables, "capture_output": True, "text": True, "timeout": SECONDS}
        try:
            done = subprocess.run([UV, *words, "--quiet"], **how)
        except subprocess.TimeoutExpired:
            return f"no end within {SECONDS} seconds"
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        return said[:300] if done.returncode else ""
