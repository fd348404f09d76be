"""The plan has every job, in order, with what it needs; what is done, and what follows from a lost file, is known."""

from collections import Counter
from pathlib import Path

import pytest

from understudy.core.config import complete, load_yaml
from understudy.core.plan import jobs, models, pending, targets

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = load_yaml(ROOT / "workflow/schemas/config.schema.yaml")


def config_of(**sections):
    sections = {"datasets": {"made": {"phantom": {"subjects": 6}, "test_subjects": 2}}, **sections}
    return complete({"generators": {"stylegan2": {}}, "segmenters": {"unet": {}}, **sections}, SCHEMA)


@pytest.fixture
def planned():
    return jobs(config_of(experiments={"repeats": 2, "negative_control": True}))


def names(found):
    return [str(job) for job in found]


def test_a_job_comes_after_those_that_it_needs(planned):
    place = {job: i for i, job in enumerate(planned)}
    assert all(place[need] < place[job] for job in planned for need in job.needs)
    assert planned[-1].rule == "all" and len(set(planned)) == len(planned)


def test_counts(planned):
    counts = Counter(job.rule for job in planned)
    assert counts["train_segmenter"] == 2 * 2 * 4 and counts["make_phantom"] == 1
    assert counts.total() == 32


def test_branches_are_what_a_person_thinks_of(planned):
    counts = Counter(job.branch for job in planned)
    assert counts == {
        "made / prepare": 3,
        "made / real": 4,
        "made / shuffled": 4,
        "made / stylegan2": 5 + 2 * 4,
        "made / audit": 1,
        "report": 7,
    }


def test_a_training_needs_the_stacks_of_its_training_set(planned):
    by_name = {str(job): job for job in planned}
    mixed = by_name["train_segmenter made/unet/real+stylegan2/plain/repeat2"]
    assert names(mixed.needs) == ["slice_volumes made", "sample_generator made/stylegan2"]
    assert names(by_name["train_segmenter made/unet/shuffled/plain/repeat1"].needs) == ["slice_volumes made"]
    assert mixed.run == "runs/made/segmenters/unet/real+stylegan2/plain/repeat2"
    assert mixed.model == "segmenters/unet/plain" and mixed.gpu


def test_controls_are_made_of_the_training_stack_and_stand_for_samples():
    config = config_of(experiments={"repeats": 1, "controls": ["copies", "noise"]})
    by_name = {str(job): job for job in jobs(config)}
    trained = by_name["train_segmenter made/unet/noise/plain/repeat1"]
    assert names(trained.needs) == ["make_control made/noise", "slice_volumes made"]
    assert names(by_name["make_control made/noise"].needs) == ["slice_volumes made"]
    assert trained.branch == "made / noise" and not by_name["make_control made/copies"].gpu


def test_data_of_ones_own_makes_no_phantoms():
    config = config_of(datasets={"own": {"root": "data", "test_subjects": 2}})
    assert names(jobs(config, "prepare")) == ["index_subjects own", "slice_volumes own", "prepare"]


def test_a_generators_target_leaves_real_trainings_out():
    sets = {job.training_set for job in jobs(config_of(), "stylegan2") if job.rule == "train_segmenter"}
    assert sets == {"stylegan2", "real+stylegan2"}


def test_an_unknown_target_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"found 'table' \(did you mean tables\?\); expected one of all, prepare"):
        jobs(config_of(), "table")


def test_every_target_is_made_by_some_job():
    config = config_of()
    for target, files in targets(config).items():
        made = {path for job in jobs(config, target) for path in job.outputs}
        assert made >= set(files), target


def test_models_are_what_speeds_are_known_of():
    found = models(config_of())
    assert list(found) == ["generators/stylegan2", "segmenters/unet/augmented", "segmenters/unet/plain"]
    assert "augmentation" in found["segmenters/unet/augmented"] and "augmentation" not in found["segmenters/unet/plain"]
    assert {job.model for job in jobs(config_of())} == {"", *found}


RELEASE = {"generators": ["stylegan2"], "title": "t", "licence": "CC0-1.0", "creators": [{"name": "n"}]}


def test_a_release_needs_its_audit_and_the_table():
    config = config_of(release={**RELEASE, "date": "2026-01-31"})
    job = jobs(config, "release")[-2]
    folder = "results/made/generators/stylegan2"
    assert str(job) == "make_release made/stylegan2" and job.branch == "made / stylegan2"
    assert job.inputs[:2] == (f"{folder}/filtered.zip", f"{folder}/filtered_audit.json")
    assert "make_tables" in names(job.needs) and "train_generator made/stylegan2" in names(job.needs)
    assert jobs(config)[-1].inputs[-1:] == job.outputs == ("results/made/release/stylegan2/SHA256SUMS",)


def test_a_release_of_samples_and_weights():
    config = config_of(
        release={**RELEASE, "date": "2026-01-31", "images": "samples", "weights": True, "utility": False}
    )
    planned = names(jobs(config, "release"))
    assert planned[-2:] == ["make_release made/stylegan2", "release"] and "make_tables" not in planned


# ------------------------------------------------------------------------------------------------ what is left to run
def left(planned, lost=()):
    there = {path for job in planned for path in job.outputs} - set(lost)
    return names(pending(planned, there.__contains__))


def test_everything_is_left_where_nothing_is_there(planned):
    assert pending(planned, lambda path: False) == planned


def test_nothing_is_left_where_everything_is_there(planned):
    assert left(planned) == []


def test_a_lost_score_is_made_again_where_the_tables_are_wanted(planned):
    score = "results/made/segmenters/unet/real/plain/repeat1/scores.csv"
    assert left(planned, [score, "results/tables/dice.csv"]) == [
        "train_segmenter made/unet/real/plain/repeat1",
        "make_tables",
        "make_figures made",
        "make_report",
        "all",
    ]


def test_what_nobody_reads_any_more_is_not_made_again(planned):
    assert left(planned, ["results/made/generators/stylegan2/weights.json"]) == []


def test_what_reads_a_new_file_is_made_anew(planned):
    samples = "results/made/generators/stylegan2/samples.zip"
    found = left(planned, [samples, "results/figures/made/dice.png"])
    assert found[0] == "sample_generator made/stylegan2"
    assert sum(name.startswith("train_segmenter") for name in found) == 8


# ------------------------------------------------------------------------------------------------ feature spaces
def test_a_generator_is_compared_in_the_space_of_a_real_segmenter_where_that_is_asked_for():
    own = {"fidelity": {"spaces": ["segmenter"]}}
    kept = {"repeats": 2, "keep_weights": True}
    with_weights = {str(job): job for job in jobs(config_of(experiments=kept, evaluation=own))}
    scored = with_weights["score_fidelity made/stylegan2"]
    trained = "train_segmenter made/unet/real/augmented/repeat1"
    assert trained in names(scored.needs)
    assert with_weights[trained].outputs[-1].endswith("real/augmented/repeat1/weights.safetensors")
    shared = jobs(config_of(experiments={**kept, "share_job": True}, evaluation=own))
    assert "train_segmenter made/unet/real/augmented" in names(next(j for j in shared if j == scored).needs)
    plain = {str(job): job for job in jobs(config_of(experiments=kept))}
    assert names(plain["score_fidelity made/stylegan2"].needs) == [
        "sample_generator made/stylegan2",
        "slice_volumes made",
    ]


# ------------------------------------------------------------------------------------------------ the reader study
def test_a_reader_study_needs_the_images_that_it_shows_and_the_report_its_tables():
    study = {"generators": ["stylegan2"], "split": "test", "images": 4}
    planned = jobs(config_of(reader_study=study))
    by_name = {str(job): job for job in planned}
    assert names(by_name["make_reader_study made"].needs) == ["slice_volumes made", "sample_generator made/stylegan2"]
    assert names(by_name["read_answers"].needs) == ["make_reader_study made"]
    assert by_name["read_answers"].outputs == ("results/tables/reader_plan.csv",)
    assert "read_answers" in names(by_name["make_report"].needs)
    assert {"make_reader_study made", "read_answers"} <= set(names(planned[-1].needs))
    assert names(jobs(config_of(reader_study=study), "reader_study"))[-3:] == [
        "make_reader_study made",
        "read_answers",
        "reader_study",
    ]


def test_filtered_images_may_be_read_and_none_may():
    study = {"generators": ["stylegan2-filtered"], "images": 4}
    needs = names({str(job): job for job in jobs(config_of(reader_study=study))}["make_reader_study made"].needs)
    assert needs == ["slice_volumes made", "filter_samples made/stylegan2"]
    assert names(jobs(config_of(), "reader_study")) == ["reader_study"]
