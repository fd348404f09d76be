"""Answers are those of the page, of one reader each, and whole or counted as missing."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from understudy.reader.answers import read_answers, read_keys

ROOT = Path(__file__).parents[2]


@pytest.fixture
def given(study):
    """A reader who calls everything synthetic."""
    _, key = study
    answers = [{"id": image["id"], "call": "synthetic", "confidence": 2, "seconds": 3.5} for image in key["images"]]
    return {"format": 1, "study": key["study"], "reader": "A", "answers": answers}


def read(tmp_path, study, *many, text=None):
    paths = [tmp_path / f"answers{i}.json" for i in range(len(many) or 1)]
    for path, one in zip(paths, many, strict=False):
        path.write_text(json.dumps(one))
    if text is not None:
        paths[0].write_text(text)
    return read_answers(paths, {study[1]["study"]: study[1]})


def test_each_image_with_its_source(study, given, tmp_path):
    found = read(tmp_path, study, given, {**given, "reader": "B", "answers": given["answers"][:20]})
    assert len(found) == 48 and found["call"].isna().sum() == 4
    sources = {image["id"]: image["source"] for image in study[1]["images"]}
    assert (found["source"] == found["id"].map(sources)).all()
    assert set(found["reader"]) == {"A", "B"} and found.dropna()["confidence"].eq(2).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "f" * 16}, "found answers to the page ffffffffffffffff, expected .*earlier page"),
        ({"format": 2}, "found 'format' .2.: Input should be 1"),
        ({"reader": " "}, "found the reader ' ', expected a name"),
        ({"answers": 3}, "found 'answers' .3."),
    ],
)
def test_a_file_that_does_not_belong_is_refused(study, given, tmp_path, change, message):
    with pytest.raises(ValueError, match=rf"answers0.json: {message}"):
        read(tmp_path, study, {**given, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "0" * 12}, "the image 000000000000, which the page does not have"),
        ({"call": "fake"}, "the call 'fake' .*expected one of real, synthetic"),
        ({"confidence": 4}, "confidence 4 .*expected 1 to 3"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(study, given, tmp_path, change, message):
    answers = [{**given["answers"][0], **change}, *given["answers"][1:]]
    with pytest.raises(ValueError, match=message):
        read(tmp_path, study, {**given, "answers": answers})


def test_doubled_answers_and_readers_are_refused(study, given, tmp_path):
    twice = [*given["answers"], given["answers"][3]]
    with pytest.raises(ValueError, match="two answers to the image"):
        read(tmp_path, study, {**given, "answers": twice})
    with pytest.raises(ValueError, match="answers1.json: found answers of A, expected another reader, as .*answers0"):
        read(tmp_path, study, given, given)


@pytest.mark.parametrize("name", ["=1+1", "<b>x</b>", "a\\input", "x\u202ey", "All  Readers", "published", "Real"])
def test_a_name_that_the_tables_cannot_show_is_refused(study, given, tmp_path, name):
    with pytest.raises(ValueError, match=r"answers0.json: found the reader .*, expected .*at `reader` in the file"):
        read(tmp_path, study, {**given, "reader": name})


def test_names_that_differ_in_capitals_and_blanks_are_of_one_reader(study, given, tmp_path):
    with pytest.raises(ValueError, match="answers1.json: found answers of ada B, expected another reader"):
        read(tmp_path, study, {**given, "reader": "Ada  B"}, {**given, "reader": " ada B"})
    assert set(read(tmp_path, study, {**given, "reader": " Ada \t B "})["reader"]) == {"Ada B"}


@pytest.mark.parametrize("text", ["", "[1]", '{"format": 1}', '"words"'])
def test_what_is_no_answers_is_named(study, tmp_path, text):
    with pytest.raises(ValueError, match="answers0.json: found .*, expected answers that a reader has saved"):
        read(tmp_path, study, text=text)


def test_missing_files_and_keys_are_named(study, tmp_path):
    with pytest.raises(ValueError, match="none.json: found No such file"):
        read_answers([tmp_path / "none.json"], {})
    with pytest.raises(ValueError, match="key.json: found No such file or directory, expected the key"):
        read_keys([tmp_path / "key.json"])


# ---- the script ------------------------------------------------------------------------------------------------------
PLAN = {"generators": ["stylegan2", "diffusion"], "images": 8, "readers": [1, 3], "half_width": 0.05, "detect": 0.6}
PLAN |= {"power": 0.8, "agreement": 0.3}


def run(folder, out, *answers):
    script = [sys.executable, ROOT / "scripts/read_answers.py", "--keys", folder / "key.json", "--answers", *answers]
    places = ["--tables", out / "tables", "--figures", out / "figures", "--published", '{"made": "brats2020"}']
    return subprocess.run([*script, "--options", json.dumps(PLAN), *places], capture_output=True, text=True)


def test_without_answers_there_is_the_plan_alone(study, tmp_path):
    done = run(study[0], tmp_path)
    assert done.returncode == 0 and "images for interval" in done.stdout
    assert {path.name for path in tmp_path.rglob("*.*")} == {f"reader_plan.{end}" for end in ("csv", "md", "tex")}


def test_tables_and_figure_of_two_readers_beside_the_published_one(study, given, tmp_path):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    files[0].write_text(json.dumps(given))
    right = [{**a, "call": i["source"]} for a, i in zip(given["answers"], study[1]["images"], strict=True)]
    right = [{**a, "call": "real" if a["call"] == "real" else "synthetic"} for a in right]
    files[1].write_text(json.dumps({**given, "reader": "B", "answers": right[:-2]}))
    done = run(study[0], tmp_path, *files)
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "tables/reader_summary.csv").set_index("reader")
    assert list(summary.index) == ["A", "B", "all readers", "published"]
    assert list(summary["balanced_accuracy"].round(3)) == [0.5, 1, 0.75, 0.496]
    assert summary.loc["published", "chi_squared"] == pytest.approx(4.56, abs=0.005)
    assert "Without an answer: B (made) 2 of 24." in (tmp_path / "tables/readers.md").read_text()
    for end in ("png", "pdf"):
        assert (tmp_path / f"figures/readers.{end}").stat().st_size > 5000
    failed = run(study[0], tmp_path, files[0], files[0])
    assert failed.returncode == 1 and failed.stderr.startswith("error: ") and "Traceback" not in failed.stderr
