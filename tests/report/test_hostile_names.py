"""Names that try to be more than names, through the writers of tables, figures and pages."""

import csv
from typing import get_args

import pandas as pd
import pytest

from understudy.report.difference_chart import draw_differences, png_of
from understudy.report.formats import latex, markdown, write_table
from understudy.report.page import (
    Answer,
    Answers,
    Block,
    Bullets,
    Cells,
    Folded,
    Heading,
    Matrix,
    MatrixRow,
    Paragraph,
    Picture,
    Question,
    Section,
    html,
    page,
)
from understudy.report.reader_figure import draw_readers
from understudy.report.verdict_marks import Said

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
    write_table(tmp_path, "annotation", frame)
    with open(tmp_path / "annotation.csv", newline="") as file:
        assert list(csv.reader(file))[1] == ["d", f"'{HOSTILE}", "m", "-1.0"]
    assert "<script" not in (tmp_path / "annotation.md").read_text()
    assert r"\input" not in (tmp_path / "annotation.tex").read_text()


def test_columns_are_names_as_well():
    cells = pd.DataFrame({HOSTILE: ["1"]})
    assert "<script" not in markdown(cells, "") and r"\input" not in latex(cells, "")
    assert "<script" not in html([Cells(cells)]) and "\u202e" not in html([Cells(cells)])


def test_every_block_of_the_page_shows_names_as_text():
    cells = Cells(pd.DataFrame({"name": [HOSTILE]}), HOSTILE)
    blocks = [Heading(HOSTILE), Paragraph(HOSTILE), Bullets([HOSTILE]), cells, Picture(b"", HOSTILE)]
    said = Said("yes", HOSTILE, [HOSTILE], [HOSTILE])
    blocks += [Matrix([Question(HOSTILE, HOSTILE)], [MatrixRow(HOSTILE, HOSTILE, b"", [said])])]
    blocks += [Answers([Answer(said, HOSTILE, [HOSTILE])]), Folded(HOSTILE, [Paragraph(HOSTILE)])]
    made = page(HOSTILE, blocks, [Section("a", HOSTILE, blocks)], blocks)
    assert made.count("<script") == 1 and "\u202e" not in made
    assert {block.kind for block in blocks} == {kind.kind for kind in get_args(Block)}


@pytest.mark.filterwarnings("error")
def test_the_chart_of_differences_shows_a_name_as_it_is():
    row = {"dataset": "d", "segmenter": "a$\\frac{$", "training_set": "g", "augmentation": "plain", "verdict": "worse"}
    row |= {"question": "primary", "difference": -0.1, "low": -0.2, "high": 0.0}
    figure = draw_differences(pd.DataFrame([row]), 0.02)
    assert png_of(figure)  # broken mathematics would raise
    title = figure.axes[0].get_title(loc="left")
    assert title.replace("\\$", "$") == "a$\\frac{$"


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
