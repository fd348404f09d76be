"""Snakemake and the scripts of its jobs as forks of one process that has them imported, which costs seconds each time.

A folder on PATH holds a `python` that asks the server; it waits for the fork, hands signals on to it, and ends as it
does. The fork has the arguments, folder, environment, files and process group's fate that the job would have: where
its `python` is killed, so is it. What is neither `-m snakemake` nor a script of the project, Python itself runs. The
order of sets is that of the server in all forks, and who measures or limits processes below a job sees nothing: tests
of these start real ones (`Project(..., forked=False)`), as do those on SLURM of what a cluster does to a job.
"""

import array
import atexit
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

SCIPY = ("scipy.stats", "scipy.ndimage", "scipy.spatial", "scipy.optimize")
HEAVY = ("snakemake.cli", "torch", "pandas", *SCIPY, "matplotlib", "cv2")
CLIENT = """#!{python} -ISE
import array, json, os, select, signal, socket, sys
words = sys.argv[1:]
script = words[:1] and words[0].endswith(".py") and "/scripts/" in words[0]
if not script and words[:2] != ["-m", "snakemake"]:
    os.execv({python!r}, [{python!r}, *words])
# signals are read from a pipe: one that comes before the script runs, or just before this process waits, is not lost
signals, written = os.pipe()
os.set_blocking(written, False)
signal.set_wakeup_fd(written)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCONT):
    signal.signal(number, lambda number, frame: None)
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
files = array.array("i", [0, 1, 2])
server.sendmsg([len(asked).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
server.sendall(asked)
child = int(server.makefile("rb", 0).readline())
while server not in select.select([server, signals], [], [])[0]:
    for number in os.read(signals, 1):
        os.kill(child, number)
code = int(server.makefile("rb", 0).readline() or b"-9")
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_started: dict = {}


def folder_of_client() -> Path:
    """That is to stand first on PATH; the server starts with the first call."""
    if "folder" not in _started:
        folder = Path(tempfile.mkdtemp(prefix="scripts-"))
        address = str(folder / "server")
        client = folder / "bin/python"
        client.parent.mkdir()
        client.write_text(CLIENT.format(python=sys.executable, address=address))
        client.chmod(0o755)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        _started["server"] = subprocess.Popen([sys.executable, __file__, address], **pipes)
        assert _started["server"].stdout.readline() == b"listening\n"
        atexit.register(shutil.rmtree, folder)
        _started["folder"] = client.parent
    return _started["folder"]


def serve(address: str) -> None:
    for name in HEAVY:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the handlers below
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen(64)
    print("listening", flush=True)
    while 0 not in _ready(0, server.fileno()):  # it ends with who started it, whose end closes the pipe
        client, _ = server.accept()
        if os.fork() == 0:
            server.close()
            handle(client)
        client.close()


def handle(client: socket.socket) -> NoReturn:
    """Starts the script in a fork and tells the client how it ended. Where the client is gone, the script is killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, descriptors, *_ = client.recvmsg(8, socket.CMSG_SPACE(12))
    files = array.array("i", descriptors[0][2])
    words, folder, environment = json.loads(client.makefile("rb").read(int.from_bytes(size, "big")))
    if (child := os.fork()) == 0:
        run(client, files, words, folder, environment)
    client.sendall(b"%d\n" % child)
    ended = os.pidfd_open(child)
    ready = _ready(client.fileno(), ended)
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended in ready:
        client.sendall(b"%d\n" % code)
    os._exit(0)


def _ready(*descriptors: int) -> set[int]:
    """Those with something to read, or at their end, once there are any."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll()}


def run(client: socket.socket, files, words: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    """The script, as `python words` would run it; this process ends with it."""
    client.close()
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], folder
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
        runpy.run_path(words[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1])
