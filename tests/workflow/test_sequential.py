"""A small study with up to three trainings of its generator, one of which collapses, a training of a segmenter that
diverges, and repeats and trainings of the generator that are added in looks: what happened stands in tables and page,
and nothing is trained twice."""

import json
import re

import pandas as pd
import pytest
from project import TINY, Project

RUN = ("--cores", "2", "--configfile", "config/tiny.yaml", "--profile", "profiles/local")
STUDY = (
    TINY[: TINY.index("experiments:")]
    .replace("subjects: 6", "subjects: 7")
    .replace("test_subjects: 2", "test_subjects: 3")
)
STUDY += """
experiments:
  {repeats: 3, generator_seeds: 3, stopping: sequential, looks: [2], augmentations: [augmented]}
evaluation: {fidelity: {spaces: [random], frechet_draws: 2}}
"""
COLLAPSE = "the generator has collapsed: planted by a test"
DIVERGED = "diverged: planted by a test"


def planted(project: Project) -> None:
    """The second training of the generator collapses; a repeat that learns from real images and the first diverges."""
    for name, condition, message in (
        ("train_generator", "args.training == 2", COLLAPSE),
        ("train_segmenter", 'a.training_set == "real+stylegan2" and a.repeats[place] == 1', DIVERGED),
    ):
        path = project.folder / f"scripts/{name}.py"
        text, found = re.subn(
            r"( +)outcome = train\(",
            rf"\1if {condition}:\n\1    raise FailedRunError({message!r})\n\g<0>",
            path.read_text(),
        )
        assert found == 1
        path.write_text(text)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("looks"))
    project.write("config/tiny.yaml", STUDY)
    planted(project)
    return project


def trained(study) -> dict[str, int]:
    """Trainings of segmenters with scores, by training set and how often each began."""
    folder = study.folder / "results/made/segmenters/unet"
    return {path.name: len(list(path.glob("augmented/repeat*/scores.csv"))) for path in folder.iterdir()}


def generators(study) -> set[str]:
    """Trainings of the generator that there are images of."""
    return {path.parent.name for path in (study.folder / "results/made/generators").glob("*/samples.zip")}


def test_a_look_is_a_target_of_its_trainings_alone(study):
    jobs = study.planned("look1", *RUN)
    assert jobs["train_segmenter"] == 4 and jobs["decide_look"] == 1 and "make_tables" not in jobs
    assert jobs["train_generator"] == 2
    study.made("look1", *RUN)
    look = json.loads((study.folder / "results/looks/look1.json").read_text())
    (one,) = look["comparisons"]
    assert look["repeats"] == 2 and one["outcome"] == "goes on" and look["open"] == [["made", "unet", "stylegan2"]]
    assert trained(study) == {"real": 2, "stylegan2": 1, "stylegan2-seed2": 1}
    assert generators(study) == {"stylegan2", "stylegan2-seed2"}
    # what goes on has a repeat more, from another training; what was not compared has those of the first look
    jobs = study.planned("tables", *RUN)
    assert jobs["train_segmenter"] == 1 + 1 + 2 and jobs["train_generator"] == 1 and jobs["score_fidelity"] == 3


def test_the_study_ends_with_all_that_happened_in_tables_and_page(study):
    study.made(*RUN)
    assert "Nothing to be done" in study.made(*RUN)
    of_made = {"stylegan2": 1, "stylegan2-seed2": 1, "stylegan2-seed3": 1}
    assert trained(study) == {"real": 3, **of_made, "real+stylegan2": 1, "real+stylegan2-seed2": 1}
    assert generators(study) == set(of_made)
    tables = study.folder / "results/tables"
    failures = pd.read_csv(tables / "failures.csv").set_index(["training_set", "repeat"])["why"].to_dict()
    behind = {key: why for key, why in failures.items() if COLLAPSE in why}
    assert set(behind) == {("stylegan2", 2), ("real+stylegan2", 2)}
    assert failures["real+stylegan2", 1] == DIVERGED and len(failures) == 3
    dice = pd.read_csv(tables / "dice.csv", dtype={"failed": str}).set_index("training_set")
    assert (
        dice["repeats"].to_dict() == {"real": 3, "stylegan2": 3, "real+stylegan2": 2} and dice["missing"].isna().all()
    )
    assert dice.loc["stylegan2", "failed"] == "2" and dice.loc["real+stylegan2", "mean_mean"] == 0
    assert list(pd.read_csv(tables / "without_failed.csv")["counted"]) == ["all", "without failed"] * 2
    stops = pd.read_csv(tables / "stops.csv").iloc[0]
    assert (stops["training_set"], stops["repeats"], stops["of"], stops["failed"]) == ("stylegan2", 3, 3, 1)
    page = (study.folder / "results/report.html").read_text()
    for said in (
        "Each generator was trained 3 times", "3 of them failed, and they count", COLLAPSE, DIVERGED,
        "Repeats were added in looks",
        "unet, stylegan2: undecided after 3 of 3 repeats; 1 of the trainings behind that failed.",
        "There are no images: the training of the generator failed", "With and without failed trainings",
        "Every training of the study has scores",
    ):  # fmt: skip
        assert said in " ".join(page.split()), said


def test_nothing_was_trained_twice(study):
    starts = [
        sum(json.loads(line)["event"] == "start" for line in path.read_text().splitlines())
        for path in (study.folder / "runs/made/segmenters").rglob("attempts.jsonl")
    ]
    assert starts and set(starts) == {1}
