"""The summary of a dry run: counts by branch, hours of what is to run by the last forecast of the same config."""

import json
import re

import pytest

from understudy.files.atomic import hash_of
from understudy.forecast.jobs import Job
from understudy.forecast.plan import Hours, known_hours, planned, summary

CONFIG = {"results": "results", "generators": {"stylegan2": {}}}
SETTING = {"dataset": "made", "segmenter": "unet", "augmentation": "plain"}
JOBS = [
    Job("slice_volumes", {"dataset": "made"}),
    Job("train_generator", {"dataset": "made", "generator": "stylegan2"}, gpu=True),
    *(
        Job("train_segmenter", {**SETTING, "training_set": name, "repeat": repeat}, gpu=True, reason=reason)
        for name, repeat, reason in (("real", "1", None), ("real", "2", "new"), ("real+stylegan2", "1", "new"))
    ),
    Job("make_control", {"dataset": "made", "control": "noise"}, reason="new"),
    Job("make_tables", reason="new"),
]
HOURS = {str(job): [40.0, 0.0] if job.gpu else [0.0, 0.5] for job in JOBS}


def rows(text):
    """branch -> the cells behind it."""
    return {cells[0]: cells[1:] for line in text.splitlines() if len(cells := re.split("  +", line.strip())) > 2}


def test_each_branch_has_its_counts_and_they_add_up():
    assert rows(summary(JOBS, None)) == {
        "branch": ["done", "to run"],
        "made / shared": ["1", "0"],
        "made / stylegan2": ["1", "1"],
        "made / real": ["1", "1"],
        "made / noise": ["0", "1"],
        "report": ["0", "1"],
        "in all": ["3", "4"],
    }


def test_hours_are_of_what_is_to_run():
    text = summary(JOBS, Hours(HOURS, "GPU", "results/forecast.json"))
    found = rows(text)
    assert found["branch"][2:] == ["GPU-hours", "CPU-hours"]
    assert found["made / stylegan2"][2:] == found["made / real"][2:] == ["40.0", "0"]
    assert found["made / shared"][2:] == ["0", "0"] and found["made / noise"][2:] == ["0", "0.50"]
    assert found["in all"][2:] == ["80.0", "1.00"]
    assert "Hours by results/forecast.json. Anew" in text


def test_jobs_that_the_forecast_lacks_are_named():
    hours = {name: value for name, value in HOURS.items() if "real+stylegan2" not in name}
    text = summary(JOBS, Hours(hours, "device", "it"))
    assert rows(text)["in all"][2:] == ["40.0", "1.00"] and "; 1 of the jobs to run are not in it." in text
    assert "device-hours" in text


def test_a_small_study_is_told_in_minutes():
    hours = {name: [gpu / 400, cpu] for name, (gpu, cpu) in HOURS.items()}
    assert rows(summary(JOBS, Hours(hours, "GPU", "it")))["in all"][2:] == ["12.0", "60.0"]


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(**changes):
        speeds = {"generators/stylegan2": {"measured": True}, "segmenters/unet/plain": {"measured": False}}
        told = {"config": hash_of(CONFIG), "device": "GPU", "speeds": speeds, "jobs": HOURS} | changes
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results/forecast.json").write_text(json.dumps(told))

    return write


def test_a_forecast_of_this_config_alone_counts(written):
    assert known_hours(CONFIG) is None
    written()
    assert known_hours(CONFIG).of_jobs == HOURS and known_hours(CONFIG).device == "GPU"
    assert known_hours(CONFIG | {"generators": {"stylegan2": {"kimg": 1}}}) is None
    assert "snakemake forecast" in summary(JOBS, None)


@pytest.mark.parametrize(("measured", "said"), [(True, "speeds measured"), (False, "a FLOP model, not measured")])
def test_what_the_hours_rest_on_is_said(written, measured, said):
    written(speeds={"generators/stylegan2": {"measured": True}, "segmenters/unet/plain": {"measured": measured}})
    assert known_hours(CONFIG).source.endswith(said)


@pytest.mark.parametrize("text", ['{"config"', "[]", ""])
def test_a_damaged_forecast_costs_the_hours_and_not_the_plan(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/forecast.json").write_text(text)
    told = planned(JOBS, CONFIG)
    assert told.startswith(summary(JOBS, None)) and "results/forecast.json: found" in told.splitlines()[-1]
