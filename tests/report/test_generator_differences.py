"""The table of unequal treatment: every option that differs is there, none that does not."""

import json

import pandas as pd

from understudy.report.formats import write_table
from understudy.report.generator_differences import generator_differences


def publish(folder, images_seen, options, seconds):
    results = folder / "results/d/generators" / options["name"]
    run = folder / "runs/d/generators" / options["name"] / "hash"
    results.mkdir(parents=True), run.mkdir(parents=True)
    options = {key: value for key, value in options.items() if key != "name"}
    (results / "weights.json").write_text(json.dumps({"images_seen": images_seen, "options": options}))
    (results / "samples.json").write_text(json.dumps({"count": 500}))
    (run / "config.json").write_text(json.dumps({"options": options}))
    progress = {"seconds": seconds, "images_seen": images_seen, "images": images_seen}
    (run / "progress.jsonl").write_text(json.dumps(progress) + "\n")
    (run / "attempts.jsonl").write_text(json.dumps({"event": "start", "world_size": 4}) + "\n")


def test_every_differing_knob_and_no_other(tmp_path):
    publish(tmp_path, 16000, {"name": "a", "batch": 32, "mirror": False, "betas": [0.0, 0.99], "psi": None}, 9000)
    publish(tmp_path, 8000, {"name": "b", "batch": 12, "mirror": False, "steps": 4000, "betas": [0.0, 0.99]}, 1800)
    table = generator_differences(tmp_path / "results", tmp_path / "runs", ["d"], ["a", "b"])
    assert table.to_dict("list") == {
        "knob": ["images seen (kimg)", "device hours", "samples", "batch", "psi", "steps"],
        "a": ["16", "10", "500", "32", "none", ""],
        "b": ["8", "2", "500", "12", "", "4000"],
    }
    write_table(tmp_path, "generators", table)
    lines = (tmp_path / "generators.md").read_text().splitlines()
    assert [cell.strip() for cell in lines[-2].split("|")[1:-1]] == ["psi", "none", "–"]
    assert pd.read_csv(tmp_path / "generators.csv", dtype=str)["a"][3] == "32"


def test_without_run_directories_the_hours_are_a_dash(tmp_path):
    publish(tmp_path, 16000, {"name": "a", "batch": 32}, 9000)
    table = generator_differences(tmp_path / "results", tmp_path / "gone", ["d"], ["a"])
    assert table["a"].tolist()[:3] == ["16", "", "500"]
