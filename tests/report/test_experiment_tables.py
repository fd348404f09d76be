"""Curves of an experiment: what each step changed, what synthetic images are worth in patients, what is said of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from understudy.report.experiment_figure import draw_curves
from understudy.report.experiment_sentences import experiment_sentences, published_ends
from understudy.report.experiment_tables import Trained
from understudy.report.figures import save
from understudy.report.formats import display, write_tables
from understudy.report.metrics_of_images import of_generators
from understudy.report.page import html
from understudy.report.page_material import Material
from understudy.report.patients_equivalent import patients, patients_equivalent, spoken_patients
from understudy.report.registry import TABLES
from understudy.report.score_arrays import FAILED, REPEATS
from understudy.report.sections import beyond
from understudy.report.snapshots_table import along_training
from understudy.study.experiment_registry import EXPERIMENTS, Curves
from understudy.study.result_paths import generator_folder

OFF = {"datasets": None, "segmenters": None, "augmentation": None}
FEW = {**OFF, "subjects": [5, 10, 20], "kinds": ["real+synthetic", "fine-tuned"], "subjects_of": "all"}
DICE = {"real-5subjects": 0.5, "real-10subjects": 0.6, "real-20subjects": 0.7, "real": 0.75, "gan": 0.65}
LABELS, SUBJECTS = 3, 30


def curves(name, block):
    return [Curves("made", "unet", "plain", tuple(dict.fromkeys(EXPERIMENTS[name].points(block, ["other"]))))]


def cells(dice, repeats=5, noise=0.005, seed=0):
    """Scores whose mean is that of `dice`, exactly; subjects are easy or hard for all training sets alike."""
    host = np.random.default_rng(seed)
    easy = 0.05 * host.standard_normal((1, SUBJECTS, 1))
    found = {}
    for name, mean in dice.items():
        x_LSR = easy + noise * host.standard_normal((LABELS, SUBJECTS, repeats))
        found["made", "unet", name, "plain"] = {
            REPEATS: np.arange(1, repeats + 1),
            FAILED: np.empty(0, int),
            "dice": x_LSR - x_LSR.mean() + mean,
        }
    return found


def trained(name, asked, scores, repeats=5):
    return Trained(name, asked, scores, repeats, {"made": 40}, draws=400)


def few(dice=DICE, repeats=5, **changes):
    asked = curves("few_subjects", {**FEW, "generators": ["gan"], **changes})
    return trained("few_subjects", asked, cells(dice, repeats), repeats).table("few_subjects")


# ---- worth -----------------------------------------------------------------------------------------------------------


def test_patients_are_read_on_the_logarithm_between_two_numbers():
    amounts, curve = [5, 10, 20], np.array([0.5, 0.6, 0.7])
    assert patients(0.6, amounts, curve) == pytest.approx(10)
    assert patients(0.55, amounts, curve) == pytest.approx(np.sqrt(50))
    assert patients(0.5, amounts, curve) == 5 and patients(0.7, amounts, curve) == pytest.approx(20)
    assert patients(0.49, amounts, curve) == 0 and patients(0.71, amounts, curve) == np.inf


def test_a_curve_that_falls_by_chance_is_made_to_rise():
    assert patients(0.6, [5, 10, 20], np.array([0.5, 0.62, 0.58])) == pytest.approx(10)  # both are 0.6 then
    assert 5 < patients(0.59, [5, 10, 20], np.array([0.5, 0.62, 0.58])) < 10


def test_the_interval_of_the_worth_holds_the_truth_as_often_as_it_says():
    host, amounts, held = np.random.default_rng(1), [5, 10, 20, 40], []
    means, true = np.array([0.5, 0.6, 0.68, 0.72]), 14.0
    value = np.interp(np.log(true), np.log(amounts), means)
    for _ in range(300):
        easy = 0.1 * host.standard_normal((25, 1))
        x = [easy + m + 0.01 * host.standard_normal((1, 6)) + 0.05 * host.standard_normal((25, 6)) for m in means]
        own = easy + value + 0.01 * host.standard_normal((1, 6)) + 0.05 * host.standard_normal((25, 6))
        _, low, high = patients_equivalent(own, amounts, x, draws=200)
        held.append(low <= true <= high)
    assert 0.9 <= np.mean(held) <= 0.99


def test_the_worth_without_repeats_has_no_interval():
    one = [np.full((9, 1), m) for m in (0.5, 0.6)]
    found, low, high = patients_equivalent(np.full((9, 1), 0.6), [5, 10], one, draws=100)
    assert found == pytest.approx(10) and np.isnan([low, high]).all()


def test_worth_as_people_say_it():
    said = [spoken_patients(v, [5, 10]) for v in (0.0, 7.4, np.inf, np.nan)]
    assert said == ["fewer than 5", "7", "more than 10", "unknown"]


# ---- the table -------------------------------------------------------------------------------------------------------


def test_a_row_for_every_point_and_what_each_step_changed():
    names = {f"real-{k}subjects{more}": 0.7 for k in (5, 10, 20) for more in ("+gan", "-after-gan")}
    table = few({**DICE, **names}).set_index("training_set")
    assert len(table) == 4 + 1 + 3 + 3
    assert table.loc["real", "amount"] == 40 and table.loc["gan", "amount"] == 0
    assert table.loc["real-10subjects", "change"] == pytest.approx(0.1)
    assert table.loc["real-10subjects", "change_low"] < 0.1 < table.loc["real-10subjects", "change_high"]
    assert np.isnan(table.loc["real-5subjects", "change"]) and np.isnan(table.loc["gan", "change"])
    assert table.loc["gan", "worth"] == pytest.approx(np.sqrt(200))
    assert table.loc["gan", "worth_low"] < table.loc["gan", "worth"] < table.loc["gan", "worth_high"]
    assert np.isnan(table.loc["real", "worth"]) and table.loc["real-5subjects+gan", "worth"] == pytest.approx(20)


def test_missing_trainings_are_listed_and_in_no_mean():
    table = few().set_index("training_set")
    assert table.loc["real-5subjects+gan", "missing"] == "1 2 3 4 5" and table.loc["real-5subjects+gan", "repeats"] == 0
    assert np.isnan(table.loc["real-5subjects+gan", "mean_mean"])
    assert table.loc["real", "missing"] == "" and table.loc["real", "mean_mean"] == pytest.approx(0.75)


def test_all_subjects_drawn_as_few_are_compared_with_the_whole_training_set():
    same = few({**DICE, "real-40subjects": 0.7501}, subjects=[10, 40])
    other = few({**DICE, "real-40subjects": 0.6}, subjects=[10, 40])
    said = " ".join(experiment_sentences("few_subjects", same))
    assert "all 40 subjects drawn as the few are, and the whole training set, do not differ" in said
    assert "DIFFER, which they must not" in " ".join(experiment_sentences("few_subjects", other))
    assert other.set_index("training_set").loc["gan", "worth"] == pytest.approx(10 * 4 ** (1 / 3))  # of real, 0.75


def test_sentences_say_what_it_is_worth_whether_more_helped_and_who_was_seen():
    said = " ".join(experiment_sentences("few_subjects", few()))
    assert "More real subjects never lowered the mean Dice" in said and "(3 steps)" in said
    assert "images of `gan` alone are worth 14 real patients (95 % interval: 1" in said
    assert "`gan` was trained on all training subjects, the few among them, and on no test subject." in said
    said = " ".join(experiment_sentences("few_subjects", few({**DICE, "real-20subjects": 0.4})))
    assert "lowered the mean Dice in 1 of 3 steps: `real-20subjects` (-0.200)" in said


def test_who_was_seen_of_subjects_that_a_generator_has_not():
    asked = curves("few_subjects", {**FEW, "generators": ["gan-50percent"], "subjects_of": "unseen"})
    dice = {"real-5subjects-beyond50percent": 0.5, "real-10subjects-beyond50percent": 0.6, "gan-50percent": 0.55}
    table = trained("few_subjects", asked, cells(dice)).table("few_subjects")
    assert "was trained on 50 % of the training subjects, none of the few" in " ".join(
        experiment_sentences("few_subjects", table)
    )


def test_every_experiment_has_a_note_and_a_figure(tmp_path):
    blocks = {
        "proportions": {**OFF, "generators": ["gan"], "total": 100, "real": [0, 50, 100]},
        "few_subjects": {**FEW, "generators": ["gan", "other"]},
        "ensembles": {**OFF, "generators": ["gan"], "members": [2, 4], "percent": 50},
        "snapshots": {**OFF, "generators": ["gan"], "shares": [25, 50]},
        "subset": {**OFF, "generators": ["gan"], "percent": 20},
        "site_held_out": {**OFF, "generators": ["gan"], "shared_by": None, "percent": [20, 100]},
    }
    assert blocks.keys() == EXPERIMENTS.keys()
    for name, block in blocks.items():
        asked = curves(name, block)
        dice = {point.training_set: 0.5 + 0.001 * i for i, point in enumerate(asked[0].points)}
        material = trained(name, asked, cells(dice))
        table = material.table(name)
        assert len(table) == len(asked[0].points) and table["mean_mean"].notna().all()
        text = display(pd.read_csv(tmp_path / "x.csv") if table.to_csv(tmp_path / "x.csv", index=False) else table, 3)
        assert "change" in text and (text["mean"].str.contains("±")).all()
        assert (
            TABLES[name]
            .note(material)
            .startswith(f"{TABLES[name].caption} Weights were chosen as in the published study")
        )
        save(draw_curves(name, table), tmp_path / name)
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_the_report_has_a_section_with_sentences_figure_and_numbers(tmp_path):
    asked = curves("few_subjects", {**FEW, "subjects": [5, 10, 20, 40], "generators": ["gan"]})
    made = trained("few_subjects", asked, cells({**DICE, "real-40subjects": 0.7501}))
    write_tables(tmp_path / "tables", [TABLES["few_subjects"]], made)
    save(draw_curves("few_subjects", made.table("few_subjects")), tmp_path / "figures/few_subjects")
    material = Material(tmp_path, tmp_path, [], ["gan"], {}, "study", {}, 1, experiments=["few_subjects"])
    words = html(beyond(material))
    assert "How many patients are synthetic images worth?" in words and "data:image/png;base64," in words
    assert words.count("whole training set, do not differ") == 2  # in the sentences, and in the note of the table
    assert "are worth 14 real patients" in words and "real-10subjects-after-gan" in words
    assert TABLES["few_subjects"].note(material) == TABLES["few_subjects"].note(made)
    assert beyond(Material(tmp_path, tmp_path, [], [], {}, "study", {}, 0)) == []


def test_the_studys_ends_of_the_sweep_are_its_tables():
    block = {**OFF, "generators": ["stylegan3"], "total": 100, "real": [0, 50]}
    points = tuple(EXPERIMENTS["proportions"].points(block, []))
    made = trained("proportions", [Curves("made", "unet", "augmented", points)], {})
    table = made.table("proportions")
    ends = published_ends("proportions", table, {"made": "brats2021"})
    assert list(ends["amount"]) == [0, 100] and ends["mean_mean"].between(0.5, 0.95).all()
    assert ends["mean_mean"].iloc[1] > ends["mean_mean"].iloc[0]
    assert published_ends("proportions", table, {}) is None
    assert published_ends("few_subjects", table, {"made": "brats2021"}) is None


# ---- along a training ------------------------------------------------------------------------------------------------


def test_beside_a_snapshot_stand_its_images_and_metrics_over_the_trainings(tmp_path):
    block = {**OFF, "generators": ["gan"], "shares": [25]}
    asked, metric = curves("snapshots", block), "frechet, random, t1"
    names = ["gan-snapshot25", "gan-seed2-snapshot25", "gan", "gan-seed2"]
    config = {
        **{"results": str(tmp_path), "datasets": {"made": {}}, "generators": {"gan": {}}, "imports": {}},
        **{"segmenters": {"unet": {}}, "experiments": {"generator_seeds": 2, "training_sets": ["synthetic"]}},
    }
    config["experiments"] |= {"snapshots": block, "augmentations": ["plain"], "controls": [], "negative_control": False}
    rows = {"dataset": "made", "space": "random", "channel": "t1", "images_of": ["synthetic", "test"], "note": ""}
    for name, images_seen, frechet in zip(names, (500, 500, 2000, 2000), (9.0, 7.0, 4.0, 2.0), strict=True):
        about = {"options": {}, "images_seen": images_seen} | ({"failure": "diverged"} if name == "gan-seed2" else {})
        (folder := Path(generator_folder(tmp_path, "made", name))).mkdir(parents=True)
        (folder / "weights.json").write_text(json.dumps(about))
        pd.DataFrame({**rows, "generator": name, "frechet": [frechet, 1.0]}).to_csv(folder / "fidelity.csv")
    along = along_training(config, asked)
    assert along.to_dict("records") == [
        {"dataset": "made", "training_set": "gan-snapshot25", "kimg": 0.5, metric: 8.0},
        {"dataset": "made", "training_set": "gan", "kimg": 2.0, metric: 3.0},
    ]
    made = cells({"gan-snapshot25": 0.4, "gan": 0.6})
    table = Trained("snapshots", asked, made, 5, {"made": 40}, along, draws=400).table("snapshots")
    assert list(table["kimg"]) == [0.5, 2.0] and list(table[metric]) == [8.0, 3.0]
    assert table["change"].iloc[1] == pytest.approx(0.2)
    assert table["mean_low"].iloc[0] < 0.4 < table["mean_high"].iloc[0]
    (said,) = experiment_sentences("snapshots", table)
    assert said.startswith("More of the training never lowered the mean Dice by more than its 95 % interval allows")
    # what generators are ranked by and correlated over has no snapshot
    fidelity = pd.DataFrame({"dataset": "made", "generator": [*names, "real (test)"], metric: 1.0})
    assert list(of_generators(fidelity, config)["generator"]) == ["gan", "real (test)"]


# ---- another site's images -------------------------------------------------------------------------------------------


def test_shared_images_are_compared_with_the_site_s_own():
    asked = curves("site_held_out", {**OFF, "generators": ["gan"], "shared_by": None, "percent": [100]})
    dice = {"real": 0.7, "gan-from-other": 0.6, "real+gan-from-other": 0.72}
    table = trained("site_held_out", asked, cells(dice)).table("site_held_out").set_index("training_set")
    assert list(table.index) == ["real", "gan-from-other", "real+gan-from-other"]
    assert np.isnan(table.loc["real", "from_own"])
    for name, expected in (("gan-from-other", -0.1), ("real+gan-from-other", 0.02)):
        row = table.loc[name]
        assert row["from_own"] == pytest.approx(expected) and row["from_own_low"] < expected < row["from_own_high"]
    said = experiment_sentences("site_held_out", table.reset_index())
    expected = "images of `gan` shared by other, alone, tested at made: mean Dice 0.600, -0.100 from"
    assert any(expected in sentence for sentence in said)
