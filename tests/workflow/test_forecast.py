"""The forecast's jobs are Snakemake's: counts, edges, what is left of a half-made study and why. Measured speeds are
used, and said."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from project import TINY, Project, job_counts

from understudy.forecast.aligned_text import number
from understudy.forecast.jobs import ask

TINY_CALIBRATION = TINY.replace("repeats: 2", "repeats: 1, augmentations: [plain]")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("config/tiny.yaml", TINY)
    return project


def asked(project, name, target="all"):
    return ask(Path("Snakefile"), Path(f"config/{name}.yaml"), target, project.folder).jobs()


def counted(found):
    counts = Counter(job.rule for job in found)
    return {**counts, "total": counts.total()} if counts else {}


def by_name(found):
    return {str(job): job for job in found}


def needs(job):
    return {str(need) for need in job.needs}


@pytest.mark.parametrize("target", ["all", "prepare", "stylegan2"])
def test_counts_are_those_of_a_dry_run(project, target):
    found = asked(project, "demo_full", target)
    assert counted(found) == project.planned(target, "--configfile", "config/demo_full.yaml")
    assert found[-1].rule == target and all(job.reason for job in found)
    place = {job: i for i, job in enumerate(found)}
    assert all(place[need] < place[job] for job in found for need in job.needs)


def test_what_a_job_is_known_by(project):
    """Its branch, model and run directories follow from its wildcards; what it needs, from its inputs."""
    found, config = by_name(asked(project, "tiny")), {"generators": {"stylegan2": {}}, "runs": "runs"}
    config |= {"segmenters": {"unet": {"augmentation": {}}}, "experiments": {"augmentations": ["augmented", "plain"]}}
    (mixed,) = [job for name, job in found.items() if job.wildcards.get("training_set") == "real+stylegan2"
                and job.wildcards["augmentation"] == "plain" and job.wildcards["repeat"] == "2"]  # fmt: skip
    assert needs(mixed) == {"slice_volumes made", "sample_generator made/stylegan2"}
    assert mixed.run(config) == "runs/made/segmenters/unet/real+stylegan2/plain/repeat2"
    assert mixed.model(config) == "segmenters/unet/plain" and mixed.gpu and mixed.threads == 8
    trained, drawn = (found[f"{verb}_generator made/stylegan2"] for verb in ("train", "sample"))
    assert trained.run(config) == "runs/made/generators/stylegan2" and trained.priority == 10
    assert drawn.run(config) == "runs/made/samples/stylegan2" and drawn.model(config) == "generators/stylegan2"
    assert found["calibrate_audit made"].model(config) == "generators/stylegan2"
    assert found["calibrate_audit made"].run(config) is None and not found["slice_volumes made"].gpu
    branches = Counter(job.branch for job in found.values())
    assert branches == {
        "made / shared": 5,  # phantoms, index, slices, the audit's calibration, figures
        "made / real": 4,
        "made / shuffled": 4,
        "made / stylegan2": 5 + 2 * 4,
        "report": 8,
    }


def test_repeats_that_share_a_job_have_no_run_directory_of_their_own(project):
    kinds = "training_sets: [real, synthetic, real=20+stylegan2=10], share_job: true, validation: apart"
    project.write("config/shared.yaml", TINY.replace("repeats: 2", f"repeats: 2, {kinds}"))
    trainings = [job for job in asked(project, "shared", "segmenters") if job.rule == "train_segmenter"]
    assert len(trainings) == 8 and not any(job.run({"runs": "runs"}) for job in trainings)
    assert all("slice_volumes made" in needs(job) for job in trainings)


EXPERIMENTS = """
  keep_weights: true
  proportions: {generators: [stylegan2], total: 20, real: [0, 10]}
  few_subjects: {generators: [stylegan2-50percent], subjects: [3], subjects_of: unseen}
  ensembles: {generators: [stylegan2], members: [3], percent: 50}
  subset: {generators: [stylegan2], percent: 40, augmentation: plain}
  snapshots: {generators: [stylegan2], shares: [25, 50]}
"""


@pytest.mark.parametrize(
    ("target", "generators"), [("all", 7), ("few_subjects", 1), ("ensembles", 3), ("snapshots", 3)]
)
def test_jobs_of_experiments(project, target, generators):
    """Of every one by itself: what it needs, and nothing else."""
    text = TINY.replace("{repeats: 2, negative_control: true}", f"\n  repeats: 2{EXPERIMENTS}")
    project.write("config/experiments.yaml", text)
    found = asked(project, "experiments", target)
    assert counted(found)["train_generator"] == generators
    if target == "few_subjects":
        assert counted(found)["train_segmenter"] == 2 * 4  # the few, both, synthetic, then real
    if target == "snapshots":
        named = by_name(found)
        kept = {"slice_volumes made", "train_generator made/stylegan2"}
        assert needs(named["train_generator made/stylegan2-snapshot25"]) == kept
        assert needs(named["score_fidelity made/stylegan2-snapshot50"]) > {"sample_generator made/stylegan2-snapshot50"}
        assert counted(found)["train_segmenter"] == 2 * 3 and "find_nearest made/stylegan2-snapshot25" not in named


@pytest.mark.parametrize("generators", [True, False], ids=["beside a generator", "alone"])
def test_jobs_of_others_images(project, generators):
    """Both are audited and compared with real images; segmenters learn from those alone whose lineage is known."""
    project.write("theirs.zip", "")
    text = f"{TINY}imports: {{theirs: {{stack: theirs.zip, trained_on: train}}, bought: {{stack: theirs.zip}}}}\n"
    if not generators:
        text = re.sub(r"generators:\n.*?(?=samples:)", "generators: {}\n", text, flags=re.DOTALL)
    project.write("config/imports.yaml", text)
    found = asked(project, "imports")
    counts = counted(found)
    assert counts["import_samples"] == 2 and counts["find_nearest"] == counts["score_fidelity"] == 2 + generators
    sets = {job.wildcards.get("training_set") for job in found}
    assert {"theirs", "real+theirs"} <= sets and not {"bought", "real+bought"} & sets


def test_jobs_of_a_release_and_a_reader_study(project):
    release = "{generators: [stylegan2], title: t, licence: CC0-1.0, creators: [{name: n}], date: '2026-01-31'}"
    study = "{generators: [stylegan2-filtered], images: 4}"
    tiny = TINY.replace("draw: seed", "draw: secret")
    project.write("config/shown.yaml", f"{tiny}release: {release}\nreader_study: {study}\n")
    found = by_name(asked(project, "shown"))
    wanted = {"filter_samples made/stylegan2", "make_tables", "train_generator made/stylegan2", "calibrate_audit made"}
    assert wanted <= needs(found["make_release made/stylegan2"])
    assert needs(found["make_reader_study made"]) == {"slice_volumes made", "filter_samples made/stylegan2"}
    assert needs(found["read_answers"]) == {"make_reader_study made"} and "read_answers" in needs(found["make_report"])
    assert {"make_reader_study made", "read_answers", "make_release made/stylegan2"} <= needs(found["all"])


@pytest.fixture(scope="module")
def every(project):
    """All jobs of a study that has nothing yet."""
    project.write("config/half.yaml", f"results: made\n{TINY}")
    return asked(project, "half")


@pytest.mark.parametrize(
    "lost",
    [
        ["repeat2/scores.csv", "dice.csv"],
        ["weights.json", "generators/stylegan2/weights.safetensors"],
        ["train.zip", "test.zip", "stacks.json", "tables"],
    ],
    ids=" ".join,
)
def test_what_is_left_is_what_snakemake_would_run(project, every, lost):
    """Every output is there but those whose path has one of `lost` in it: empty files, older first."""
    made = project.folder / "made"
    shutil.rmtree(made, ignore_errors=True)
    for age, job in enumerate(every[:-1]):
        for path in job.outputs:
            if not any(part in path for part in lost):
                file = project.folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
                os.utime(file, (1e9 + age, 1e9 + age))
    before = files_of(made)
    found = asked(project, "half")
    left = [job for job in found if job.to_run]
    assert counted(found) == counted(every) and len(left) < len(found)
    text = project.made("-n", "-p", "--configfile", "config/half.yaml")
    assert counted(left) == job_counts(text)
    said = re.findall(r"^ +reason: (.*)$", text, re.MULTILINE)
    assert sorted(words(job.reason) for job in left) == sorted(map(words, said))
    assert files_of(made) == before


def words(reason):
    """Snakemake lists files in any order."""
    return sorted(re.split("[ ,;:]+", reason))


def files_of(folder):
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


def test_a_running_snakemake_stops_nobody(project):
    """A lock, as another Snakemake holds it, is neither waited for nor taken."""
    asked(project, "tiny", "prepare")
    locks = project.folder / ".snakemake/locks"
    assert not list(locks.glob("*"))
    (locks / "0.input.lock").write_text("")
    (locks / "0.output.lock").write_text("results/made/subjects.csv\n")
    try:
        assert counted(asked(project, "tiny", "prepare"))["slice_volumes"] == 1
        assert len(list(locks.glob("*"))) == 2
    finally:
        for lock in locks.glob("*"):
            lock.unlink()


# ------------------------------------------------------------------------------------------------ the target
def printed_counts(text):
    """Jobs per rule of a printed forecast."""
    rows = text.split("\nrule ")[1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+) +\d+", rows, re.MULTILINE)}


def test_the_target_prints_what_a_dry_run_counts(project):
    """Again and again: it has no output."""
    arguments = ("--configfile", "config/tiny.yaml", "--cores", "1")
    planned = project.planned("--forceall", *arguments)
    assert printed_counts(project.made("forecast", *arguments)) == planned
    text = project.made("forecast", *arguments, "--set-resources", "train_generator:gpu=4")
    assert printed_counts(text) == planned
    assert "train_generator: 4 GPUs a job" in text
    assert "NOT MEASURED" in text and "GPU-minutes" in text and "made / stylegan2" in text
    told = json.loads((project.folder / "results/forecast.json").read_text())
    assert told["total"]["jobs"] == planned["total"]
    assert (project.folder / "results/logs/forecast.log").read_text() in text


def test_a_branch_is_drawn_in_one_command(project, every):
    """A box for every rule of its jobs, with their number; and for the slices that they need."""
    command = [sys.executable, "scripts/draw_branch.py", "--config", "config/half.yaml", "made/stylegan2"]
    shutil.rmtree(project.folder / "made", ignore_errors=True)
    subprocess.run(command, cwd=project.folder, check=True, capture_output=True)
    picture = ElementTree.parse(project.folder / "branch.svg").getroot()
    boxes = {
        group.get("id"): "".join(group.itertext()) for group in picture.iter() if group.get("id") not in (None, "tip")
    }
    members = counted([job for job in every if job.branch == "made / stylegan2"])
    assert members.pop("total") == 13 and members.keys() < boxes.keys()
    assert all(boxes[rule].startswith(f"{rule}{count} job") for rule, count in members.items())
    assert boxes["slice_volumes"] == "slice_volumes1 job, 0 done"


def test_a_wrong_word_is_one_line(project):
    def said(*arguments):
        command = [sys.executable, "scripts/forecast.py", *arguments]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
        assert done.returncode and "Traceback" not in done.stderr
        return done.stderr

    unknown = said("--config", "config/tiny.yaml", "--target", "stylegan")
    assert "target: found 'stylegan' (did you mean stylegan2?); expected one of all, " in unknown
    drawn = "phantom: {subjects: 6, size: 32}, test_subjects: 2, draw: seed"
    project.write("config/twice.yaml", TINY.replace(drawn, "root: x, split: twice.csv"))
    project.write("twice.csv", "subject,split\na,train\na,test\n")
    assert "a again (train, then test), expected it once" in said("--config", "config/twice.yaml")
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
    assert printed_counts(text)["total"] == told["total"]["jobs"] == 22
    assert Path(progress).is_file()
    check_summary(calibrated.made("-n", *RUN), told)


def check_summary(text, told):
    """A dry run ends in counts by branch, not in files of jobs: those of Snakemake, and the forecast's hours."""
    assert "reason:" not in text and text.count("Job stats:") == 1
    cells = [re.split("  +", line) for line in text.split("\nbranch ")[1].split("Hours by ")[0].splitlines()]
    found = {name: more for name, *more in cells[2:] if more}
    assert {name: [int(n) for n in more[:2]] for name, more in found.items()} == {
        row["name"]: [row["done"], row["jobs"] - row["done"]] for row in [*told["branches"], told["total"]]
    }
    assert int(found["in all"][1]) == job_counts(text)["total"]
    assert found["in all"][2] == number(60 * told["left"]["gpu_hours"])
    assert "device-minutes" in text and "Hours by results/forecast.json of " in text and "speeds measured" in text


def test_the_lean_study_takes_less_than_ten_days_of_an_h100(project):
    """All repeats, although looks seldom ask for all; on a GPU that reaches a low share of its peak, too."""
    what = ["--config", "config/lean.yaml", "--gpu", "h100", "--gpus", "1", "--json", "lean.json"]
    command = [sys.executable, "scripts/forecast.py", *what]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    fastest, slowest = json.loads((project.folder / "lean.json").read_text())["total"]["gpu_hours_range"]
    assert 10 < fastest < slowest < 240
    assert "Stopping is sequential: this is the most, all 12 repeats" in done.stdout
