"""Hostile text in every format: a program that reads the format finds the text again, and nothing that it would do."""

import csv
import html
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import matplotlib
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from understudy.files import escape
from understudy.files.csv_files import csv_text, read_csv
from understudy.reader.reader_names import RESERVED, checked_name

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

FORMULAS = ['=HYPERLINK("http://x","y")', "+1+cmd", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "'=1"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_a_csv_is_a_formula_and_it_is_read_back_as_it_was(formula, tmp_path):
    table = pd.DataFrame({formula: [formula, "A"], "n": [-1.5, 2.0], "m": pd.array([-1, None], dtype="Int64")})
    (tmp_path / "t.csv").write_text(csv_text(table), newline="")
    head, first, _ = csv.reader(io.StringIO(csv_text(table), newline=""))
    formula = formula.replace("\r", "\n")
    assert head[0] == first[0] == f"'{formula}" and first[1:] == ["-1.5", "-1"]
    found = read_csv(tmp_path / "t.csv")
    assert list(found[formula]) == [formula, "A"] and list(found["n"]) == [-1.5, 2.0]


@given(st.text())
def test_a_cell_comes_back(text):
    assert escape.of_csv_cell(escape.csv_cell(text)) == text.replace("\r", "\n")


@pytest.mark.parametrize("number", ["-1", "+0.5", "-1e-3", -2, 3.5, None])
def test_numbers_stay_numbers(number):
    assert escape.csv_cell(number) is number


def of_markdown(text):
    """What a program that reads Markdown shows."""
    return html.unescape(re.sub(r"\\([\\`|\[\]])", r"\1", text))


@pytest.mark.parametrize(
    "text", ["a|b", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "a`b", "a\nb\n# c"]
)
def test_markdown_is_a_cell_without_tags_and_links(text):
    cell = escape.markdown(text)
    assert "\n" not in cell and not re.search(r"<(?! )|(?<!\\)[\[\]|`]", cell)
    assert of_markdown(cell) == escape.line(text)


@given(st.text())
def test_notes_come_back(text):
    assert of_markdown(escape.markdown_note(text)) == escape.line(text)


def test_a_probability_stays_readable():
    assert escape.markdown("< 0.001") == "< 0.001"


def test_latex_has_no_command_of_the_text():
    found = escape.latex("\\input{/etc/passwd}&%$#_^~<>[*]\n\u2028x")
    assert found.startswith(r"\textbackslash{}input\{/etc/passwd\}\&\%\$\#\_\textasciicircum{}\textasciitilde{}")
    assert found.endswith(r"\textless{}\textgreater{}{[}{*}{]}  x") and "\n" not in found


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_a_comment_of_latex_does_not_end_before_its_note(end):
    assert len(escape.latex_comment(f"a{end}\\input{{b}}").splitlines()) == 1


@given(st.text())
def test_html_and_svg_hold_the_text_alone(text):
    found = []
    parser = HTMLParser()
    parser.handle_data, parser.handle_starttag = found.append, pytest.fail
    parser.feed(escape.html_text(text))
    parser.close()
    visible = "".join(c for c in text if c in "\n\t" or not escape.invisible(c))
    assert "".join(found) == visible
    tag = ElementTree.fromstring(f'<text x="{escape.html_text(text)}">{escape.html_text(text)}</text>')
    assert (tag.text or "") == visible


@given(st.text())
def test_json_in_a_script_is_no_html(text):
    found = escape.json_in_html({"a": text + "</script><!--\u2028&"})
    assert not set(found) & set("<>&\u2028\u2029")
    assert json.loads(found)["a"] == text + "</script><!--\u2028&"


@given(st.text())
def test_yaml_is_one_text(text):
    text = text + '"\n---\n: \x7f\x85\u2028\ufeff'
    assert yaml.safe_load(f"title: {escape.yaml(text)}\nnext: 1") == {"title": text, "next": 1}


def test_a_figure_has_no_mathematics():
    figure = plt.figure()
    text = figure.text(0, 0, escape.figure("$\\frac{$ A$B"))
    figure.canvas.draw()  # broken mathematics would raise
    assert text._preprocess_math(text.get_text()) == ("$\\frac{$ A$B", False)


# ---- names of readers ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["", " ", "=1+1", "-x", "@a", "<b>x", "a/b", "a\\input", "a\u202eb", "a\x00b", "x" * 81, "a, b", "\u3164", "🧠"],
)
def test_a_name_that_no_table_can_show_is_refused(name):
    with pytest.raises(ValueError, match=r"a\.json: found the reader .*expected a name of 1 to 80 .*`reader`"):
        checked_name("a.json", name)


@pytest.mark.parametrize("name", [*RESERVED, "All  Readers", " PUBLISHED ", "ｒｅａｌ"])
def test_a_name_of_the_tables_is_refused(name):
    with pytest.raises(ValueError, match=r"a\.json: found the reader .*expected none of 'all readers', 'published'"):
        checked_name("a.json", name)


def test_names_are_shown_in_one_form():
    assert checked_name("a.json", "  Ada\t  O’Hara-Müller 2 ") == "Ada O’Hara-Müller 2"
    assert checked_name("a.json", "Ａda") == "Ada"
