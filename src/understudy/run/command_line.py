"""What the scripts share: an error for a person is one line on stderr and exit code 1, a bug is a traceback."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def run(main: Callable[[], None], error_code: int = 1) -> None:
    """Runs a script's main. A ValueError is a message for the user; anything else is a bug and keeps its traceback."""
    try:
        main()
    except ValueError as error:
        print(f"{_process()}error: {error}", file=sys.stderr, flush=True)
        sys.exit(error_code)


def _process() -> str:
    """Which of several processes speaks; empty for a single one."""
    rank = os.environ.get("RANK")
    return f"process {rank}: " if rank else ""


@contextmanager
def named_os_errors() -> Iterator[None]:
    """For the boundary of a script: what the system says of a user's file (no permission, ...) as a ValueError."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{error.filename or 'operating system'}: {error.strerror or error}") from error
