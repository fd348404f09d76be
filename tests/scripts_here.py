"""Scripts as a rule starts them, but in this process: another one takes seconds to start Python and import torch.

That they work as processes the tests of whole studies show (tests/workflow).
"""

import contextlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import torch

ROOT = Path(__file__).resolve().parents[1]


def run_here(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """What scripts/{name}.py does: exit code, what it printed, what it complained of. A bug of it is an error here."""
    path, out, err = ROOT / f"scripts/{name}.py", io.StringIO(), io.StringIO()
    words, threads = [str(path), *map(str, arguments)], torch.get_num_threads()
    printed = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with patch.object(sys, "argv", words), patch.dict(os.environ), printed[0], printed[1]:
        code = _exit_code(path)
    torch.set_num_threads(threads)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def run_apart(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """The same in a process of its own, with another order of sets: for results that are to be the same bytes."""
    words = [sys.executable, str(ROOT / f"scripts/{name}.py"), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True)


def _exit_code(path: Path) -> int:
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
