"""Paces are seconds over images, after a warm-up; power is what nvidia-smi says, if anything."""

import time

import torch

from understudy.run.measure import device_name, numbers, pace, watched_power

CPU = torch.device("cpu")


def test_pace_counts_what_comes_after_the_warm_up():
    positions = []

    def step(position):
        positions.append(position)
        time.sleep(0.2 if position == 0 else 0.01)  # the first step is slow, and is not counted
        return 4

    found = pace(step, 0.3, CPU)
    assert positions == list(range(0, 4 * len(positions), 4))
    assert found.images == 4 * found.steps and found.steps < len(positions)
    assert 0.01 < found.seconds / found.steps < 0.1
    assert found.seconds_per_kimg == 1000 * found.seconds / found.images


def test_long_steps_are_measured_too():
    assert pace(lambda position: 1, 0.0, CPU).steps == 2


def test_power_of_a_cpu_is_not_known():
    with watched_power(CPU) as power:
        pass
    assert power.mean is None


def test_power_is_read_from_nvidia_smi(tmp_path, monkeypatch):
    """With a stand-in that writes what the real one writes."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 100.5\necho '[N/A]'\necho 300.5\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    properties = type("Properties", (), {"uuid": "1234"})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    with watched_power(torch.device("cuda")) as power:
        time.sleep(0.5)
    assert power.watts == [100.5, 300.5] and power.mean == 200.5


def test_numbers_leave_out_what_is_none():
    assert numbers("1.5\n[N/A]\n\n2\n") == [1.5, 2.0]


def test_the_name_of_a_cpu_tells_its_threads():
    assert device_name(CPU).startswith(f"CPU, {torch.get_num_threads()} thread")
