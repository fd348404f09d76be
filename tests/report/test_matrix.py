"""What the first screen of the report says: words that follow from verdicts, and no number of its own."""

import numpy as np
import pandas as pd
import pytest
from audited import audit_summary

from understudy.report.audits import finding, shared, short_percent
from understudy.report.choice import Standing, choice, disbelief
from understudy.report.costs_so_far import cost_of, spoken_hours
from understudy.report.reader_sentences import could_tell, reader_sentences, taken_for_real
from understudy.report.verdict_marks import COLOURS, NO, OPEN, SIGNS, UNASKED, YES, Said


def standing(useful=YES, may=YES, beforehand=True, name="A") -> Standing:
    return Standing(name.lower(), name, Said(useful, "-"), Said(may, "-"), beforehand)


def test_every_answer_has_a_sign_and_a_colour_of_its_own():
    assert SIGNS.keys() == COLOURS.keys() == {YES, NO, OPEN, UNASKED}
    assert len(set(SIGNS.values())) == len(set(COLOURS.values())) == 4


# ---- the best choice -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("standings", "said"),
    [
        ([], "No generator was trained"),
        (
            [standing(), standing(NO, NO, name="B")],
            "Use the A images: they are as useful as real images, within 0.02 of Dice, and the",
        ),
        ([standing(), standing(name="B")], "Use the A or B images: each set is as useful"),
        ([standing(may=NO), standing(name="B")], "Use the B images: "),
        ([standing(may=NO)], "Use the A images in-house only: they are as useful as real images, within"),
        ([standing(may=OPEN)], "but nobody can say whether they may be shared."),
        ([standing(may=UNASKED)], "but no audit has looked for copies of patients."),
        ([standing(NO), standing(NO)], "None can be recommended yet, because training on real images is better"),
        ([standing(NO), standing(OPEN)], "because none is proven to be as useful as real images."),
        ([standing(beforehand=False)], "were not named beforehand."),
    ],
)
def test_only_what_is_proven_is_recommended(standings, said):
    assert said in choice(standings, "", generator_seeds=3, margin=0.02)


def test_images_of_one_training_are_recommended_and_not_their_generator():
    assert choice([standing()], "", generator_seeds=1, margin=0.02).startswith("Use these A images: ")


def test_nothing_is_recommended_by_numbers_that_nobody_can_believe():
    fine, wrong = (pd.DataFrame({"behaves": ["yes", one]}) for one in ("undecided", "no"))
    copies = audit_summary(generator="copies")
    assert disbelief(fine, [audit_summary(), copies | {"verdict": "fail"}]) == ""
    for why in (disbelief(wrong, []), disbelief(fine, [copies])):
        assert choice([standing()], why, 3, 0.02) == f"None can be recommended yet, because {why}." and why


# ---- may they be shared? ---------------------------------------------------------------------------------------------
FLAGGED = {"count": 31, "share": 0.031, "low": 0.021, "high": 0.043}


def audit(**changes) -> dict:
    return audit_summary(count=1000, memorized=FLAGGED, **changes)


def test_sharing_is_what_the_audit_says():
    assert shared([]) == Said(UNASKED, "Not audited")
    assert shared([audit()]) == Said(YES, "Yes", ["31 of 1000 (2.1 to 4.3\u00a0%)"], [])
    failed = shared([audit(verdict="fail", reasons=["there are copies: 31 of 1000", "there are copies: 3 of 1000"])])
    assert failed == Said(NO, "No", ["31 of 1000 (2.1 to 4.3\u00a0%)"], ["there are copies"])
    assert shared([audit(verdict="cannot say")]).verdict == OPEN
    several = shared([audit(verdict="fail", reasons=["it copies: 3", "it gives away who: 4", "it tells: 5"])])
    assert several.why == ["it copies", "and 2 more"]


def test_images_that_are_not_there_have_no_numbers():
    failed = {"verdict": "cannot say", "reasons": ["there are no images: it collapsed"], "failure": "it collapsed"}
    assert shared([audit(**failed)]) == Said(OPEN, "Cannot say", [], ["there are no images"])
    both = shared([audit(), audit(generator="stylegan2-seed2", **failed)])  # the second says nothing of copies
    assert both.numbers == ["31 of 1000 (2.1 to 4.3\u00a0%), made, training 1"] and both.why == ["there are no images"]


def test_flags_are_told_with_what_chance_does():
    said = finding(audit(chance={"flagged": 0.028, "copies": 1.0}))
    assert said.startswith("chance explains what was found. 31 of 1000 images are flagged")
    assert "By chance 10 would be flagged. Of sets that copy nobody, 2.8 % have at least as many." in said


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (0.00044, "0.044"), (0.0099, "0.99"), (0.0996, "10"), (0.43, "43"), (0.9962, "100")]
)
def test_shares_have_two_digits(share, text):
    assert short_percent(share) == text


def test_sets_that_differ_are_told_apart():
    both = [audit(verdict="fail", reasons=["there are copies"]), audit(generator="stylegan2-seed2")]
    found = shared(both)
    assert (found.verdict, found.word) == (OPEN, "Depends on the set of images")
    assert [one.split(", ")[1:] for one in found.numbers] == [["made", "training 1"], ["made", "training 2"]]
    assert shared([audit()] * 4).numbers == ["31 of 1000 (2.1 to 4.3\u00a0%), the worst of 4 sets"]


def test_filtered_images_are_told_where_they_are_another_case():
    failed, clean = audit(verdict="fail", reasons=["there are copies"]), audit(filtered=True)
    assert shared([failed, clean]) == Said(
        NO, "No", ["31 of 1000 (2.1 to 4.3\u00a0%)"], ["there are copies", "filtered images: yes"]
    )
    assert "filtered" not in str(shared([audit(), clean]))


# ---- taken for real, cost --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ends", "word", "sentence"),
    [
        ((0.6, 0.8), "No", "could tell"),
        ((0.2, 0.4), "Yes, more than real ones", "took one for the other"),
        ((0.45, 0.55), "Yes", "could not tell, or hardly"),
        ((0.3, 0.7), "Not decided", "undecided"),
        ((np.nan, np.nan), "Not decided", "too few images or readers"),
    ],
)
def test_readers_are_judged_alike_in_the_matrix_and_in_sentences(ends, word, sentence):
    row = {"dataset": "d", "low": ends[0], "high": ends[1]}
    areas = pd.DataFrame([row | {"reader": "R", "generator": "g", "roc_area": 0.5}])
    assert taken_for_real(areas, "g").word == word
    (said,) = reader_sentences(pd.DataFrame([row | {"reader": "R", "balanced_accuracy": 0.5}]))
    assert sentence in said
    assert could_tell(*ends) in ("told", "mixed up", "at chance", "undecided")


def test_all_readers_together_count_where_there_are_several():
    rows = [("d", who, "g", 0.7, low, high) for who, low, high in (("R", 0.4, 0.9), ("all readers", 0.6, 0.8))]
    areas = pd.DataFrame(rows, columns=["dataset", "reader", "generator", "roc_area", "low", "high"])
    assert taken_for_real(areas, "g") == Said(NO, "No", ["0.70 (0.60 to 0.80)"], ())
    assert taken_for_real(areas, "other") == taken_for_real(None, "g") == Said(UNASKED, "Not asked")


def test_costs_that_nobody_knows_are_not_nothing(tmp_path):
    assert cost_of(tmp_path, ["d"], ["g"]).word == "Not known"
    assert (
        spoken_hours(0.5) == "30.0 minutes"
        and spoken_hours(12.25) == "12.2 hours"
        and spoken_hours(0.01) == "36 seconds"
    )
