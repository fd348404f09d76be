"""torch.compile where this machine can, else one line that says what is missing."""

import functools
import os
import shutil
import sysconfig
from pathlib import Path


@functools.cache
def can_compile() -> bool:
    """Whether there is what torch.compile needs beside torch. Says so once where it is missing."""
    compilers = [name for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and shutil.which(name)]
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if compilers and header.exists():
        return True
    missing = f"{header}, Python's header" if compilers else "a C compiler (CC, cc, gcc, clang)"
    print(f"not compiled, so slower: torch.compile needs {missing}, and found none", flush=True)
    return False
