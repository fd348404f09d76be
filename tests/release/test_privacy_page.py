"""privacy.html: an answer, and for each question a number, where it comes from and who decides."""

import re

import pytest
from audited import MEMBERS, audit_summary

from understudy.release.privacy_page import parts, privacy_page
from understudy.release.privacy_questions import Released
from understudy.release.quality import Anatomy, Likeness, Pair, Quality

DICE = [
    {"segmenter": "unet", "training_set": name, "augmentation": "augmented", "mean_mean": mean, "mean_sd": sd}
    | {"repeats": "2"}
    for name, mean, sd in (("real", "0.9000001", "0.01"), ("stylegan2", "0.8123456", "0.0204"))
]
QUALITY = Quality(
    DICE,
    [Likeness("inception", "t1ce", Pair(23.456, 9.87), Pair(0.7, 0.8), Pair(0.5, 0.9))],
    Anatomy(Pair(0.125, 0.0), ("ncr_net", Pair(0.25, 0.75))),
)
RELEASED = Released(40, True, "CC-BY-4.0", "house@example.org", QUALITY)


def text_of(audit, released=None):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", privacy_page(audit, released)))


@pytest.mark.parametrize("released", [None, RELEASED])
def test_every_question_has_an_answer_a_source_and_somebody_who_decides(released):
    made = parts(audit_summary(), released)
    assert [len(part.questions) for part in made] == [5, 5, 7]
    for question in (question for part in made for question in part.questions):
        assert all([question.text, question.answer, question.source, question.decides, *question.numbers])
        assert "{" not in question.answer + "".join(question.numbers)


@pytest.mark.parametrize(
    ("verdict", "said"), [("pass", "No test speaks against it"), ("fail", "No. At least"), ("cannot say", "Nobody can")]
)
def test_the_verdict_is_said_in_words(verdict, said):
    page = privacy_page(audit_summary(verdict=verdict, reasons=["the images give patients away"] * (verdict != "pass")))
    assert said in page and ("give patients away</li>" in page) == (verdict != "pass")
    assert "It found these least often: turned (42 %)" in page


def test_numbers_are_those_of_the_audit():
    told = {"place": {"auc": 0.61, "low": 0.4, "high": 0.8, "auc_p": 0.2}}
    text = text_of(audit_summary(membership=MEMBERS | {"found": 0.125, "found_high": 0.31}, disclosure=told))
    assert "5 % of the people who were not used are accused, 12 % of the training subjects are found" in text
    assert "with 95 % confidence at most 31 %" in text
    assert "place of the annotation: AUC 0.61 (0.40 to 0.80)" in text and "AUC 0.51 (0.45 to 0.57)" in text


def test_a_release_fills_the_scorecard():
    text = text_of(audit_summary(), RELEASED)
    assert "inception features of t1ce: Frechet distance 23 (real: 9.9); precision 70 % (real: 80 %)" in text
    assert "; coverage 50 % (real: 90 %)" in text
    assert "unet, stylegan2: 0.81, 90 % of real" in text and "unet, real: 0.90" not in text
    assert "images with labels that touch and should not: 12 % (real: 0 %)" in text
    assert "pieces of ncr_net that other labels enclose: 25 % (real: 75 %)" in text
    assert "unet, stylegan2: 0.020 over 2 trainings" in text and "not measured here" not in text
    assert text_of(audit_summary()).count("not measured here") == 4


def test_numbers_from_before_the_filter_say_so():
    filtered = audit_summary(filtered=True)
    assert text_of(filtered, RELEASED).count("Measured before the filter") == 2
    assert "Measured before" not in text_of(audit_summary(), RELEASED)


def test_a_name_becomes_no_tag():
    page = privacy_page(audit_summary(generator="<script>alert(1)</script>", verdict="fail", reasons=["<b>x"]))
    assert "<script>" not in page and "<b>" not in page and "&lt;b&gt;x" in page
