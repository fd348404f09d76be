"""Whether a control behaves is decided by its interval, and said in a sentence."""

import numpy as np
import pytest

from understudy.report.controls import controls, copies_as_real, sentences
from understudy.report.verdict_marks import NO, OPEN, UNASKED, YES


def scores(mean, sd=0.01, seed=0, repeats=5):
    host = np.random.default_rng(seed)
    return np.clip(mean + sd * host.standard_normal((30, repeats)), 0, 1)


def table(**means):
    dice = {("d", "unet", name, "plain"): x for name, x in means.items()}
    return controls(dice, margin=0.02, ceiling=0.5).set_index("control")


def test_controls_that_behave():
    found = table(
        real=scores(0.7), copies=scores(0.7, seed=1), noise=scores(0.01, seed=2), shuffled=scores(0.2, seed=3)
    )
    assert found["behaves"].to_dict() == dict.fromkeys(("copies", "noise", "shuffled"), "yes")
    assert found["expected"].to_dict() == {"copies": "as real images", "noise": "little", "shuffled": "little"}
    assert found.loc["copies", "real_dice"] == pytest.approx(0.7, abs=0.01)
    said = sentences(found.reset_index())
    assert said[0].startswith("Copies of the training images were as useful as real images in 1 of 1")
    assert said[1].startswith("Noise was of little use in 1 of 1 trained settings (mean Dice 0.01")


def test_controls_that_do_not():
    found = table(real=scores(0.7), copies=scores(0.5, seed=1), noise=scores(0.6, seed=2))
    assert found["behaves"].to_dict() == {"copies": "no", "noise": "no"}
    assert all("NOT AS EXPECTED" in sentence for sentence in sentences(found.reset_index()))


def test_what_cannot_be_decided():
    found = table(real=scores(0.7), copies=scores(0.69, sd=0.3, seed=1), noise=scores(0.1, repeats=1))
    assert found["behaves"].to_dict() == {"copies": "undecided", "noise": "undecided"}
    assert "1 undecided" in sentences(found.reset_index())[0]


def test_without_real_images_or_controls_there_is_no_row():
    assert not len(table(copies=scores(0.7))) and not len(table(real=scores(0.7), stylegan2=scores(0.6)))
    assert not len(table(real=scores(0.7), noise=np.empty((30, 0)))) and sentences(table()) == []


@pytest.mark.parametrize(
    ("copies", "verdict", "percent"),
    [
        (scores(0.7, seed=1), YES, "100\u00a0%"),
        (scores(0.5, seed=1), NO, "71\u00a0%"),
        (scores(0.69, sd=0.3, seed=1), OPEN, "93\u00a0%"),
    ],
)
def test_copies_in_the_matrix(copies, verdict, percent):
    said = copies_as_real(table(real=scores(0.7), copies=copies).reset_index())
    assert said.verdict == verdict and said.numbers == [percent]


def test_no_copies_were_asked_for():
    assert copies_as_real(table(real=scores(0.7)).reset_index()).verdict == UNASKED
