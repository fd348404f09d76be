"""The DAG is the one we mean: job counts are golden files; mistakes stop it before any job."""

import re
from pathlib import Path

import pytest
from project import ROOT, TINY, Project

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


def golden(name):
    return (GOLDEN / name).read_text()


def as_text(counts):
    return "".join(f"{name} {count}\n" for name, count in counts.items())


def test_job_counts_of_the_demo(project):
    assert as_text(project.planned("--configfile", "config/demo.yaml")) == golden("demo_jobs.txt")


def test_the_default_config_is_the_full_study(project):
    """It is planned without any data."""
    assert as_text(project.planned()) == golden("config_jobs.txt")
    assert as_text(project.planned("-s", "workflow/Snakefile")) == golden("config_jobs.txt")


@pytest.mark.parametrize(
    ("target", "jobs"),
    [
        ("prepare", {"index_subjects": 2, "slice_volumes": 2}),
        ("stylegan2", {"train_generator": 2, "sample_generator": 2, "train_segmenter": 160}),
        ("segmenters", {"train_segmenter": 880}),
        ("tables", {"make_tables": 1, "train_segmenter": 880}),
        ("figures", {"make_figures": 2, "make_tables": 1}),
    ],
)
def test_named_targets(project, target, jobs):
    planned = project.planned(target)
    assert {name: planned.get(name) for name in jobs} == jobs
    assert ("train_segmenter" in planned) == (target != "prepare")


def test_a_config_on_the_command_line_replaces_the_default(project):
    project.write("config/tiny.yaml", TINY)
    assert project.planned("--configfile", "config/tiny.yaml")["train_segmenter"] == 16


def test_nnunet_is_trained_by_its_own_rule_and_counted_by_no_speed(project):
    """Beside the U-Net, as often; and alone, without a speed to measure."""
    own = TINY.replace("segmenters:", "segmenters:\n  nnunet: {epochs: 1, iterations_per_epoch: 2}")
    project.write("config/nnunet.yaml", own)
    planned = project.planned("--configfile", "config/nnunet.yaml")
    assert planned["train_nnunet"] == planned["train_segmenter"] == 16 and planned["make_tables"] == 1
    assert project.planned("calibrate", "--configfile", "config/nnunet.yaml")["measure_speed"] == 3
    said = project.made("-n", "-p", "results/made/segmenters/nnunet/real/plain/repeat2/scores.csv", "--configfile",
                        "config/nnunet.yaml")  # fmt: skip
    (command,) = [line for line in said.splitlines() if "scripts/train_nnunet.py" in line]
    assert '"iterations_per_epoch":2' in command and "--repeat 2" in command and "--images 20000" in command
    assert "--keep" not in command
    project.write("config/kept.yaml", own.replace("repeats: 2", "repeats: 2, keep_weights: true, share_job: true"))
    planned = project.planned("segmenters", "--configfile", "config/kept.yaml")
    assert planned["train_nnunet"] == 16 and planned["train_segmenter"] == 8


def test_samples_wait_for_training_images_where_a_guard_keeps_apart_from_them(project):
    flows = "  rectified_flow: {guard: 1, multipliers: [1]}\n  diffusion: {multipliers: [1]}\nsamples:"
    project.write("config/guard.yaml", TINY.replace("samples:", flows, 1))
    files = [f"results/made/generators/{name}/samples.zip" for name in ("rectified_flow", "diffusion")]
    said = project.made("-n", "-p", *files, "--configfile", "config/guard.yaml")
    drawn = [line for line in said.splitlines() if "scripts/sample_generator.py" in line]
    assert ["--train results/made/stacks/train.zip" in line for line in sorted(drawn)] == [False, True]


def test_several_trainings_of_a_generator_are_planned_with_what_they_cost(project):
    project.write("config/once.yaml", TINY)
    project.write("config/twice.yaml", TINY.replace("repeats: 2", "repeats: 2, generator_seeds: 2"))
    once, twice = (project.planned("--configfile", f"config/{name}.yaml") for name in ("once", "twice"))
    for rule in ("train_generator", "sample_generator", "audit_samples"):
        assert twice[rule] == once[rule] + 1 == 2
    assert twice["train_segmenter"] == once["train_segmenter"]  # the repeats are spread, not multiplied


def test_looks_go_with_other_hospitals_and_calibration(project):
    """Until the first look two trainings of each generator, of three, and nothing is scored that is not there yet."""
    first = TINY.splitlines()[2]
    study = TINY.replace(first, f"{first}\n{first.replace('made:', 'other:').replace('size: 32', 'size: 32, seed: 2')}")
    looks = "repeats: 3, generator_seeds: 3, stopping: sequential, looks: [2], keep_weights: true"
    more = "evaluation: {external: [other], calibration: true, network_ensembles: true}\n"
    study = study.replace("repeats: 2", looks) + more
    project.write("config/looks.yaml", study)
    planned = project.planned("--configfile", "config/looks.yaml")
    assert planned["train_generator"] == planned["sample_generator"] == 4 and planned["train_segmenter"] == 8
    assert all(planned[f"compare_{name}"] == 1 for name in ("external", "calibration", "network_ensembles"))
    assert "score_external" not in planned and "score_network_ensemble" not in planned


def test_a_challenge_is_planned_for_the_entries_that_are_taken(project):
    """A refused entry costs no job, and its file need not be there; one that has not come is named."""
    imports = "a: {stack: a.zip, trained_on: train}, b: {stack: b.zip}, c: {stack: c.zip, refused: It came late.}"
    project.write("config/challenge.yaml", f"{TINY}imports: {{{imports}}}\n")
    for name in "ab":
        project.write(f"{name}.zip", "")
    planned = project.planned("challenge", "--configfile", "config/challenge.yaml")
    assert planned["import_samples"] == 2 and planned["make_leaderboard"] == planned["challenge"] == 1
    (project.folder / "b.zip").unlink()
    done = project.run("-n", "challenge", "--configfile", "config/challenge.yaml")
    said = done.stdout + done.stderr
    assert done.returncode and "Missing input files for rule import_samples" in said and "b.zip" in said


def test_a_mistake_in_the_config_is_one_line(project):
    project.write("config/wrong.yaml", TINY.replace("repeats: 2", "repeat: 2"))
    done = project.run("-n", "--configfile", "config/wrong.yaml")
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "config, experiments: found unknown key `repeat` (did you mean `repeats`?); allowed: training_sets" in text
    assert "Traceback" not in text


def test_a_test_subject_among_the_training_subjects_stops_the_workflow(project):
    split = project.folder / "config/splits/brats2020.csv"
    before = split.read_text()
    try:
        split.write_text(before + "BraTS20_Training_123,test\n")
        done = project.run("-n")
        assert done.returncode != 0
        assert "BraTS20_Training_123 again (train, then test), expected it once" in done.stdout + done.stderr
    finally:
        split.write_text(before)


def test_one_patient_under_two_names_stops_the_workflow(project):
    text = TINY.replace(
        "phantom: {subjects: 6, size: 32}, test_subjects: 2", "root: x, split: s.csv, identities: i.csv"
    )
    project.write("config/twice.yaml", text)
    project.write("s.csv", "subject,split\na,train\nb,test\n")
    project.write("i.csv", "made,other\na,p1\nb,p1\n")
    done = project.run("-n", "--configfile", "config/twice.yaml")
    assert done.returncode != 0 and "found one patient in train and test" in done.stdout + done.stderr


def rules():
    """{name: text} of every rule that makes something."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    blocks = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: block for name, block in blocks if "shell:" in block and "output:" in block}


@pytest.mark.parametrize("name", rules())
def test_every_rule_says_what_it_needs(name):
    block = rules()[name]
    for directive in ("output", "log", "benchmark", "conda", "threads", "resources", "shell"):
        assert f"    {directive}:" in block, directive
    assert "mem_mb=" in block and "runtime=" in block
    on_gpu = {"train_generator", "sample_generator", "train_segmenter", "score_fidelity", "measure_speed"}
    on_gpu |= {
        "train_nnunet",
        "score_calibration",
        "score_external",
        "score_network_ensemble",
        "calibrate_audit",
        "find_nearest",
        "filter_samples",
        "attack_weights",
    }
    assert ("gpu=" in block) == (name in on_gpu)
    assert f'python "$UNDERSTUDY/scripts/{name}.py"' in block and (ROOT / f"scripts/{name}.py").is_file()
    stage = next(p.stem for p in (ROOT / "rules").glob("*.smk") if f"rule {name}:" in p.read_text())
    assert f'"../envs/{stage}.yaml"' in block


def test_the_published_splits_are_the_studys_own():
    """Sizes and the hash of the permuted ids, in order, as the study's release has them."""
    import hashlib

    known = {
        "brats2020": (313, "1cf60d7bfdf112e39dbb1f1e648d039f1a4651820c2062812dd1ec4d3f562461"),
        "brats2021": (1195, "cda0d27cc8671ea088ae3956f1fdee508883640a2b633ba2a87251e4872eee01"),
    }
    for name, (train, digest) in known.items():
        rows = [line.split(",") for line in (ROOT / f"config/splits/{name}.csv").read_text().split()[1:]]
        assert [split for _, split in rows] == ["train"] * train + ["test"] * 56
        assert hashlib.sha256("\n".join(subject for subject, _ in rows).encode()).hexdigest() == digest
