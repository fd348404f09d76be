"""Processes of the throw-away cluster, found in /proc: whose they are, and how all of them end at one instant.

A pid alone proves nothing, it may be somebody else's by now. So a process counts as ours only by something that it
cannot have by chance: an open log file of the node, the node's name in its environment, its place in the node's cgroup,
or a parent that is ours.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def _read(path: Path) -> str:
    """A file of /proc; empty when the process is gone meanwhile or is not ours to look at."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def pids() -> set[int]:
    return {int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()}


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from the third field, the state, on: the second, the name, may hold anything."""
    return _read(PROC / str(pid) / "stat").rpartition(")")[2].split()


def runs(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def program(pid: int) -> str:
    return Path(_link(PROC / str(pid) / "exe")).name.removesuffix(" (deleted)")


def environment(pid: int) -> list[str]:
    return _read(PROC / str(pid) / "environ").split("\0")


def open_files(pid: int) -> set[str]:
    try:
        numbers = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return set()
    return {_link(number) for number in numbers}


def ancestors(pid: int) -> set[int]:
    found = set()
    while (fields := _stat(pid)) and (pid := int(fields[1])) > 0:
        found.add(pid)
    return found


def with_descendants(roots: set[int]) -> set[int]:
    parents = {pid: int(fields[1]) for pid in pids() if (fields := _stat(pid))}
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def of_node(name: str, log: Path) -> set[int]:
    """slurmd, its slurmstepds (both hold the node's log file open) and every process of the jobs on that node."""
    found = {pid for pid in pids() if f"SLURMD_NODENAME={name}" in environment(pid) or str(log) in open_files(pid)}
    for folder in cgroups(name):
        for members in folder.glob("**/cgroup.procs"):
            found |= {int(line) for line in _read(members).split()}
    return {pid for pid in with_descendants(found) if runs(pid)}


def cgroups(name: str) -> list[Path]:
    return [folder for folder in CGROUPS.glob(f"*/slurm_{name}") if folder.is_dir()]


def remove_cgroups(name: str, seconds: float = 5) -> None:
    """What slurmd leaves under /sys/fs/cgroup. The kernel empties a cgroup shortly after its last process died."""
    end = time.monotonic() + seconds
    while folders := [inner for top in cgroups(name) for inner in (*top.glob("**/"), top)]:
        for folder in sorted(set(folders), key=lambda path: -len(path.parts)):
            try:
                folder.rmdir()
            except OSError:  # still busy: asked again below
                continue
        if time.monotonic() > end:
            break
        time.sleep(0.05)


def power_cut(find: Callable[[], set[int]], seconds: float = 10) -> None:
    """Ends all that `find` finds as a power cut does: nobody sees another one die, nobody cleans up or reports.

    All are stopped first, parents before their children, until no new one turns up. Only then are they killed.
    """
    stopped: set[int] = set()
    while new := find() - stopped - {os.getpid()}:
        for pid in sorted(new, key=lambda pid: int((_stat(pid) or ["0"] * 20)[19])):  # field 22: when it began
            _send(pid, signal.SIGSTOP)
        stopped |= new
    for pid in stopped:
        _send(pid, signal.SIGKILL)
    end = time.monotonic() + seconds
    while left := {pid for pid in stopped if runs(pid)}:
        if time.monotonic() > end:
            raise TimeoutError(f"still there {seconds} s after SIGKILL: {', '.join(map(describe, sorted(left)))}")
        time.sleep(0.02)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def mentioning(folder: Path) -> list[str]:
    """Who has anything to do with the folder: command line, environment, current folder or open files.

    The caller and its parents are left out: pytest or a shell may well stand in that folder.
    """
    own = {os.getpid()} | ancestors(os.getpid())
    found = []
    for pid in sorted(pids() - own):
        entry = PROC / str(pid)
        about = [_read(entry / "cmdline"), _read(entry / "environ"), _link(entry / "cwd"), *open_files(pid)]
        if any(str(folder) in text for text in about):
            found.append(describe(pid))
    return found


def describe(pid: int) -> str:
    return f"{pid} {_read(PROC / str(pid) / 'cmdline').replace(chr(0), ' ').strip() or program(pid)}"
