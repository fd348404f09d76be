"""A reader study through Snakemake: its page, its answers, and what reruns for either."""

import json

import pandas as pd
import pytest
from project import TINY, Project

RUN = ("reader_study", "--profile", "profiles/local", "--configfile", "config/tiny.yaml")
STUDY = "reader_study: {generators: [stylegan2], images: 4, repeats: 2}\n"
ANSWERED = STUDY.replace("repeats: 2", "repeats: 2, answers: [a.json]")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("reader"))
    project.write("config/tiny.yaml", TINY + STUDY)
    project.made(*RUN)
    return project


def planned(study, text):
    study.write("config/tiny.yaml", TINY + text)
    return study.planned(*RUN)


def test_the_plan_is_there_before_anybody_has_answered(study):
    plan = pd.read_csv(study.folder / "results/tables/reader_plan.csv")
    assert list(plan["readers"]) == [1, 3, 5] and (plan["planned_images"] == 4).all()
    assert "images for interval" in (study.folder / "results/logs/read_answers.log").read_text()
    assert not (study.folder / "results/tables/readers.csv").exists()


def test_what_reruns(study):
    assert planned(study, STUDY) == {}
    assert planned(study, STUDY.replace("repeats: 2", "repeats: 2, half_width: 0.1")) == {
        "read_answers": 1, "reader_study": 1, "total": 2,
    }  # fmt: skip
    another_page = {"make_reader_study": 1, "read_answers": 1, "reader_study": 1, "total": 3}
    assert planned(study, STUDY.replace("repeats: 2", "repeats: 1")) == another_page


def test_answers_become_tables_and_the_page_stays(study):
    folder = study.folder / "results/made/reader_study"
    key, page = json.loads((folder / "key.json").read_text()), (folder / "page.html").read_bytes()
    answers = [{"id": i["id"], "call": "real", "confidence": 1, "seconds": 2.0} for i in key["images"]]
    about = {"format": 1, "study": key["study"], "reader": "A"}
    study.write("a.json", json.dumps({**about, "answers": answers}))
    assert planned(study, ANSWERED) == {"read_answers": 1, "reader_study": 1, "total": 2}
    study.made(*RUN)
    calls = pd.read_csv(study.folder / "results/tables/readers.csv").set_index("image_type")
    assert calls["classified_real"].to_dict() == {"real": 4, "stylegan2": 4}
    agreed = pd.read_csv(study.folder / "results/tables/reader_agreement.csv")
    assert list(agreed["readers"]) == ["A, twice"] and list(agreed["images"]) == [2]
    assert (study.folder / "results/figures/readers.png").stat().st_size > 5000
    assert (folder / "page.html").read_bytes() == page and planned(study, ANSWERED) == {}
