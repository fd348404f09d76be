"""Scripts as a rule starts them, but in this process: another one takes seconds to start Python and import torch.

That they work as processes the tests of whole studies show (tests/workflow).
"""

import argparse
import contextlib
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch

ROOT = Path(__file__).resolve().parents[1]


def run_here(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """What scripts/{name}.py does: exit code, what it printed, what it complained of. A bug of it is an error here."""
    path = ROOT / f"scripts/{name}.py"
    return called_here(program(path), str(path), *arguments)


def called_here(main: Callable[[], object], name: str, *arguments: object) -> subprocess.CompletedProcess:
    """The same of any program, which is called `name` and begins with `main`."""
    words, threads, out, err = [name, *map(str, arguments)], torch.get_num_threads(), io.StringIO(), io.StringIO()
    printed = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with patch.object(sys, "argv", words), patch.dict(os.environ), printed[0], printed[1]:
        code = _exit_code(main)
    torch.set_num_threads(threads)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def refused_arguments(main: Callable[[], object], name: str, *arguments: str, partly: bool = False) -> str:
    """What the program's own parser says against these arguments; empty where it takes them. What comes after the
    parser does not run, so files need not be there. `partly`: required arguments may be left out."""
    parse_known = argparse.ArgumentParser.parse_known_args

    def known(parser, *given, **named):
        for part in [*parser._actions, *parser._mutually_exclusive_groups] if partly else []:
            part.required = False
        return parse_known(parser, *given, **named)

    def parsed(parser, *given, **named):
        _, rest = parser.parse_known_args(*given, **named)
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        raise _ParsedError

    with patch.multiple(argparse.ArgumentParser, parse_known_args=known, parse_args=parsed):
        try:
            done = called_here(main, name, *arguments)
        except _ParsedError:
            return ""
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def run_apart(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """The same in a process of its own, with another order of sets: for results that are to be the same bytes."""
    words = [sys.executable, str(ROOT / f"scripts/{name}.py"), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True)


def program(path: Path) -> Callable[[], object]:
    """The main of a file that is a program, which finds the modules beside it."""

    def main() -> None:
        with patch.object(sys, "path", [str(path.parent), *sys.path]):
            runpy.run_path(str(path), run_name="__main__")

    return main


class _ParsedError(BaseException):
    """The parser has taken the arguments."""


def _exit_code(main: Callable[[], object]) -> int:
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
