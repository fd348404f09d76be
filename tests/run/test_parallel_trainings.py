"""Several pieces of work at once: each in a process of its own, which ends alone."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from understudy.run.attempts import FailedRunError
from understudy.run.device_images import DeviceImages
from understudy.run.parallel_trainings import Ending, Named, run_in_turn

SCRIPT = Path(__file__).with_name("parallel_work.py")


def start(kind: str, folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, SCRIPT, kind, folder], stdout=subprocess.PIPE, text=True)


def wait_until(true) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_all_processes_see_one_set_of_images(tmp_path):
    told, _ = start("mark", tmp_path).communicate()
    assert told == "[5, 6, 7]\n"


def test_images_for_which_the_shared_memory_is_too_small_are_refused(monkeypatch):
    images = DeviceImages(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), "cpu")
    usage = type("Usage", (), {"free": 15})
    monkeypatch.setattr("understudy.run.device_images.shutil.disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="/dev/shm: found 1.5e-08 GB free, expected 1.6e-08 .*at_once=1"):
        images.share()


def test_one_that_fails_is_killed_or_broken_ends_alone_and_one_out_of_time_is_the_last(tmp_path):
    told, _ = start("end", tmp_path).communicate()
    reasons, messages = zip(*json.loads(told), strict=True)
    assert reasons == ("failed", "failed", "failed", "finished", "budget", "budget")
    assert messages[0] == "diverged" and messages[2] == "ended with exit code 1; its last words are above"
    assert messages[1].startswith("killed by signal 9 (SIGKILL)") and "lower at_once" in messages[1]
    assert not (tmp_path / "5").exists()  # it was not begun


def test_in_turn_a_failure_stops_nothing_and_the_end_of_the_time_all():
    def work(place):
        if place == 1:
            raise FailedRunError("diverged")
        return ["finished", "", "finished", "budget", "finished"][place]

    failed = Ending("failed", "diverged")
    assert run_in_turn(work, 5) == [Ending("finished"), failed, Ending("finished"), Ending("budget")]


def test_a_signal_is_passed_on_and_nothing_more_is_begun(tmp_path):
    process = start("wait", tmp_path)
    wait_until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
    process.send_signal(signal.SIGUSR1)
    told, _ = process.communicate()
    assert json.loads(told) == [["signal", ""]] * 3 and not (tmp_path / "2").exists()


def test_children_of_a_killed_process_leave(tmp_path):
    process = start("wait", tmp_path)
    wait_until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    process.communicate()


def test_lines_say_whose_they_are(capsys):
    named = Named("repeat 2", sys.stdout)
    print("one", "two", file=named)
    print("three\nfour", file=named, flush=True)
    assert capsys.readouterr().out == "repeat 2: one two\nrepeat 2: three\nrepeat 2: four\n"
