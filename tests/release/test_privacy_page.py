"""privacy.html: an answer, and for each question a number, where it comes from and who decides."""

import re

import pytest
from audited import MEMBERS, audit_summary

from understudy.release.privacy_page import privacy_page
from understudy.release.privacy_questions import Released, parts

RELEASED = Released(40, True, "CC-BY-4.0", "house@example.org", [("unet", "stylegan2", "0.81")])


@pytest.mark.parametrize("released", [None, RELEASED])
def test_every_question_has_an_answer_a_source_and_somebody_who_decides(released):
    made = parts(audit_summary(), released)
    assert [len(part.questions) for part in made] == [5, 5, 7]
    for question in (question for part in made for question in part.questions):
        assert all([question.text, question.answer, question.number, question.source, question.decides])
        assert "{" not in question.answer + question.number


@pytest.mark.parametrize(
    ("verdict", "said"), [("pass", "No test speaks against it"), ("fail", "No. At least"), ("cannot say", "Nobody can")]
)
def test_the_verdict_is_said_in_words(verdict, said):
    page = privacy_page(audit_summary(verdict=verdict, reasons=["the images give patients away"] * (verdict != "pass")))
    assert said in page and ("give patients away</li>" in page) == (verdict != "pass")
    assert "It found least of these: turned 42%" in page


def test_numbers_are_those_of_the_audit():
    told = {"place": {"auc": 0.61, "low": 0.4, "high": 0.8}}
    page = privacy_page(audit_summary(membership=MEMBERS | {"found": 0.125, "found_high": 0.31}, disclosure=told))
    text = re.sub(r"<[^>]+>", " ", page)
    assert "finds 12% of the training subjects; with 95 % confidence at most 31%" in text
    assert "place: AUC 0.61 (0.40 to 0.80)" in text and "AUC 0.51 (0.45 to 0.57)" in text
    assert "unet, stylegan2: 0.81" in privacy_page(audit_summary(), RELEASED)


def test_a_name_becomes_no_tag():
    page = privacy_page(audit_summary(generator="<script>alert(1)</script>", verdict="fail", reasons=["<b>x"]))
    assert "<script>" not in page and "<b>" not in page and "&lt;b&gt;x" in page
