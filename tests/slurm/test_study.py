"""The demo through the shipped profile: every rule as a job of SLURM, GPUs and partitions as the profile says."""

import re

import pandas as pd
import pytest
import yaml
from project import NO_LIMITS, ROOT, job_counts
from study import TRAINERS, Study, wait_for_states


@pytest.fixture(scope="module")
def demo(cluster, tmp_path_factory):
    """demo_full.yaml with one generator and segmenter, fewer images and repeats, run to its end; what was said."""
    study = Study(tmp_path_factory.mktemp("demo") / "study", cluster, forked_jobs=True)
    config = yaml.safe_load((ROOT / "config/demo_full.yaml").read_text())
    del config["results"], config["runs"]
    config["datasets"]["phantom"]["phantom"]["subjects"] = 14
    config["datasets"]["phantom"]["test_subjects"] = 4
    config["generators"] = {"stylegan2": config["generators"]["stylegan2"] | {"kimg": 0.2}}
    config["samples"]["count"] = 60
    config["segmenters"] = {"unet": config["segmenters"]["unet"] | {"samples": 120, "epoch_samples": 60}}
    config["experiments"] = {
        "training_sets": ["real", "synthetic", "real+synthetic"],
        "augmentations": ["augmented"],
        "repeats": 1,
        "keep_weights": True,  # fine-tuning starts from them
        "negative_control": True,
        "few_subjects": {"generators": ["stylegan2"], "subjects": [5]},
    }
    config["audit"] |= {"false_positive_rate": 0.05, "planted": 10, **NO_LIMITS}
    config["release"]["generators"] = ["stylegan2"]
    config["reader_study"]["generators"] = ["stylegan2"]
    study.write("config/study.yaml", yaml.safe_dump(config))
    return study, study.finish(study.start(), 900)


def test_every_table_and_figure_is_there(demo):
    study, _ = demo
    table = pd.read_csv(study.folder / "results/tables/dice.csv")
    assert len(table) == 4 and (table["repeats"] == 1).all()
    few = pd.read_csv(study.folder / "results/tables/few_subjects.csv").set_index("training_set")
    assert (few["repeats"] == 1).all() and few.loc["real-5subjects-after-stylegan2", "kind"] == "fine-tuned"
    for name in ("samples", "predictions_unet", "dice"):
        assert (study.folder / f"results/figures/phantom/{name}.png").stat().st_size > 5000


def test_every_job_is_on_record_where_the_profile_sends_it(demo):
    study, said = demo
    counts = job_counts(said)
    assert counts["train_segmenter"] == 7 and counts["total"] == 32
    assert counts["record_config"] == 1, "on the login node: it writes what Snakemake has read"
    for rule in counts.keys() - {"all", "total", "record_config"}:
        records = wait_for_states(study, rule, ["COMPLETED"] * counts[rule])
        assert {row["Account"] for row in records} == {"lab"}
        assert {row["Partition"] for row in records} == {"gpu" if rule in TRAINERS else "cpu"}, rule
        assert all(("gres/gpu=1" in row["AllocTRES"]) == (rule in TRAINERS) for row in records), rule


def test_a_gpu_job_sees_its_gpu(demo):
    study, _ = demo
    (line, *_) = study.attempts("runs/phantom/generators/stylegan2")
    assert line["gpus"] in ("0", "1")  # of the two that a node has
    (record,) = study.jobs("train_generator")
    assert line["job"] == record["JobID"]


def test_a_second_start_has_nothing_to_do(demo):
    study, _ = demo
    assert "Nothing to be done" in study.made("-n", "--profile", "profiles/test", "--configfile", "config/study.yaml")


def test_status_tells_of_each_training(demo):
    study, _ = demo
    text = study.script("show_status.py", "--config", "config/study.yaml", "--all")
    jobs = {record["JobID"] for rule in ("sample_generator", "filter_samples") for record in study.jobs(rule)}
    (line,) = [line for line in text.splitlines() if line.startswith("phantom stylegan2 samples")]
    state, count, share = line.split()[3:6]  # the filter draws 64 more where it drops some
    assert (state, share) == ("done", "100.0%") and count in ("60", "124") and line.split()[-1] in jobs
    assert re.search(r"^phantom / shuffled +1 done$", text, re.MULTILINE)
