"""Time budgets, exit codes and requeues: what a job is told, and how it leaves."""

import argparse
import stat
import subprocess
import sys

import pytest

from understudy.run import machine, stop


def arguments(*given):
    parser = argparse.ArgumentParser()
    machine.add_machine_arguments(parser)
    return parser.parse_args(["--runs", "r", *map(str, given)])


def minutes(limits):
    return (limits.deadline - machine._PROCESS_START) / 60


def test_the_margin_is_twenty_minutes_or_a_fifth(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    assert minutes(machine.limits(arguments("--budget-min", 2880))) == pytest.approx(2860)
    assert minutes(machine.limits(arguments("--budget-min", 10))) == pytest.approx(8)
    assert minutes(machine.limits(arguments("--budget-min", 10, "--margin-min", 1))) == pytest.approx(9)
    assert machine.limits(arguments()).deadline == float("inf")


def test_the_end_that_slurm_gives_counts_where_it_is_earlier(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(machine._PROCESS_START + 3600))
    assert minutes(machine.limits(arguments("--budget-min", 2880, "--margin-min", 20))) == pytest.approx(40)
    assert minutes(machine.limits(arguments("--budget-min", 30, "--margin-min", 20))) == pytest.approx(10)


def test_a_budget_that_is_all_margin_is_refused():
    with pytest.raises(ValueError, match="found 15 minutes with a margin of 20"):
        machine.limits(arguments("--budget-min", 15, "--margin-min", 20))


def test_gpus_that_are_not_there_are_no_silent_cpu(monkeypatch):
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="--gpus 1: torch sees 0 here .*nvidia-smi.*device: cpu"):
        machine.spread(arguments("--gpus", 1))
    assert machine.spread(arguments("--gpus", 1, "--device", "cpu")) is None
    assert machine.spread(arguments()) is None


def leave(tmp_path, reason, on_budget, scontrol=None, **environment):
    """Exit code and output of a process that leaves; `scontrol` is the text of a shell script."""
    if scontrol:
        program = tmp_path / "scontrol"
        program.write_text(f"#!/bin/sh\n{scontrol}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    code = (
        "import time; time.sleep = lambda seconds: print('sleeps', seconds)\n"
        f"from understudy.run.stop import leave; leave({reason!r}, {on_budget!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(tmp_path), **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_at_the_end_of_the_budget_a_job_leaves_or_has_itself_requeued(tmp_path):
    calls = tmp_path / "calls"
    asks = f"echo $@ >> {calls}"
    assert leave(tmp_path, "budget", "exit", asks, SLURM_JOB_ID="5") == (75, "")
    assert leave(tmp_path, "asked", "requeue", asks, SLURM_JOB_ID="5") == (75, "")
    assert leave(tmp_path, "signal", "requeue", asks, SLURM_JOB_ID="5") == (75, "")
    assert leave(tmp_path, "budget", "requeue", asks) == (75, "")
    assert not calls.exists()
    code, text = leave(tmp_path, "budget", "requeue", asks, SLURM_JOB_ID="5")
    assert code == 75 and calls.read_text() == "requeue 5\n"
    assert "job 5 is queued again" in text and "sleeps 600" in text  # until SLURM ends it


def test_a_requeue_that_is_refused_is_said(tmp_path):
    code, text = leave(tmp_path, "budget", "requeue", "echo not allowed >&2; exit 1", SLURM_JOB_ID="5")
    assert code == 75 and "SLURM refused (not allowed)" in text
    (tmp_path / "scontrol").unlink()
    code, text = leave(tmp_path, "budget", "requeue", SLURM_JOB_ID="5")
    assert code == 75 and "found no scontrol" in text


def test_what_processes_of_one_training_say_together():
    assert stop.reason_of({0}) == "finished"
    assert stop.reason_of({75}) == stop.reason_of({75, -15}) == "budget"
    assert stop.reason_of({75, 76}) == "asked"
    assert stop.reason_of({-15}) == stop.reason_of({15}) == "signal"
    with pytest.raises(ValueError, match=r"exit codes \[1\]"):
        stop.reason_of({1})
