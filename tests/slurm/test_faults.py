"""A training goes through everything that a cluster does to it, and ends in the weights of an undisturbed one, bit for
bit. Each case is seen in files and in SLURM's own accounting."""

import shutil

import pytest
from project import ROOT, Project
from study import CONFIG, WEIGHTS, Study, kill_snakemake, one_at_a_time, places, states

IMAGES = 3000
LONG = 9000


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """{kimg: a project whose stacks are there}, and the weights of undisturbed trainings on one core, no cluster."""
    project = Project(tmp_path_factory.mktemp("prepared"))
    project.write("config/study.yaml", CONFIG.format(kimg=IMAGES / 1000, samples=60))
    project.write("config/long.yaml", CONFIG.format(kimg=LONG / 1000, samples=60))
    project.made("prepare", "--profile", "profiles/local", "--configfile", "config/study.yaml")
    return project.folder


@pytest.fixture(scope="session")
def undisturbed(prepared, tmp_path_factory):
    """config -> the bytes of its weights."""
    known = {}

    def weights(config="study"):
        if config not in known:
            project = Project(tmp_path_factory.mktemp("undisturbed"))
            shutil.copytree(prepared, project.folder, dirs_exist_ok=True)
            project.made(WEIGHTS, "--profile", "profiles/local", "--configfile", f"config/{config}.yaml")
            known[config] = (project.folder / WEIGHTS).read_bytes()
        return known[config]

    return weights


@pytest.fixture
def study(cluster, healed, prepared, tmp_path):
    def make(name="study", **changes):
        return Study(tmp_path / name, cluster, prepared, **changes)

    return make


def goes_on_without_loss(study, undisturbed, config="study"):
    """The weights are those of an undisturbed training, attempts came one after the other, each at a checkpoint."""
    assert (study.folder / WEIGHTS).read_bytes() == undisturbed(config)
    lines = study.attempts()
    assert one_at_a_time(lines) and lines[-1]["reason"] == "finished"
    assert places(lines) == sorted(places(lines)) and places(lines)[0] == 0
    return lines


def test_three_time_slices_by_exit_code_and_by_requeue(study, undisturbed):
    """Jobs of one minute: the training leaves with 75 and is submitted again, or has its job requeued."""
    exits = study("exits", train_generator={"runtime": 1})
    requeues = study("requeues", train_generator={"runtime": 1, "on_budget": "requeue"})
    started = [s.start(WEIGHTS, config="config/long.yaml") for s in (exits, requeues)]
    for one, snakemake in zip((exits, requeues), started, strict=True):
        one.finish(snakemake, 600)
        lines = goes_on_without_loss(one, undisturbed, "long")
        reasons = [line["reason"] for line in lines if line["event"] == "end"]
        assert len(reasons) >= 3 and set(reasons[:-1]) == {"budget"}
        # nothing is lost: each goes on exactly where the one before it left
        ends = [line["images_seen"] for line in lines if line["event"] == "end"]
        assert places(lines)[1:] == ends[:-1]
    records = exits.jobs("train_generator")
    assert states(records) == ["FAILED"] * (len(records) - 1) + ["COMPLETED"] and len(records) >= 3
    assert "TIMEOUT" not in states(exits.jobs("train_generator") + requeues.jobs("train_generator"))
    records = requeues.jobs("train_generator")
    assert len({row["JobID"] for row in records}) == 1
    assert states(records).count("REQUEUED") == len(records) - 1 >= 2 and states(records)[-1] == "COMPLETED"


def test_preemption(study, undisturbed, cluster):
    one = study(train_generator={"slurm_partition": "low"})
    snakemake = one.start(WEIGHTS)
    job = one.job_of_training()
    (row,) = [row for row in cluster.queue() if row["JobID"] == str(job)]
    cluster.submit("--partition=high", "--exclusive", f"--nodelist={row['NodeList']}", "--wrap=sleep 5")
    one.finish(snakemake)
    lines = goes_on_without_loss(one, undisturbed)
    assert len(places(lines)) == 2 and places(lines)[1] > 0
    assert states(one.jobs("train_generator")) == ["PREEMPTED", "COMPLETED"]
    assert {line["job"] for line in lines if line["event"] == "start"} == {str(job)}


def test_one_job_is_cancelled_and_the_rest_goes_on(study, undisturbed, cluster):
    one = study()
    snakemake = one.start(WEIGHTS, "segmenters")
    job = one.job_of_training()
    cluster.run("scancel", str(job))
    one.finish(snakemake)
    goes_on_without_loss(one, undisturbed)
    assert states(one.jobs("train_generator")) == ["CANCELLED", "COMPLETED"]
    assert states(one.jobs("train_segmenter")) == ["COMPLETED"] * 2
    assert len(list(one.folder.glob("results/made/segmenters/unet/real/plain/repeat*/scores.csv"))) == 2


def test_a_node_dies(study, undisturbed, cluster):
    one = study()
    snakemake = one.start(WEIGHTS)
    job = one.job_of_training()
    (row,) = [row for row in cluster.queue() if row["JobID"] == str(job)]
    cluster.kill_node(row["NodeList"])
    one.finish(snakemake)
    lines = goes_on_without_loss(one, undisturbed)
    assert [line["event"] for line in lines] == ["start", "start", "end"]  # the dead do not write
    records = one.jobs("train_generator")
    assert states(records) == ["NODE_FAIL", "COMPLETED"] and records[1]["NodeList"] != row["NodeList"]


def test_the_controller_dies_and_comes_back(study, undisturbed, cluster):
    one = study()
    snakemake = one.start(WEIGHTS)
    one.job_of_training()
    one.wait(lambda: one.checkpoint() > IMAGES // 3, 120, "a third of the training")  # it has saved its state by then
    cluster.kill_controller()
    before = one.checkpoint()
    one.wait(lambda: one.checkpoint() > before, 60, "a checkpoint without a controller")
    cluster.start_controller()
    one.finish(snakemake)
    lines = goes_on_without_loss(one, undisturbed)
    assert places(lines) == [0] and states(one.jobs("train_generator")) == ["COMPLETED"]


def test_out_of_memory_is_tried_again_with_more(study, undisturbed, cluster):
    one = study(train_generator={"mem_mb": "330 if attempt == 1 else 2000"})
    snakemake = one.start(WEIGHTS)
    one.finish(snakemake)
    goes_on_without_loss(one, undisturbed)
    first, second = one.jobs("train_generator")
    assert states([second]) == ["COMPLETED"] and first["State"] != "COMPLETED"
    steps = cluster.accounting(int(first["JobID"]), steps=True)
    assert "OUT_OF_MEMORY" in states(steps) or not cluster.plan.cgroups
    assert "mem=330M" in first["ReqTRES"] and "mem=2000M" in second["ReqTRES"]


def test_snakemake_is_killed_and_started_again_while_its_job_runs(study, undisturbed, cluster):
    """The job that nobody watches hands over to the new one: never two at once, and no work is lost."""
    one = study()
    snakemake = one.start(WEIGHTS)
    orphan = one.job_of_training()
    kill_snakemake(snakemake)
    one.made("--unlock", "--profile", "profiles/local", "--configfile", "config/study.yaml")
    assert cluster.state(orphan) == "RUNNING"
    one.finish(one.start(WEIGHTS))
    lines = goes_on_without_loss(one, undisturbed)
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("start", None),
        ("end", "asked"),
        ("start", None),
        ("end", "finished"),
    ]
    assert lines[2]["images_seen"] == lines[1]["images_seen"] > 0 and lines[0]["job"] == str(orphan) != lines[2]["job"]
    one.wait(lambda: len(one.jobs("train_generator")) == 2, 30, "both jobs on record")
    assert states(one.jobs("train_generator")) == ["FAILED", "COMPLETED"]


def test_a_cluster_without_sacct(cluster_without_sacct, prepared, undisturbed, tmp_path):
    one = Study(tmp_path / "study", cluster_without_sacct, prepared)
    one.finish(one.start(WEIGHTS, "segmenters", slurm_status_command="squeue"))
    goes_on_without_loss(one, undisturbed)
    assert {row["State"] for row in cluster_without_sacct.queue()} == {"COMPLETED"}
    assert (ROOT / "profiles/slurm/config.yaml").read_text().count("# slurm-status-command: squeue") == 1


def test_a_gpu_job_sees_its_gpu_and_status_tells(study, undisturbed):
    one = study()
    one.finish(one.start(WEIGHTS))
    (record,) = one.jobs("train_generator")
    assert "gres/gpu=1" in record["AllocTRES"] and record["Partition"] == "gpu" and record["Account"] == "lab"
    assert one.attempts()[0]["gpus"] in ("0", "1")
    status = one.script("show_status.py", "--config", "config/study.yaml", "--all")
    assert "made stylegan2" in status and record["JobID"] in status
