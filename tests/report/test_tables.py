import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from built import make_tables
from made import score_row

from understudy.evaluate.scores import write_scores
from understudy.files.atomic import write_json
from understudy.report.formats import display, latex, markdown, write_tables
from understudy.report.published import published_relative_dice, published_scores
from understudy.report.registry import made_by
from understudy.report.score_arrays import key_of
from understudy.report.study_scores import StudyScores, load_scores, of_trainings, settings_of
from understudy.study.grid import Setting, training_sets

ROOT = Path(__file__).parents[2]
GENERATORS = ["progressive_gan", "stylegan1", "stylegan2", "stylegan3", "diffusion"]
TRAINING_SETS = training_sets(GENERATORS, ["real", "synthetic", "real+synthetic"], negative_control=False)


def rows(setting: Setting, repeat: int, scores: dict[str, list]) -> list[dict]:
    """Rows from {label: [(dice, mm) per subject]}; None: the label is in neither volume."""
    key = {
        "dataset": setting.dataset,
        "segmenter": setting.segmenter,
        "training_set": setting.training_set,
        "augmentation": setting.augmentation,
        "repeat": repeat,
    }
    return [
        score_row(**key, subject=f"s{i}", label=label, reference_voxels=0, predicted_voxels=0)
        | ({} if pair is None else dict(zip(("dice", "hausdorff_mm"), pair, strict=True)))
        | ({} if pair is None else {"reference_voxels": 5, "predicted_voxels": 0 if np.isnan(pair[1]) else 5})
        for label, pairs in scores.items()
        for i, pair in enumerate(pairs)
    ]


def constant(dice: float, mm: float) -> dict[str, list]:
    return {"ed": [(dice, mm)], "et": [(dice, mm)]}


def frame(*parts) -> pd.DataFrame:
    return pd.DataFrame([row for part in parts for row in rows(*part)])


SETTING = Setting("d", "unet", "real", "augmented", 2)
NAN = float("nan")
BY_HAND = frame(
    (SETTING, 1, {"ed": [(0.8, 4.0), (0.6, 8.0)], "et": [(0.9, 2.0), None]}),
    (SETTING, 2, {"ed": [(0.4, 10.0), (0.6, 20.0)], "et": [(0.0, NAN), None]}),
)


def test_means_by_hand():
    (row,) = make_tables(BY_HAND, [SETTING])["dice"].to_dict("records")
    assert row["ed_mean"] == pytest.approx(0.6) and row["ed_sd"] == pytest.approx(0.1)  # 0.7 and 0.5, population sd
    assert row["et_mean"] == pytest.approx(0.45) and row["et_sd"] == pytest.approx(0.45)  # 0.9 and 0
    assert row["mean_mean"] == pytest.approx(0.525) and row["mean_sd"] == pytest.approx(0.275)  # 0.8 and 0.25
    assert (row["repeats"], row["failed"], row["missing"], row["undefined"]) == (2, "", "", "")


def test_distance_is_averaged_over_labels_of_a_subject_first():
    (row,) = make_tables(BY_HAND, [SETTING], policy="study")["hausdorff"].to_dict("records")
    assert row["ed_mean"] == pytest.approx(10.5) and row["et_mean"] == pytest.approx(2)
    # repeat 1: subjects (4 + 2) / 2 = 3 and 8 -> 5.5; repeat 2: 10 and 20 -> 15
    assert row["mean_mean"] == pytest.approx(10.25)
    assert row["undefined"] == "2"  # no distance of ET is defined in repeat 2: said, not dropped in silence


def test_a_crashed_repeat_is_marked_and_its_interval_is_not_called_95_percent(tmp_path):
    other = Setting("d", "unet", "a", "augmented", 5)
    setting = Setting("d", "unet", "real", "augmented", 5)
    crashed = [0.80, 0.81, 0.1, 0.80, 0.79]
    two = lambda dice: {"ed": [(dice, 1.0), (dice + 0.01, 2.0)]}  # noqa: E731 of two subjects
    scores = frame(
        *((setting, r, two(dice)) for r, dice in enumerate(crashed, start=1)),
        *((other, r, two(0.8 + 0.001 * r)) for r in range(1, 6)),
    )
    study = StudyScores(scores, [setting, other])
    assert study.table("dice")["far"].tolist() == ["3", ""]
    assert study.table("equivalence")["far"].tolist() == ["against: 3"]
    write_tables(tmp_path, made_by("make_tables"), study)
    said = (tmp_path / "dice.md").read_text()
    real, a = (next(line for line in said.splitlines() if f"| {name} " in line) for name in ("real", "a"))
    assert " *" in real.replace("\\", "") and "*" not in a
    assert "In 1 row a repeat lies more than 5 median deviations from the others" in said


def test_policy_changes_what_undefined_counts_as():
    (row,) = make_tables(BY_HAND, [SETTING], policy="challenge")["dice"].to_dict("records")
    assert row["et_mean"] == pytest.approx(((0.9 + 1) / 2 + (0 + 1) / 2) / 2)
    (row,) = make_tables(BY_HAND, [SETTING], policy="nan")["dice"].to_dict("records")
    assert row["et_mean"] == pytest.approx(0.9) and row["undefined"] == "2"


def test_empties_are_counted_per_kind():
    table = make_tables(BY_HAND, [SETTING])["empties"].set_index("label")
    assert table.loc["et", ["volumes", "both_empty", "reference_empty", "prediction_empty"]].tolist() == [4, 2, 0, 1]
    assert table.loc["ed", "prediction_empty"] == 0


def test_missing_repeats_are_listed(tmp_path):
    setting = Setting("d", "unet", "real", "augmented", 4)
    other = Setting("d", "unet", "stylegan2", "plain", 2)
    for repeat in (1, 3):
        write_scores(setting.files(str(tmp_path), "scores.csv")[repeat - 1], rows(setting, repeat, constant(0.5, 1)))
    files = [path for s in (setting, other) for path in s.files(str(tmp_path), "scores.csv")]
    table = make_tables(load_scores(files), [setting, other])["dice"]
    assert table["missing"].tolist() == ["2 4", "1 2"] and table["repeats"].tolist() == [2, 0]
    assert table["mean_mean"][0] == 0.5 and np.isnan(table["mean_mean"][1])


def test_no_scores_at_all_still_make_tables(tmp_path):
    study = StudyScores(load_scores([tmp_path / "none.csv"]), [SETTING], published={"d": "brats2020"})
    write_tables(tmp_path, made_by("make_tables"), study)
    assert study.table("dice")["missing"].tolist() == ["1 2"]
    assert study.table("dice")["published_mean_mean"].tolist() == [0.729]
    assert len(list(tmp_path.glob("*.md"))) == len(made_by("make_tables"))


def test_relative_dice_and_its_baseline():
    synthetic = Setting("d", "unet", "stylegan2", "plain", 1)
    other = Setting("d", "swin", "stylegan2", "plain", 1)  # no baseline: no value
    scores = frame((SETTING, 1, constant(0.8, 1)), (synthetic, 1, constant(0.6, 1)), (other, 1, constant(0.6, 1)))
    table = make_tables(scores, [SETTING, synthetic, other], published={"d": "brats2020"})["relative_dice"]
    assert table["percent"].tolist()[:2] == pytest.approx([100, 75]) and np.isnan(table["percent"][2])
    assert table["published_percent"].tolist()[1:] == [65.71, 79.13]


def test_ranking_of_generators():
    values = {"a": (0.9, 3.0), "b": (0.7, 2.0), "c": (0.7, 9.0)}
    settings = [Setting("d", "unet", name, "plain", 1) for name in (*values, "real", "real+a", "shuffled")]
    scores = frame(*((s, 1, constant(*values.get(s.training_set, (1.0, 0.0)))) for s in settings))
    table = make_tables(scores, settings)["ranking"].set_index("generator")
    assert list(table.index) == ["a", "b", "c"]
    assert table["unet_plain_dice_rank"].tolist() == [1, 2.5, 2.5]
    assert table["unet_plain_hausdorff_rank"].tolist() == [2, 1, 3]
    assert table["mean_rank"].tolist() == [1.5, 1.75, 2.75] and table["rank"].tolist() == [1, 2, 3]


def test_ranking_over_datasets():
    settings = [Setting(d, "unet", g, "plain", 1) for d in ("x", "y") for g in ("a", "b")]
    better = {("x", "a"): 0.9, ("x", "b"): 0.5, ("y", "a"): 0.6, ("y", "b"): 0.5}
    scores = frame(*((s, 1, constant(better[s.dataset, s.training_set], 1.0)) for s in settings))
    table = make_tables(scores, settings)["ranking"]
    overall = table[table["dataset"] == "all"]
    assert overall["generator"].tolist() == ["a", "b"] and overall["mean_rank"].tolist() == [1.25, 1.75]
    assert overall["criteria"].tolist() == [4, 4]


@pytest.mark.parametrize("metric", ["dice", "hausdorff"])
@pytest.mark.parametrize("name", ["brats2020", "brats2021"])
def test_every_published_row_is_matched_to_a_setting(metric, name):
    settings = [
        Setting("d", segmenter, training_set, augmentation, 1)
        for segmenter in ("unet", "swin")
        for training_set in TRAINING_SETS
        for augmentation in ("augmented", "plain")
    ]
    published = published_scores(metric, name)
    assert len(published) == 44 and not published.duplicated(["segmenter", "training_set", "augmentation"]).any()
    tables = make_tables(frame((settings[0], 1, constant(0.5, 1))), settings, published={"d": name})
    matched = tables[metric]
    assert len(matched) == 44 and matched["published_mean_mean"].notna().all()
    assert tables["relative_dice"]["published_percent"].notna().sum() == len(published_relative_dice(name)) == 40


def test_published_values_stand_beside_the_right_setting():
    dice = published_scores("dice", "brats2021").set_index(["segmenter", "training_set", "augmentation"])
    assert dice.loc[("unet", "real", "augmented"), "mean_mean"] == 0.795
    assert dice.loc[("unet", "diffusion", "plain"), "mean_mean"] == 0.727
    assert dice.loc[("swin", "real+stylegan3", "augmented"), "mean_mean"] == 0.760
    mm = published_scores("hausdorff", "brats2020").set_index(["segmenter", "training_set", "augmentation"])
    assert mm.loc[("unet", "stylegan2", "plain"), ["mean_mean", "mean_sd"]].tolist() == [107.0, 68.0]
    with pytest.raises(ValueError, match="brats2020, brats2021"):
        published_scores("dice", "brats2019")


def test_wrong_scores_are_named(tmp_path):
    with pytest.raises(ValueError, match="no setting expects.*real augmented 2"):
        make_tables(BY_HAND, [Setting("d", "unet", "real", "augmented", 1)])
    write_scores(tmp_path / "a.csv", rows(SETTING, 1, constant(0.5, 1)))
    write_scores(tmp_path / "b.csv", rows(SETTING, 1, constant(0.5, 1)))
    with pytest.raises(ValueError, match=r"b\.csv: found scores of .* a second time"):
        load_scores([tmp_path / "a.csv", tmp_path / "b.csv"])
    write_scores(tmp_path / "b.csv", rows(SETTING, 2, {"ed": [(0.5, 1), (0.5, 1)], "et": [(0.5, 1), (0.5, 1)]}))
    with pytest.raises(ValueError, match=r"b\.csv: its subjects or labels differ .*s1"):
        load_scores([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_settings_can_be_read_off_the_scores():
    assert settings_of(BY_HAND) == [SETTING]


def test_text_of_the_tables():
    table = pd.DataFrame({"training_set": ["real+a_b", "x"], "et_mean": [0.7912, NAN], "et_sd": [0.0094, NAN]})
    cells = display(table, 3)
    assert markdown(cells, "A note.").splitlines() == [
        "A note.",
        "",
        "| training set   | ET            |",
        "|----------------|---------------|",
        "| real+a_b       | 0.791 ± 0.009 |",
        "| x              | –             |",
    ]
    assert latex(cells, "A note.").splitlines() == [
        "% A note.",
        r"\begin{tabular}{ll}",
        r"\toprule",
        r"training set & ET \\",
        r"\midrule",
        r"real+a\_b & 0.791 $\pm$ 0.009 \\",
        r"x & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_intervals_and_medians_stand_beside_the_means():
    host = np.random.default_rng(0)
    setting = Setting("d", "unet", "real", "augmented", 5)
    crashed = [0.8, 0.8, 0.8, 0.8, 0.0]  # what mean and sd of the study hide
    scores = frame(
        *(
            (setting, r, {"ed": [(np.clip(m + 0.05 * host.standard_normal(), 0, 1), 3.0) for _ in range(20)]})
            for r, m in enumerate(crashed, start=1)
        )
    )
    tables = make_tables(scores, [setting])
    (row,) = tables["dice"].to_dict("records")
    assert row["mean_median"] == pytest.approx(0.8, abs=0.02) and row["mean_mean"] == pytest.approx(0.64, abs=0.02)
    assert 0 <= row["mean_low"] < 0.4 and row["mean_high"] > 0.9  # the next training may crash, or not
    text = display(tables["dice"], 3)
    assert {"ED", "mean", "95 %", "median", "missing"} <= set(text) and "ed low" not in text
    assert text["95 %"][0] == f"{row['mean_low']:.3f} to {row['mean_high']:.3f} *"  # and not called 95 %


def test_regions_have_tables_of_their_own():
    labels = frame((SETTING, 1, constant(0.5, 2)), (SETTING, 2, constant(0.5, 2))).assign(kind="label")
    regions = labels.assign(kind="region", label=labels["label"].map({"ed": "whole", "et": "core"}), dice=0.9)
    tables = make_tables(pd.concat([labels, regions]), [SETTING])
    (row,) = tables["dice"].to_dict("records")
    assert row["mean_mean"] == 0.5 and "whole_mean" not in row
    (row,) = tables["regions"].to_dict("records")
    assert row["whole_mean"] == row["core_mean"] == 0.9 and "mean_mean" not in row
    assert sorted(tables["empties"]["kind"]) == ["label", "label", "region", "region"]
    assert not len(make_tables(labels, [SETTING])["regions"])


def test_differences_from_what_is_published():
    (row,) = make_tables(BY_HAND, [SETTING], published={"d": "brats2020"})["dice"].to_dict("records")
    assert row["minus_published"] == pytest.approx(0.525 - 0.729)


def test_script_is_deterministic_and_lists_what_is_missing(tmp_path):
    setting = Setting("d", "unet", "real", "augmented", 2)
    write_scores(setting.files(str(tmp_path / "results"), "scores.csv")[0], rows(setting, 1, constant(0.5, 1)))
    asked = {"training_sets": ["real"], "augmentations": ["augmented"], "repeats": 2, "negative_control": False}
    dataset = {"root": "raw", "test_subjects": 2, "published": "brats2020"}
    config = {"results": str(tmp_path / "results"), "datasets": {"d": dataset}}
    write_json(tmp_path / "config.yaml", config | {"segmenters": {"unet": {}}, "experiments": asked})
    script = [sys.executable, ROOT / "scripts/make_tables.py", "--config", tmp_path / "config.yaml"]
    for name in ("a", "b"):
        subprocess.run([*script, "--output", tmp_path / name], check=True)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(files) == 3 * len(made_by("make_tables"))
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    (row,) = pd.read_csv(tmp_path / "a" / "dice.csv", dtype={"missing": str}).to_dict("records")
    assert (row["missing"], row["repeats"], row["published_mean_sd"]) == ("2", 1, 0.004)
    assert "Empty labels (policy `penalty`): of 2 scored labels, 0" in (tmp_path / "a" / "dice.md").read_text()


def test_each_training_of_a_generator_has_the_mean_of_its_repeats():
    turns = ("gan", "gan-seed2")
    several, once = Setting("d", "unet", "gan", "augmented", 4, turns), Setting("d", "unet", "real", "augmented", 2)
    index = [(*key_of(s), repeat) for s in (several, once) for repeat in s.numbers if repeat != 4]
    means = pd.DataFrame({"mean": [0.1, 0.2, 0.3, 0.9, 0.9]}, index=pd.MultiIndex.from_tuples(index))
    found = of_trainings(means, [several, once]).set_index("generator")["mean"]
    assert found.to_dict() == {"gan": pytest.approx(0.2), "gan-seed2": 0.2}  # repeats 1 and 3; 2, as 4 is missing
