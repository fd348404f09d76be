"""The forecast agrees with Snakemake: counts of every target, what is left of a half-made study; and it is measured
where `calibrate` has measured."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from project import TINY, Project, job_counts

from understudy.core.config import complete, load_yaml
from understudy.core.grid import grid
from understudy.core.plan import jobs, pending, targets
from understudy.report.tables import NAMES

TINY_CALIBRATION = TINY.replace("repeats: 2", "repeats: 1, augmentations: [plain]")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("config/tiny.yaml", TINY)
    return project


def config_of(project, name):
    schema = load_yaml(project.folder / "workflow/schemas/config.schema.yaml")
    return complete(load_yaml(project.folder / f"config/{name}.yaml"), schema, project.folder)


def counted(found):
    counts = Counter(job.rule for job in found)
    return {**counts, "total": counts.total()} if counts else {}


@pytest.mark.parametrize("name", ["config", "demo"])
def test_counts_are_those_of_a_dry_run(project, name):
    """Of every target: the plan, and what Snakemake says of it. Of the demo those that the other config has not."""
    config = config_of(project, name)
    known = targets(config_of(project, "config")) if name == "demo" else {}
    for target in ["all", *(target for target in targets(config) if target not in known)]:
        assert counted(jobs(config, target)) == project.planned(target, "--configfile", f"config/{name}.yaml"), target


def test_counts_where_repeats_share_a_job_and_mixtures_have_counts(project):
    kinds = "training_sets: [real, synthetic, real=20+stylegan2=10], share_job: true, validation: apart"
    project.write("config/shared.yaml", TINY.replace("repeats: 2", f"repeats: 2, {kinds}"))
    config = config_of(project, "shared")
    found = counted(jobs(config))
    assert found == project.planned("--configfile", "config/shared.yaml") and found["train_segmenter"] == 8


EXPERIMENTS = """
  keep_weights: true
  proportions: {generators: [stylegan2], total: 20, real: [0, 10]}
  few_subjects: {generators: [stylegan2-50percent], subjects: [3], subjects_of: unseen}
  ensembles: {generators: [stylegan2], members: [3], percent: 50}
  subset: {generators: [stylegan2], percent: 40, augmentation: plain}
"""


def test_counts_of_experiments(project):
    """Of every one by itself: what it needs, and nothing else."""
    text = TINY.replace("{repeats: 2, negative_control: true}", f"\n  repeats: 2{EXPERIMENTS}")
    project.write("config/experiments.yaml", text)
    config = config_of(project, "experiments")
    trained = {"proportions": 1, "few_subjects": 1, "ensembles": 3, "subset": 2}
    for target in ["all", *trained]:
        found = counted(jobs(config, target))
        if target in ("all", "few_subjects"):  # a dry run each
            assert found == project.planned(target, "--configfile", "config/experiments.yaml"), target
        assert found["train_generator"] == trained.get(target, 5)
    assert counted(jobs(config, "few_subjects"))["train_segmenter"] == 2 * 4  # the few, both, synthetic, then real


def test_counts_of_another_study(project):
    """Data of one's own beside phantoms, trained on synthetic images alone."""
    text = TINY.replace("made:", "other: {root: raw, test_subjects: 3}\n  made:").replace(
        "negative_control: true", "negative_control: true, training_sets: [synthetic]"
    )
    project.write("config/more.yaml", text)
    config = config_of(project, "more")
    assert counted(jobs(config)) == project.planned("--configfile", "config/more.yaml")


@pytest.mark.parametrize("generators", [True, False], ids=["beside a generator", "alone"])
def test_counts_of_others_images(project, generators):
    """Both are audited and compared with real images; segmenters learn from those alone whose lineage is known."""
    project.write("theirs.zip", "")
    text = f"{TINY}imports: {{theirs: {{stack: theirs.zip, trained_on: train}}, bought: {{stack: theirs.zip}}}}\n"
    if not generators:
        text = re.sub(r"generators:\n.*?(?=samples:)", "generators: {}\n", text, flags=re.DOTALL)
    project.write("config/imports.yaml", text)
    config = config_of(project, "imports")
    found = counted(jobs(config))
    assert found == project.planned("--configfile", "config/imports.yaml")
    assert found["import_samples"] == 2 and found["find_nearest"] == found["score_fidelity"] == 2 + generators
    sets = {setting.training_set for setting in grid(config)}
    assert {"theirs", "real+theirs"} <= sets and not {"bought", "real+bought"} & sets


@pytest.mark.parametrize(
    "lost",
    [
        ["scores.csv"],
        ["repeat2/scores.csv", "dice.csv"],
        ["stylegan2/samples.zip", "samples.json", "dice.csv"],
        ["weights.json", "generators/stylegan2/weights.safetensors"],
        ["figures"],
        ["train.zip", "test.zip", "stacks.json", "tables"],
    ],
    ids=" ".join,
)
def test_what_is_left_is_what_snakemake_would_run(project, lost):
    """Every output is there but those whose path has one of `lost` in it: empty files, older first."""
    config = config_of(project, "tiny") | {"results": "made"}
    project.write("config/half.yaml", f"results: made\n{TINY}")
    planned = jobs(config)
    made = project.folder / "made"
    shutil.rmtree(made, ignore_errors=True)
    for age, job in enumerate(planned[:-1]):
        for path in [*job.outputs, *beside(job)]:
            if not any(part in path for part in lost):
                file = project.folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
                os.utime(file, (1e9 + age, 1e9 + age))
    left = pending(planned, lambda path: (project.folder / path).exists())
    assert counted(left) == project.planned("--configfile", "config/half.yaml")


PICTURE = ("png", "pdf")


def beside(job):
    """The other outputs of a job, which a plan has no need to know."""
    folder = job.outputs[0].rsplit("/", 1)[0] if job.outputs else ""
    names = {
        "slice_volumes": ["stacks.json"],
        "train_generator": ["weights.safetensors"],
        "sample_generator": ["samples.json", "samples.png"],
        "make_control": ["samples.json"],
        "import_samples": ["samples.json"],
        "train_segmenter": ["history.csv"],
        "make_tables": [f"{table}.{kind}" for table in NAMES for kind in ("csv", "md", "tex")],
        "calibrate_audit": ["real.safetensors"],
        "audit_samples": ["audit_subjects.csv", *(f"{n}.{end}" for n in ("memorization", "pairs") for end in PICTURE)],
        "filter_samples": ["filtered.json"],
        "compare_audits": ["audit.md", "audit.tex"],
        "compare_generators": ["generators.md", "generators.tex"],
        "compare_fidelity": ["fidelity.md", "fidelity.tex", "annotation.csv", "annotation.md", "annotation.tex"],
        "make_figures": [
            f"{figure}.{kind}"
            for figure in ("samples", "predictions_unet", "predictions_swin", "dice")
            for kind in ("png", "pdf")
        ],
    }
    return [f"{folder}/{name}" for name in names.get(job.rule, [])]


# ------------------------------------------------------------------------------------------------ the target
def printed_counts(text):
    """Jobs per rule of a printed forecast."""
    rows = text.split("\nrule ")[1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+) +\d+", rows, re.MULTILINE)}


def test_the_target_prints_what_a_dry_run_counts(project):
    """Again and again: it has no output."""
    arguments = ("--configfile", "config/demo.yaml", "--cores", "1")
    assert printed_counts(project.made("forecast", *arguments)) == project.planned(*arguments)
    text = project.made("forecast", *arguments, "--set-resources", "train_generator:gpu=4")
    assert printed_counts(text) == project.planned(*arguments)
    assert "train_generator: 4 GPUs a job" in text
    assert "NOT MEASURED" in text and "GPU-minutes" in text and "phantom / stylegan2" in text
    told = json.loads((project.folder / "results/forecast.json").read_text())
    assert told["total"]["jobs"] == 98
    assert (project.folder / "results/logs/forecast.log").read_text() in text


def test_a_wrong_word_is_one_line(project):
    def said(*arguments):
        command = [sys.executable, "scripts/forecast.py", *arguments]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
        assert done.returncode and "Traceback" not in done.stderr
        return done.stderr

    assert "target: found 'stylegan' (did you mean stylegan3?)" in said("--target", "stylegan")
    assert "--gpus-of: found 'x', expected RULE=GPUS" in said("--gpus-of", "x")


# ------------------------------------------------------------------------------------------------ calibration
@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A study whose speeds were measured, for a second each."""
    project = Project(tmp_path_factory.mktemp("calibrated"))
    project.write("config/tiny.yaml", TINY_CALIBRATION)
    rule = project.folder / "rules/forecast.smk"
    rule.write_text(rule.read_text().replace("--output {output:q}", "--seconds 1 --output {output:q}"))
    project.made("calibrate", "--profile", "profiles/local", "--configfile", "config/tiny.yaml")
    return project


RUN = ("--profile", "profiles/local", "--configfile", "config/tiny.yaml")


def test_every_model_is_measured(calibrated):
    folder = calibrated.folder / "results/speed"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.json")}
    assert found == {"generators/stylegan2.json", "segmenters/unet/plain.json"}
    for path in found:
        record = json.loads((folder / path).read_text())
        assert record["device"].startswith("CPU, 1 thread") and record["watt"] is None
        assert record["seconds_per_kimg"]["training"] > record["seconds_per_kimg"]["inference"] > 0
        assert record["batch"] == 4 and record["precision"] and record["torch"] and record["peak_memory_mb"] > 100


def test_measurements_are_used_and_said(calibrated):
    text = calibrated.made("forecast", *RUN)
    record = json.loads((calibrated.folder / "results/speed/segmenters/unet/plain.json").read_text())
    assert "Measured: every speed" in text and "FLOP MODEL" not in text
    assert re.search(r"segmenters/unet/plain .* measured for 1 s on CPU, 1 thread", text)
    told = json.loads((calibrated.folder / "results/forecast.json").read_text())
    speed = told["speeds"]["segmenters/unet/plain"]
    assert speed["measured"] and speed["seconds_per_kimg"] == record["seconds_per_kimg"]
    assert told["total"]["energy_kwh"] is None and "energy unknown" in text


def test_nothing_is_measured_twice(calibrated):
    assert "Nothing to be done" in calibrated.made("calibrate", *RUN)


def test_another_option_is_measured_anew_and_not_forecast_from_the_old(calibrated):
    calibrated.write("config/tiny.yaml", TINY_CALIBRATION.replace("depth: 3", "depth: 2"))
    try:
        assert calibrated.planned("calibrate", *RUN) == {"measure_speed": 1, "calibrate": 1, "total": 2}
        text = calibrated.made("forecast", *RUN)
        assert "FLOP MODEL for 1 of 2 models" in text
        assert "segmenters/unet/plain.json: measured with other options" in text
    finally:
        calibrated.write("config/tiny.yaml", TINY_CALIBRATION)


def test_the_actual_times_stand_beside(calibrated):
    calibrated.made("prepare", "results/made/segmenters/unet/real/plain/repeat1/scores.csv", *RUN)
    text = calibrated.made("forecast", *RUN)
    (progress,) = (calibrated.folder / "runs/made/segmenters/unet/real/plain/repeat1").glob("*/progress.jsonl")
    seconds = json.loads(progress.read_text().splitlines()[-1])["seconds"]
    told = json.loads((calibrated.folder / "results/forecast.json").read_text())
    (row,) = [row for row in told["branches"] if row["name"] == "made / real"]
    assert row["done"] == 1 and row["finished_trainings"] == 1
    assert row["actual_hours_of_finished"] == pytest.approx(seconds / 3600)
    assert "forecast beside actual" in text and "counted in its stacks" in text
    assert printed_counts(text)["total"] == told["total"]["jobs"] == 20
    left = job_counts(calibrated.made("-n", *RUN))
    assert told["total"]["jobs"] - told["total"]["done"] == left["total"]
    assert Path(progress).is_file()
