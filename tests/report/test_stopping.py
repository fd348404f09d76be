"""What looks decide: equivalent, worse, futile, goes on; and that it agrees with the tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made import score_row

from understudy.report.failed_trainings import ALL, WITHOUT
from understudy.report.stopping import FUTILE_NOW, GO_ON, STOPPED, decide
from understudy.report.study_scores import StudyScores
from understudy.study.grid import Setting

LOOKS, SUBJECTS = [2, 5, 10], 56
MEANS = {"real": 0.7, "same": 0.7, "bad": 0.4, "near": 0.68, "real+same": 0.7}


def scores(repeats: dict[str, int], sd: float = 0.002, failed: tuple = ()) -> StudyScores:
    host, rows, settings = np.random.default_rng(0), [], []
    easy = 0.1 * host.standard_normal(SUBJECTS)
    for name, mean in MEANS.items():
        settings.append(Setting("d", "unet", name, "augmented", repeats[name]))
        own = easy + 0.02 * host.standard_normal(SUBJECTS)
        for repeat in range(1, LOOKS[-1] + 1):
            dice = np.clip(mean + own + sd * host.standard_normal() + 0.01 * host.standard_normal(SUBJECTS), 0, 1)
            keys = {"dataset": "d", "segmenter": "unet", "training_set": name, "augmentation": "augmented"}
            if repeat <= repeats[name]:
                lost = (name, repeat) in failed
                rows += [
                    score_row(**keys, repeat=repeat, subject=f"s{i:02d}", label="et", dice=0.0 if lost else value)
                    | {"reference_voxels": 9, "predicted_voxels": 9, "failure": "collapsed" * lost}
                    for i, value in enumerate(dice)
                ]
    named = ["same", "bad", "near"]
    return StudyScores(pd.DataFrame(rows), settings, repeats_at_looks=LOOKS, named=named, margin=0.02, draws=50)


def outcomes(study: StudyScores, look: int, opened=None) -> dict[str, str]:
    decision = decide(study.table("equivalence"), study.looks, look, opened)
    assert decision["repeats"] == LOOKS[look - 1]
    still = {name for _, _, name in decision["open"]}
    found = {one["comparison"][2]: one["outcome"] for one in decision["comparisons"]}
    assert still == {name for name, outcome in found.items() if outcome == GO_ON}
    return found


def test_what_is_clear_is_decided_at_once_and_what_is_not_goes_on():
    found = outcomes(scores(dict.fromkeys(MEANS, 2)), 1)
    assert found["bad"] == "worse" and found["near"] == GO_ON and set(found) == {"same", "bad", "near"}


def test_what_repeats_cannot_decide_is_futile_and_what_has_stopped_stays():
    repeats = {"real": 5, "same": 2, "bad": 2, "near": 5, "real+same": 2}
    found = outcomes(scores(repeats), 2, frozenset({("d", "unet", "near")}))
    assert found == {"same": STOPPED, "bad": STOPPED, "near": FUTILE_NOW}


def test_a_comparison_that_stopped_is_that_of_its_look():
    """Real images went on, with what was open; the comparison that was decided does not move any more."""
    early = scores(dict.fromkeys(MEANS, 2)).table("equivalence").set_index("training_set").loc["bad"]
    later = scores({**dict.fromkeys(MEANS, 2), "real": 10, "near": 10}).table("equivalence").set_index("training_set")
    for name in ("difference", "low", "high", "p_beyond"):
        assert later.loc["bad", name] == early[name]
    assert later.loc["real+same", "question"] == "exploratory"  # as ever, of all that there is


def test_p_over_looks_is_no_smaller_than_the_best_of_one_look_and_intervals_are_wider():
    looked = scores(dict.fromkeys(MEANS, 10)).table("equivalence").set_index("training_set")
    study = scores(dict.fromkeys(MEANS, 10))
    plain = StudyScores(study.scores, study.settings, named=study.named, margin=0.02).table("equivalence")
    plain = plain.set_index("training_set")
    for name in ("same", "bad", "near"):
        assert looked.loc[name, "difference"] == pytest.approx(plain.loc[name, "difference"])
        assert looked.loc[name, "high"] > plain.loc[name, "high"] and looked.loc[name, "low"] < plain.loc[name, "low"]
    assert looked.loc["same", "verdict"] == plain.loc["same", "verdict"] == "equivalent"


def test_failed_trainings_count_in_looks_and_stand_beside():
    study = scores(dict.fromkeys(MEANS, 10), failed=(("same", 1), ("same", 7)))
    beside = study.table("without_failed").query("training_set == 'same'").set_index("counted")["verdict"]
    assert beside[ALL] == "undecided" and beside[WITHOUT] == "equivalent"


@pytest.mark.parametrize("name", ["same", "real"])
def test_two_collapses_of_two_are_no_verdict_yet(name):
    """Both have Dice 0, so they do not differ, and their difference from the others looks certain."""
    failed = ((name, 1), (name, 2))
    assert outcomes(scores(dict.fromkeys(MEANS, 2), failed=failed), 1)["same"] == GO_ON
    later = scores(dict.fromkeys(MEANS, 5), failed=failed)
    assert later.table("equivalence").set_index("training_set").loc["same", "verdict"] == "undecided"
    lost = tuple((name, repeat) for repeat in range(1, 6))
    found = outcomes(scores(dict.fromkeys(MEANS, 5), failed=lost), 2)
    assert found["same"] == {"same": "worse", "real": "better"}[name]


def test_where_a_comparison_stopped_stands_how_many_had_failed():
    study = scores(dict.fromkeys(MEANS, 5), failed=(*(("same", r) for r in range(1, 6)), ("real", 3)))
    decisions = [{"repeats": 5, "comparisons": [{"comparison": ["d", "unet", "bad"], "outcome": "worse"}]}]
    table = replace(study, decisions=decisions).table("stops").set_index("training_set")
    assert table["failed"].to_dict() == {"same": 6, "bad": 1, "near": 1} and table.loc["bad", "repeats"] == 5


def test_a_study_of_fixed_repeats_has_no_stops():
    study = scores(dict.fromkeys(MEANS, 2))
    assert not len(study.table("stops"))
    assert not len(StudyScores(study.scores, study.settings, named=study.named).table("stops"))
