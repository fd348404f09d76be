"""Forks of the script server end, print, fail and are killed as processes of their own would."""

import os
import signal
import subprocess
import time

import pytest
from script_server import folder_of_client

PRINTS = "import os, sys, torch\nprint(sys.argv[1:], os.getcwd(), os.environ['WORD'])\nprint('no', file=sys.stderr)\n"


@pytest.fixture
def start(tmp_path):
    (tmp_path / "scripts").mkdir()

    def start(text: str, *arguments: str) -> subprocess.Popen:
        script = tmp_path / "scripts/one.py"
        script.write_text(text)
        environment = {**os.environ, "PATH": f"{folder_of_client()}:{os.environ['PATH']}", "WORD": "said"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["python", script, *arguments], cwd=tmp_path, env=environment, **pipes)

    return start


def test_arguments_folder_environment_and_files_are_the_jobs(start, tmp_path):
    one = start(PRINTS, "a b", "$HOME")
    out, err = one.communicate()
    assert (one.returncode, out, err) == (0, f"['a b', '$HOME'] {tmp_path} said\n", "no\n")


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        ("raise SystemExit(75)", 75, ""),
        ("raise SystemExit('a word')", 1, "a word"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
    ],
)
def test_it_ends_as_the_script_does(start, ends, code, said):
    one = start(f"{ends}\n")
    assert said in one.communicate()[1] and one.returncode == code


# a signal that comes just before one long sleep would be seen after it
WAITS = "import os, time\nprint(os.getpid(), flush=True)\nfor _ in range(6000):\n    time.sleep(0.1)\n"


def test_whose_python_is_killed_is_killed(start):
    one = start(WAITS)
    pid = int(one.stdout.readline())
    one.kill()
    for _ in range(500):
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.02)
    pytest.fail("the fork lives on")


def test_signals_are_handed_on(start):
    one = start("import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + WAITS)
    one.stdout.readline()
    one.terminate()
    assert one.wait(30) == 7
