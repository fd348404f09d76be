"""Dice by stratum of the test subjects: who is in which group, what is said of it, and of how few."""

import numpy as np
import pandas as pd
import pytest
from made import score_row

from understudy.report.figures import save
from understudy.report.formats import write_tables
from understudy.report.page import html
from understudy.report.page_material import Material
from understudy.report.patient_sections import strata
from understudy.report.registry import TABLES
from understudy.report.strata import NOT_KNOWN, StrataScores, grouped, read_attributes, strata_sentences, strata_shown
from understudy.report.strata_figure import draw_strata
from understudy.study.grid import Setting

SUBJECTS = [f"s{i:02d}" for i in range(20)]
SEX = dict(zip(SUBJECTS, ["F"] * 8 + ["M"] * 9 + ["X"] * 2 + [None], strict=True))


def study(strata=("sex",), cuts=None, size=None, **changes):
    """Women score 0.6, men 0.8, two others 0.3: in three repeats, exactly, whatever the label."""
    settings = [Setting("d", "unet", "real", "augmented", 3)]
    keys = {"dataset": "d", "segmenter": "unet", "training_set": "real", "augmentation": "augmented"}
    dice = {"F": 0.6, "M": 0.8, "X": 0.3, None: 0.5}
    scores = pd.DataFrame(
        score_row(**keys, repeat=r, subject=s, label=label, dice=dice[SEX[s]] + 0.01 * (i % 2 - 0.5) + 0.01 * (r - 2))
        | {"reference_voxels": 9, "predicted_voxels": 9, "reference_ml": float(i)}
        for r in (1, 2, 3)
        for i, s in enumerate(SUBJECTS)
        for label in ("ed", "et")
    )
    known = pd.DataFrame({"sex": SEX, "age": {s: 40 + i for i, s in enumerate(SUBJECTS)}})
    return StrataScores(scores, settings, {"d": known}, strata, cuts or {}, 5, draws=200, **changes)


def test_dice_by_group_the_worst_named_and_the_few_marked():
    table = study().table("strata")
    assert table["group"].tolist() == ["F", "M", "X", NOT_KNOWN] and table["subjects"].tolist() == [8, 9, 2, 1]
    assert table["mean_mean"].to_numpy() == pytest.approx([0.6, 0.8, 0.3, 0.5], abs=0.006)
    assert table["too_few"].tolist() == [False, False, True, True]
    assert table["worst"].tolist() == [True, False, False, False]  # two of X are worse, and too few to say so
    inside = table[~table["too_few"]]
    assert (inside["mean_low"] < inside["mean_mean"]).all() and (inside["mean_mean"] < inside["mean_high"]).all()
    assert strata_shown(table)["remark"].tolist() == ["worst", "", "too few", "too few"]
    (said,) = strata_sentences(table)
    assert "by sex worst for F (0.6" in said and "8 subjects), best for M (0.799" in said


def test_numbers_are_cut_at_points_or_terciles():
    by_age = study(["age"], {"age": [45, 50]}).table("strata")
    assert by_age["group"].tolist() == ["below 45", "45 to 50", "from 50"] and by_age["subjects"].tolist() == [5, 5, 10]
    sizes = study(["annotated_ml"]).table("strata")  # both labels together: 0, 2, ..., 38 ml
    assert sizes["group"].tolist() == ["below 12.67", "12.67 to 25.33", "from 25.33"]
    assert sizes["subjects"].tolist() == [7, 6, 7]
    grade = grouped(pd.Series([2.0, 4.0, np.nan, 3.0]), "grade", None)
    assert grade.tolist() == ["2", "4", NOT_KNOWN, "3"] and list(grade.cat.categories) == ["2", "3", "4", NOT_KNOWN]


@pytest.mark.parametrize(
    ("values", "cuts", "message"),
    [
        (["F", "M"], [1.0], "strata_cuts.x: found cut points of a column of texts"),
        ([f"scanner {i}" for i in range(13)], None, "found 13 values of x, expected at most 12"),
    ],
)
def test_a_column_that_is_no_stratum_is_refused(values, cuts, message):
    with pytest.raises(ValueError, match=message):
        grouped(pd.Series(values), "x", cuts)


def test_a_stratum_that_nobody_knows_is_named():
    with pytest.raises(ValueError, match="evaluation.strata: found height, expected annotated_ml or .* age, sex"):
        study(["sex", "height"]).table("strata")


def test_attributes_stand_beside_the_index(tmp_path):
    index, own = tmp_path / "subjects.csv", tmp_path / "own.csv"
    index.write_text("subject,layout\n001,brats2020\n002,brats2020\n")
    own.write_text("subject,sex\n002,F\n003,M\n")
    known = read_attributes(index, own)
    assert list(known.index) == ["001", "002"] and known.loc["002", "sex"] == "F" and known["sex"].isna().tolist()[0]
    for text, message in (
        ("subject,sex\n002,F\n002,M\n", "own.csv: found 002 twice, expected each subject once"),
        ("subject,layout\n002,x\n", "own.csv: found the columns layout, which are known already"),
        ("name,sex\n002,F\n", "own.csv: found no column subject"),
    ):
        own.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_attributes(index, own)


def test_the_figure_has_a_panel_for_each_stratum():
    figure = draw_strata(study(["sex", "age"]).table("strata"))
    assert [axis.get_title() for axis in figure.axes] == ["d, unet, sex", "d, unet, age"]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["F (8)", "M (9)", "X (2, too few)", "not known (1, too few)"]


def test_a_page_that_is_shared_says_nothing_of_very_few_people(tmp_path):
    made = study()
    write_tables(tmp_path / "tables", [TABLES["strata"]], made)
    save(draw_strata(made.table("strata")), tmp_path / "figures/strata")
    for shareable in (False, True):
        words = html(strata(Material(tmp_path, tmp_path, [], [], {}, "study", {}, 0, shareable=shareable)))
        assert "by sex worst for F (0.600, 8 subjects)" in words and "data:image/png;base64," in words
        assert ("too few" in words.split("Numbers are cut")[1]) == (not shareable)
