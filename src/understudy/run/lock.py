"""One writer per run directory, on one machine and across a cluster.

The file `lock` holds who owns the directory (JSON), and its modification time is the owner's heartbeat. An owner is
dead when the kernel says so or when its heart stands still:

- flock is exact among processes of one kernel (the same boot id): it ends with its process, whatever killed it.
- Between machines flock may reach (NFS 4, GPFS) or not (Lustre without -o flock). So a lock of another machine is taken
  over only after its heartbeat has been watched, and has not moved, for `silent_seconds`. Nobody's clock is compared.

A second process does not wait for days: it asks the owner to leave (file `leave`), the owner checkpoints and goes, the
second goes on from there. This is what a restart needs after the workflow's own process was killed, when SLURM still
runs the job that nobody watches. Before each save the owner makes sure that the lock is still its own.
"""

import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from understudy.files.atomic import write_json

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NO_FLOCK = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
_SETTLE_SECONDS = 2.0  # two machines may take over one dead lock at once; after this only the later one finds its token


def identity() -> dict:
    """Who this process is, for the lock and for people: host, pid, SLURM job."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else socket.gethostname()
    return {"host": socket.gethostname(), "boot": boot, "pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID")}


def describe(owner: dict | None) -> str:
    """Such as "SLURM job 4711 on node n3" or "process 12 on host"."""
    if owner is None:
        return "a process that has not said who it is"
    where = f"on {owner.get('host')}"
    return f"SLURM job {owner['job']} {where}" if owner.get("job") else f"process {owner.get('pid')} {where}"


def read_owner(path: Path) -> dict | None:
    """What the lock says of its owner; None where it is free, new, or in the middle of being written."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return None if owner.get("released") else owner


class Lock:
    """A held lock: `asked` once another process wants the directory, `lost` once another has taken it."""

    def __init__(self, run_dir: Path, file: IO[str], owner: dict, beat_seconds: float):
        self.run_dir, self.owner, self.asked, self.lost = run_dir, owner, False, False
        self._file, self._beat_seconds, self._end = file, beat_seconds, threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self._heart.start()

    def _beat(self) -> None:
        while not self._end.wait(self._beat_seconds):
            with suppress(OSError):  # a file system that hiccups: the next beat tells
                os.utime(self._file.fileno())
                self.look()

    def look(self) -> None:
        """Updates `asked` and `lost` from the files."""
        self.asked = self.asked or (self.run_dir / "leave").exists()
        owner = read_owner(self.run_dir / "lock")
        self.lost = self.lost or (owner is not None and owner["token"] != self.owner["token"])

    def check(self) -> None:
        """Raises ValueError where another process has taken over, so that this one does not write."""
        self.look()
        if self.lost:
            other = read_owner(self.run_dir / "lock")
            raise ValueError(
                f"{self.run_dir}: found its lock taken over by {describe(other)} while this process could not be "
                "heard; nothing more is written from here, that process goes on."
            )

    def release(self) -> None:
        self._end.set()
        self._heart.join()
        self.look()
        if not self.lost:
            _write(self._file, {**self.owner, "released": True})
        self._file.close()


@contextmanager
def only_writer(run_dir: Path, *, silent_seconds: float = 60, patience_seconds: float = 600) -> Iterator[Lock]:
    """Holds the lock of a run directory; its owner, if there is one alive, is asked to leave first.

    Args:
        silent_seconds: a lock of another machine is dead after its heart has stood still for so long.
        patience_seconds: how long an owner may take to checkpoint and leave.
    Raises:
        ValueError: the owner did not leave.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    file = open(run_dir / "lock", "a+", encoding="utf-8")  # noqa: SIM115 (held until the release)
    try:
        owner = {**identity(), "token": uuid.uuid4().hex, "since": time.strftime("%Y-%m-%dT%H:%M:%S")}
        _claim(run_dir, file, owner, silent_seconds, patience_seconds)
        lock = Lock(run_dir, file, owner, silent_seconds / 6)
    except BaseException:
        file.close()
        raise
    try:
        yield lock
    finally:
        lock.release()


def _claim(run_dir: Path, file: IO[str], me: dict, silent_seconds: float, patience_seconds: float) -> None:
    begun, watch, asked = time.monotonic(), _Watch(file), False
    while True:
        mine, other = _flock(file), read_owner(run_dir / "lock")
        silent = watch.silent_seconds()
        if mine is not False and (other is None or (mine and other["boot"] == me["boot"]) or silent > silent_seconds):
            break
        if mine:
            fcntl.flock(file, fcntl.LOCK_UN)
        if not asked:
            print(f"{run_dir}: {describe(other)} is at work here; asked to leave, waiting", flush=True)
            write_json(run_dir / "leave", me)
            asked = True
        if time.monotonic() - begun > patience_seconds:
            (run_dir / "leave").unlink(missing_ok=True)  # nobody waits any more
            raise ValueError(
                f"{run_dir}: another process is at work here, {describe(other)}, and did not leave within "
                f"{patience_seconds:.0f} s of being asked. Wait for it or stop it (scancel), then start again."
            )
        time.sleep(min(1.0, silent_seconds / 10))
    _write(file, me)
    if other is not None and other["boot"] != me["boot"]:
        print(f"{run_dir}: took over the lock of {describe(other)}, silent for {silent:.0f} s", flush=True)
        time.sleep(_SETTLE_SECONDS)
        if (read_owner(run_dir / "lock") or me)["token"] != me["token"]:
            raise ValueError(f"{run_dir}: another process took over at the same moment; it goes on, this one leaves.")
    (run_dir / "leave").unlink(missing_ok=True)


class _Watch:
    """How long a file's modification time has not moved while we looked."""

    def __init__(self, file: IO[str]):
        self._path, self._seen, self._since = file.name, None, time.monotonic()

    def silent_seconds(self) -> float:
        with open(self._path, encoding="utf-8") as file:  # opening makes a network file system ask its server
            seen = os.fstat(file.fileno()).st_mtime_ns
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since


def _flock(file: IO[str]) -> bool | None:
    """True: ours. False: another process has it. None: this file system has no flock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            raise
        return None
    return True


def _write(file: IO[str], owner: dict) -> None:
    """In place: the file keeps its inode, on which flock sits."""
    file.seek(0)
    file.truncate()
    file.write(json.dumps(owner) + "\n")
    file.flush()
    os.fsync(file.fileno())
