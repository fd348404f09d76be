"""What the machine allows: whether a throw-away SLURM cluster can run on it, and how."""

import os
import random
import shutil
import socket
import tempfile
from pathlib import Path

from slurm_processes import CGROUPS

PROGRAMS = ["munged", "munge", "unmunge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol"]
ACCOUNTING_PROGRAMS = ["slurmdbd", "sacctmgr", "sacct", "mariadbd", "mariadb-install-db", "mariadb-admin"]


def missing(accounting: bool = True) -> str:
    """Why no cluster can run here; empty if one can."""
    if os.geteuid() != 0:
        return "a SLURM cluster needs root: nodes run jobs as the user who submits them"
    path = search_path(os.environ)
    names = PROGRAMS + (ACCOUNTING_PROGRAMS if accounting else [])
    if absent := [name for name in names if not shutil.which(name, path=path)]:
        return f"programs of SLURM are missing, tests/slurm/packages.sh installs them: {' '.join(absent)}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            make_device(Path(folder) / "null")
        except OSError as error:
            return f"no device files can be made here, which stand for GPUs: {error}"
    return ""


def search_path(environment) -> str:
    """Daemons are in sbin, which is not on every user's PATH."""
    return f"{environment['PATH']}:/usr/sbin:/sbin"


def make_device(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))  # what /dev/null is


def cgroups_work() -> bool:
    """Whether SLURM can hold jobs in control groups here: version 1, as version 2 wants systemd."""
    for controller in ("freezer", "memory"):
        probe = CGROUPS / controller / f"understudy-probe-{os.getpid()}"
        try:
            probe.mkdir()
            found = (probe / "tasks").exists()  # a plain folder has none
            probe.rmdir()
        except OSError:
            return False
        if not found:
            return False
    return True


def free_ports(count: int) -> int:
    """The first of so many free ports in a row, below those that the system hands out by itself."""
    for _ in range(200):
        first = random.SystemRandom().randrange(12000, 32000 - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("", port))
        except OSError:
            continue
        return first
    raise RuntimeError(f"no {count} free ports in a row found between 12000 and 32000")
