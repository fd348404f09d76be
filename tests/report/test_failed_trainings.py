"""Trainings that failed count, are listed by name and cause, and stand beside what would be said without them."""

import numpy as np
import pandas as pd
import pytest
from built import make_tables
from made import score_row

from understudy.report.failed_trainings import ALL, WITHOUT, changed_by_failures, unseen_failures
from understudy.study.grid import Setting

REAL, MADE, OTHER = (Setting("d", "unet", name, "augmented", 10) for name in ("real", "gan", "other"))
WHY = "collapsed to background: after 4 epochs"


def scores(*failed: tuple[Setting, int]) -> pd.DataFrame:
    """Of three training sets that are equally good, but for the trainings that failed."""
    host, rows = np.random.default_rng(0), []
    easy = 0.1 * host.standard_normal(20)
    for setting in (REAL, MADE, OTHER):
        keys = {key: value for key, value in setting.as_dict().items() if key != "repeats"}
        for repeat in setting.numbers:
            lost = (setting, repeat) in failed
            dice = np.zeros(20) if lost else 0.7 + easy + 0.005 * host.standard_normal(20)
            rows += [
                score_row(**keys, repeat=repeat, subject=f"s{i:02d}", label="et", reference_voxels=9)
                | {"predicted_voxels": 9 * (not lost), "dice": value if not lost else float("nan")}
                | {"failure": WHY * lost}
                for i, value in enumerate(dice)
            ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def tables():
    return make_tables(scores((MADE, 3), (MADE, 7)), [REAL, MADE, OTHER])


def test_two_collapses_of_ten_are_no_equivalence(tables):
    verdicts = tables["equivalence"].set_index("training_set")["verdict"]
    assert verdicts.to_dict() == {"gan": "undecided", "other": "equivalent"}
    row = tables["dice"].set_index("training_set").loc["gan"]
    assert (row["failed"], row["missing"], row["repeats"]) == ("3 7", "", 10)
    assert row["mean_mean"] == pytest.approx(0.8 * tables["dice"]["mean_mean"].iloc[0], abs=0.01)


def test_what_would_be_said_without_them_stands_beside(tables):
    beside = tables["without_failed"]
    assert list(beside["training_set"]) == ["gan", "gan"] and list(beside["counted"]) == [ALL, WITHOUT]
    assert list(beside["verdict"]) == ["undecided", "equivalent"] and list(beside["repeats"]) == [10, 8]
    (said,) = changed_by_failures(beside)
    assert said == (
        "d, unet, gan, augmented: undecided, and this rests on trainings that failed; without them it would be "
        "equivalent."
    )


def test_they_are_listed_by_name_and_cause(tables):
    listed = tables["failures"]
    assert list(listed["repeat"]) == [3, 7] and set(listed["training_set"]) == {"gan"} and set(listed["why"]) == {WHY}


def test_a_failed_training_on_real_images_concerns_all_that_is_compared_with_it():
    tables = make_tables(scores((REAL, 1)), [REAL, MADE, OTHER])
    assert set(tables["without_failed"]["training_set"]) == {"real", "gan", "other"}
    assert not changed_by_failures(tables["without_failed"].query("training_set == 'real'"))


def test_where_all_failed_there_is_nothing_without_them():
    tables = make_tables(scores(*((MADE, repeat) for repeat in MADE.numbers)), [REAL, MADE, OTHER])
    beside = tables["without_failed"].set_index("counted")
    assert beside.loc[ALL, "verdict"] == "worse" and pd.isna(beside.loc[WITHOUT, "verdict"])
    assert changed_by_failures(tables["without_failed"])[0].endswith("without them nothing could be said.")


def test_a_study_without_failures_has_empty_tables():
    tables = make_tables(scores(), [REAL, MADE, OTHER])
    assert not len(tables["failures"]) and not len(tables["without_failed"])


def test_what_has_not_failed_may_fail_yet(tables):
    """Clopper and Pearson: of 10 without a failure the upper limit of 95 % is 25.9 % (one-sided), the rule of three's
    30 %."""
    said = unseen_failures(tables["dice"])
    assert said.endswith(
        "where none of 10 trainings of a set failed, up to 26 % of further ones may (with 95 % confidence)."
    )
    all_failed = make_tables(scores(*((s, r) for s in (REAL, MADE, OTHER) for r in s.numbers)), [REAL, MADE, OTHER])
    assert unseen_failures(all_failed["dice"]) == ""
