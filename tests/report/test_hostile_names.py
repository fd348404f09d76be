"""Names that try to be more than names, through the writers of tables, figures and pages."""

import csv

import pandas as pd
import pytest

from understudy.report.fidelity import write_annotation
from understudy.report.forest import forest
from understudy.report.formats import latex, markdown, write_table
from understudy.report.page import table as html_table
from understudy.report.reader_figure import draw_readers

HOSTILE = '=HYPERLINK("x")|<script>alert(1)</script>`[a](b)\\input{c}$\\frac{$\u202e\nend'


def test_a_table_in_three_formats(tmp_path):
    frame = pd.DataFrame({"dataset": [HOSTILE], "reader": ["@SUM(A1)"], "low": [-0.5], "high": [0.5]})
    write_table(tmp_path, "reader_summary", frame, "Without an answer: a\n\\input{secret}\n<b> 2 of 3.")
    with open(tmp_path / "reader_summary.csv", newline="") as file:
        _, row = csv.reader(file)
    assert row == [f"'{HOSTILE}", "'@SUM(A1)", "-0.5", "0.5"]
    text = (tmp_path / "reader_summary.md").read_text()
    assert len(text.splitlines()) == 5 and "<" not in text and r"\|" in text and r"\[a\]" in text
    lines = (tmp_path / "reader_summary.tex").read_text().split("\n")
    assert lines[0].startswith("% Without") and lines[1].startswith(r"\begin{tabular}")
    assert not any(r"\input" in line for line in lines[1:]) and r"\textbackslash{}input\{c\}" in lines[5]


def test_annotations_too(tmp_path):
    frame = pd.DataFrame({"dataset": ["d"], "label": [HOSTILE], "measure": ["m"], "real": [-1.0]})
    write_annotation(tmp_path, frame)
    with open(tmp_path / "annotation.csv", newline="") as file:
        assert list(csv.reader(file))[1] == ["d", f"'{HOSTILE}", "m", "-1.0"]
    assert "<script" not in (tmp_path / "annotation.md").read_text()
    assert r"\input" not in (tmp_path / "annotation.tex").read_text()


def test_columns_are_names_as_well():
    cells = pd.DataFrame({HOSTILE: ["1"]})
    assert "<script" not in markdown(cells, "") and r"\input" not in latex(cells, "")
    assert "<script" not in html_table(cells) and "\u202e" not in html_table(cells)


def test_the_chart_of_differences_has_no_tag_of_a_name():
    row = {"dataset": "d", "segmenter": HOSTILE, "training_set": "g", "augmentation": "plain", "verdict": "worse"}
    svg = forest(pd.DataFrame([row | {"difference": -0.1, "low": -0.2, "high": 0.0}]), 0.02)
    assert "<script" not in svg and "&lt;script" in svg


@pytest.mark.filterwarnings("error")
def test_a_dollar_in_a_readers_name_is_a_dollar(tmp_path):
    readers = ["A$B $\\frac{$", "C$"]
    rows = [(r, s, 0.5, 0.4, 0.6) for r in readers for s in ("real", "g")]
    calls = pd.DataFrame(rows, columns=["reader", "image_type", "called_synthetic", "low", "high"]).assign(dataset="d")
    summary = pd.DataFrame(
        [(r, 0.5, 0.4, 0.6) for r in readers], columns=["reader", "balanced_accuracy", "low", "high"]
    )
    figure = draw_readers(calls, summary.assign(dataset="d"))
    figure.savefig(tmp_path / "x.png")  # broken mathematics would raise
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.replace("\\$", "$") for text in shown] == readers
