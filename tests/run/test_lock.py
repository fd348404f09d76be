"""One writer per run directory: the dead are replaced, the living are asked to leave, and nobody writes unheard."""

import json
import multiprocessing
import os
import signal
import time

import pytest

from understudy.run.lock import only_writer, read_owner

ELSEWHERE = {"token": "t", "host": "n3", "boot": "another machine", "pid": 7, "job": "4711"}


def write_lock(run_dir, **changes):
    (run_dir / "lock").write_text(json.dumps({**ELSEWHERE, **changes}))


def hold(run_dir, entered, leave_when_asked):
    with only_writer(run_dir, silent_seconds=0.6) as lock:
        entered.set()
        while not (lock.asked and leave_when_asked):
            time.sleep(0.02)


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds the lock; gives it, and kills it in the end."""
    context, started = multiprocessing.get_context("fork"), []

    def start(leave_when_asked):
        entered = context.Event()
        process = context.Process(target=hold, args=(tmp_path, entered, leave_when_asked))
        process.start()
        started.append(process)
        assert entered.wait(30)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_the_lock_names_its_owner_and_is_free_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with only_writer(tmp_path):
        owner = read_owner(tmp_path / "lock")
        assert owner["job"] == "12" and owner["pid"] == os.getpid() and owner["host"]
    assert read_owner(tmp_path / "lock") is None


def test_a_living_owner_is_asked_and_leaves(tmp_path, holder):
    first = holder(leave_when_asked=True)
    with only_writer(tmp_path, silent_seconds=0.6, patience_seconds=30):
        first.join(30)
        assert first.exitcode == 0 and read_owner(tmp_path / "lock")["pid"] == os.getpid()
    assert not (tmp_path / "leave").exists()


def test_an_owner_that_does_not_leave_is_named(tmp_path, holder):
    first = holder(leave_when_asked=False)
    with (
        pytest.raises(ValueError, match=rf"process {first.pid} on .* did not leave within 1 s"),
        only_writer(tmp_path, patience_seconds=1),
    ):
        pass
    assert read_owner(tmp_path / "lock")["pid"] == first.pid
    assert not (tmp_path / "leave").exists()  # who has given up does not make it leave later


def test_an_owner_killed_on_this_machine_is_replaced_at_once(tmp_path, holder):
    first = holder(leave_when_asked=False)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    assert read_owner(tmp_path / "lock")["pid"] == first.pid
    with only_writer(tmp_path, silent_seconds=3600, patience_seconds=5):
        assert read_owner(tmp_path / "lock")["pid"] == os.getpid()


def test_a_silent_owner_on_another_machine_is_replaced(tmp_path, capsys):
    write_lock(tmp_path)
    with only_writer(tmp_path, silent_seconds=0.5, patience_seconds=30):
        assert read_owner(tmp_path / "lock")["pid"] == os.getpid()
    assert "took over the lock of SLURM job 4711 on n3" in capsys.readouterr().out


def beat(path, stop):
    while not stop.is_set():
        os.utime(path)
        time.sleep(0.05)


def test_an_owner_on_another_machine_whose_heart_beats_is_not_replaced(tmp_path):
    write_lock(tmp_path)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    heart = context.Process(target=beat, args=(tmp_path / "lock", stop))
    heart.start()
    try:
        with (
            pytest.raises(ValueError, match="SLURM job 4711 on n3, and did not leave"),
            only_writer(tmp_path, silent_seconds=0.5, patience_seconds=2),
        ):
            pass
    finally:
        stop.set()
        heart.join()
    assert read_owner(tmp_path / "lock")["job"] == "4711"


def test_an_owner_that_released_elsewhere_is_not_waited_for(tmp_path):
    write_lock(tmp_path, released=True)
    with only_writer(tmp_path, silent_seconds=3600, patience_seconds=5):
        pass


def test_half_a_lock_of_a_crash_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text('{"tok')
    with only_writer(tmp_path, silent_seconds=3600, patience_seconds=5):
        pass


def test_who_lost_the_lock_unheard_writes_no_more(tmp_path):
    with only_writer(tmp_path) as lock:
        lock.check()
        write_lock(tmp_path)
        with pytest.raises(ValueError, match="taken over by SLURM job 4711 on n3"):
            lock.check()
    assert read_owner(tmp_path / "lock")["job"] == "4711"


def test_the_heart_beats(tmp_path):
    with only_writer(tmp_path, silent_seconds=0.3):
        os.utime(tmp_path / "lock", (1, 1))
        deadline = time.monotonic() + 30
        while os.stat(tmp_path / "lock").st_mtime < 1000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
