"""A whole small study runs; then nothing reruns that need not, and what must rerun does."""

import os
import time

import pandas as pd
import pytest
from project import TINY, Project
from safetensors.torch import load_file

RUN = ("--cores", "2", "--configfile", "config/tiny.yaml", "--profile", "profiles/local")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("study"))
    project.write("config/tiny.yaml", TINY)
    project.made(*RUN)
    return project


def planned(study, config=TINY):
    study.write("config/tiny.yaml", config)
    try:
        return study.planned(*RUN)
    finally:
        study.write("config/tiny.yaml", TINY)


def test_tables_and_figures_are_there(study):
    table = pd.read_csv(study.folder / "results/tables/dice.csv")
    settings = {(row.training_set, row.augmentation) for row in table.itertuples()}
    sets = ["real", "stylegan2", "real+stylegan2", "shuffled"]
    assert settings == {(s, a) for s in sets for a in ("augmented", "plain")}
    assert (table["repeats"] == 2).all()
    for name in ("samples", "predictions_unet", "dice"):
        assert (study.folder / f"results/figures/made/{name}.png").stat().st_size > 5000
    for log in (study.folder / "results/logs").rglob("*.log"):
        assert "Traceback" not in log.read_text(), log


def test_a_second_run_has_nothing_to_do(study):
    assert "Nothing to be done" in study.made(*RUN)


def test_touching_files_reruns_nothing(study):
    later = time.time() + 5
    touched = [
        p for folder in ("scripts", "src", "rules", "envs", "results/made") for p in (study.folder / folder).rglob("*")
    ]
    for path in touched:
        if path.is_file():
            os.utime(path, (later, later))
    assert planned(study) == {}


def test_editing_comments_and_scripts_reruns_nothing(study):
    for name in (
        "scripts/train_segmenter.py",
        "rules/segment.smk",
        "envs/segment.yaml",
        "src/understudy/segment/unet.py",
    ):
        path = study.folder / name
        path.write_text(f"# a remark\n{path.read_text()}")
    assert planned(study, f"# a remark\n{TINY}") == {}


def test_a_generator_option_reruns_that_branch_alone(study):
    jobs = planned(study, TINY.replace("batch: 4, kimg: 0.02", "batch: 4, kimg: 0.02, learning_rate_generator: 0.001"))
    expected = {"train_generator": 1, "sample_generator": 1, "train_segmenter": 8, "score_fidelity": 1}
    report = {"make_tables": 1, "compare_generators": 1, "compare_fidelity": 1, "make_figures": 1, "make_report": 1}
    audit = {"find_nearest": 1, "audit_samples": 1, "compare_audits": 1}
    assert jobs == {**RECORD, **expected, **report, **audit, "compare_strata": 1, "all": 1, "total": 22}


RECORD = {"record_config": 1}  # results/config.yaml: any change of the config
# what reads the table of metrics is made again; nothing is trained
FIDELITY_ANEW = {"score_fidelity": 1, "compare_fidelity": 1}
FIDELITY_ANEW |= {"make_tables": 1, "make_figures": 1, "make_report": 1, "all": 1, "total": 6}


def test_another_feature_space_compares_images_anew_and_nothing_else(study):
    jobs = planned(study, f"{TINY}evaluation: {{fidelity: {{spaces: [inception, random]}}}}\n")
    assert jobs == {**RECORD, **FIDELITY_ANEW, "total": 7}


def test_weights_of_a_feature_space_that_are_there_at_last_are_used(study):
    weights = study.folder / "pt_inception-2015-12-05-6726825d.pth"
    weights.touch()
    try:
        assert planned(study) == FIDELITY_ANEW
    finally:
        weights.unlink()


def test_a_segmenter_option_retrains_no_generator(study):
    jobs = planned(study, TINY.replace("depth: 3", "depth: 3, learning_rate: 0.01"))
    assert jobs["train_segmenter"] == 16 and "train_generator" not in jobs and "slice_volumes" not in jobs


def test_another_segmenter_is_trained_alone(study):
    swin = "swin: {patch: 2, width: 8, depths: [1], heads: [1], decoder_width: 8, samples: 60, epoch_samples: 30}"
    jobs = planned(study, TINY.replace("segmenters:", f"segmenters:\n  {swin}"))
    made = {"train_segmenter": 16, "make_tables": 1, "compare_strata": 1, "make_figures": 1, "make_report": 1}
    assert jobs == {**RECORD, **made, "all": 1, "total": 22}


def test_another_slice_rule_reruns_what_comes_after(study):
    jobs = planned(study, TINY.replace("images: {size: 32}", "images: {size: 32, area_fraction: 0.2}"))
    assert jobs["slice_volumes"] == 1 and jobs["train_generator"] == 1 and "make_phantom" not in jobs


def test_tables_so_far_list_what_is_missing(study):
    lost = study.folder / "results/made/segmenters/unet/real/plain/repeat2/scores.csv"
    content = lost.read_bytes()
    lost.unlink()
    try:
        study.made("tables_so_far", *RUN)
    finally:
        lost.write_bytes(content)
    why = pd.read_csv(study.folder / "results/tables_so_far/missing.csv").iloc[0]
    assert (why["training_set"], why["repeat"], why["state"], why["images_seen"]) == ("real", 2, "unpublished", 60)
    table = pd.read_csv(study.folder / "results/tables_so_far/dice.csv", dtype={"missing": str})
    row = table[(table.training_set == "real") & (table.augmentation == "plain")].iloc[0]
    assert row["repeats"] == 1 and row["missing"] == "2"
    assert (table["repeats"] == 2).sum() == len(table) - 1


def test_augmentation_options_leave_plain_trainings_alone(study):
    jobs = planned(study, TINY.replace("depth: 3", "depth: 3, augmentation: {rotation: [-10, 10]}"))
    assert jobs["train_segmenter"] == 8 and "train_generator" not in jobs


def test_a_published_table_beside_ours_reruns_the_tables_alone(study):
    jobs = planned(study, TINY.replace("test_subjects: 2", "test_subjects: 2, published: brats2020"))
    made = {"make_tables": 1, "compare_fidelity": 1, "compare_strata": 1, "make_figures": 1, "make_report": 1}
    assert jobs == {**RECORD, **made, "all": 1, "total": 7}


def test_a_lost_result_is_published_again_without_training(study):
    folder = study.folder / "results/made/generators/stylegan2"
    weights = folder / "weights.safetensors"
    before = weights.read_bytes()
    (progress,) = (study.folder / "runs/made/generators/stylegan2").glob("*/progress.jsonl")
    lines = progress.read_text()
    weights.unlink()
    study.made(str(weights.relative_to(study.folder)), *RUN)
    assert weights.read_bytes() == before and progress.read_text() == lines


SHARED = TINY.replace(
    "repeats: 2, negative_control: true",
    "repeats: 2, training_sets: [real, stylegan2, real=16+stylegan2=8], augmentations: [plain], share_job: true, "
    "validation: apart",
)
# what is given here takes the place of the profile's whole block
ON_GPU = ("train_generator", "sample_generator", "train_segmenter", "score_fidelity", "calibrate_audit", "find_nearest")
AT_ONCE = [f"{rule}:gpu=0" for rule in ON_GPU]
AT_ONCE = ("--set-resources", *AT_ONCE, "train_segmenter:at_once=2")


def test_repeats_share_a_job_and_validate_on_subjects_that_no_generator_saw(tmp_path, study):
    """Other trainings of the generator (it sees fewer subjects), each setting one job whose repeats train at the same
    time, mixtures with counts."""
    project = Project(tmp_path / "shared", study.folder)
    project.write("config/tiny.yaml", SHARED)
    targets = ("tables", "figures")  # not the audit and the report, which know nothing of repeats
    assert project.planned(*targets, *RUN)["train_segmenter"] == 3
    project.made(*targets, *RUN, *AT_ONCE)
    assert project.planned(*targets, *RUN) == {}  # how many trained at once is no part of a result
    log = (project.folder / "results/logs/train_segmenter/made/unet/real/plain/all.log").read_text()
    assert "repeat 1: " in log and "repeat 2: " in log
    table = pd.read_csv(project.folder / "results/tables/dice.csv")
    assert list(table["training_set"]) == ["real", "stylegan2", "real=16+stylegan2=8"] and (table["repeats"] == 2).all()
    assert "no generator and no training set had seen" in (project.folder / "results/tables/dice.md").read_text()
    weights = load_file(project.folder / "results/made/generators/stylegan2/weights.safetensors")
    before = load_file(study.folder / "results/made/generators/stylegan2/weights.safetensors")
    assert any(not weights[name].equal(before[name]) for name in weights)
    histories = [project.folder / f"results/made/segmenters/unet/real/plain/repeat{r}/history.csv" for r in (1, 2)]
    assert histories[0].read_text() != histories[1].read_text()
    runs = project.folder / "runs/made/segmenters/unet/real/plain/repeat1"
    assert list(runs.glob("*/attempts.jsonl")) and not list(runs.glob("*/step-*/*"))  # no weights are asked for
