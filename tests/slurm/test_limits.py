"""Jobs that are shorter than their training, and a controller that dies."""

import pytest
from study import CONFIG, WEIGHTS, Study, goes_on_without_loss, places, wait_for_states

SLICE_SECONDS = 30  # a job of one minute trains for about so long


@pytest.fixture(scope="module")
def long_training(prepared, undisturbed, tmp_path_factory):
    """A config whose training takes more than one job of one minute, on this machine, and its undisturbed weights."""
    images = round(1.6 * SLICE_SECONDS / undisturbed.seconds_per_image / 4) * 4
    (prepared.folder / "config/long.yaml").write_text(CONFIG.format(kimg=images / 1000))
    return undisturbed.train("config/long.yaml")


def test_jobs_of_one_minute_by_exit_code_and_by_requeue(cluster, prepared, long_training, tmp_path):
    """The training leaves with 75 and is submitted again, or has its job requeued: at least two jobs of each."""
    exits = Study(tmp_path / "exits", cluster, prepared.folder, train_generator={"runtime": 1})
    by_requeue = {"train_generator": {"runtime": 1, "on_budget": "requeue"}}
    requeues = Study(tmp_path / "requeues", cluster, prepared.folder, **by_requeue)
    started = [study.start(WEIGHTS, config="config/long.yaml") for study in (exits, requeues)]
    for study, snakemake in zip((exits, requeues), started, strict=True):
        study.finish(snakemake, 900)
        lines = goes_on_without_loss(study, long_training.weights)
        ends = [line for line in lines if line["event"] == "end"]
        assert len(ends) >= 2 and {line["reason"] for line in ends[:-1]} == {"budget"}
        # nothing is lost: each goes on exactly where the one before it left
        assert places(lines)[1:] == [line["images_seen"] for line in ends[:-1]]
        before = {exits: "FAILED", requeues: "REQUEUED"}[study]
        records = wait_for_states(study, "train_generator", [before] * (len(ends) - 1) + ["COMPLETED"])
        assert len({row["JobID"] for row in records}) == (1 if study is requeues else len(ends))


def test_the_controller_dies_and_comes_back(cluster, healed, prepared, undisturbed, tmp_path):
    """slurmctld is killed with -9 in the middle of the training: nothing is lost, nothing is done twice."""
    study = Study(tmp_path / "study", cluster, prepared.folder)
    snakemake = study.start(WEIGHTS)
    study.job_of_training()
    study.wait(lambda: study.checkpoint() > undisturbed.images // 3, 120, "a third of the training")
    cluster.kill_controller()  # it has saved its state since the job began
    before = study.checkpoint()
    study.wait(lambda: study.checkpoint() > before, 60, "a checkpoint without a controller")
    cluster.start_controller()
    study.finish(snakemake)
    lines = goes_on_without_loss(study, undisturbed.weights)
    assert places(lines) == [0]
    wait_for_states(study, "train_generator", ["COMPLETED"])
