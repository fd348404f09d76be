"""Ranks of generators, ours and the published ones by the same code, and how stable they are."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from built import make_tables
from made import score_row

from understudy.report.correlations import correlations
from understudy.report.metrics_of_images import read_fidelity
from understudy.report.published import published_fidelity, published_relative_dice, published_scores
from understudy.report.ranking import criteria, drawn, published_criteria, ranking, ranks_alone
from understudy.report.score_tables import relative_dice
from understudy.report.study_scores import settings_of

GENERATORS = ["progressive_gan", "stylegan1", "stylegan2", "stylegan3", "diffusion"]


def test_only_training_on_one_generator_alone_counts():
    names = ["real", "a", "real+a", "a=50", "a+b", "shuffled", "copies", "noise", "a-filtered"]
    assert [name for name in names if ranks_alone(name)] == ["a"]


@pytest.mark.parametrize("name", ["brats2020", "brats2021"])
def test_all_cells_of_table_5_follow_from_tables_3_and_4(name):
    dice = published_scores("dice", name).assign(dataset=name)
    table = relative_dice(dice, {}, {name: name}).dropna(subset="published_percent")
    assert len(table) == len(published_relative_dice(name)) == 40
    assert (table["percent"] - table["published_percent"]).abs().max() < 0.15


def test_published_numbers_are_ranked_as_ours():
    values = pd.concat([published_criteria(name, name) for name in ("brats2020", "brats2021")])
    assert values.groupby("dataset")["criterion"].nunique().tolist() == [10, 10]  # 2 networks x 2 x 2 metrics, FID, IS
    table = ranking(values).set_index(["dataset", "generator"])
    fid = table["frechet_rank"]
    assert fid["brats2020"].to_dict() == dict(zip(GENERATORS, [2, 3, 5, 4, 1], strict=True))
    assert fid["brats2021"].to_dict() == dict(zip(GENERATORS, [2, 3, 1, 5, 4], strict=True))
    dice = table.loc["brats2020", "unet_augmented_dice_rank"]
    assert dice.to_dict() == dict(zip(GENERATORS, [4, 5, 2, 3, 1], strict=True))  # .581 .089 .678 .640 .730
    assert table.loc["brats2020", "inception_score_rank"]["stylegan3"] == 1
    assert table.loc[("all", "diffusion"), "rank"] == 1 and table.loc[("all", "stylegan1"), "rank"] == 5
    assert (table.loc["all", "criteria"] == 20).all()


def test_what_five_generators_say_about_fid():
    """The study: FID does not predict usefulness. With five generators and 8 tests not even a perfect order could."""
    table = correlations(published_criteria("d", "brats2020"), None, {"d": "brats2020"})
    assert set(table["metric"]) == {"frechet", "inception_score"} and (table["generators"] == 5).all()
    assert len(table) == 8 and (table["p"] > 0.05).all()
    assert (
        table["power"]
        .str.contains("after correction for 8 tests, not even a perfect one (p = 0.133)", regex=False)
        .all()
    )
    row = table[(table["metric"] == "frechet") & (table["criterion"] == "unet_augmented_dice")].iloc[0]
    # use 4 5 2 3 1 (ranks), FID 2 3 5 4 1: squared differences 4 + 4 + 9 + 1 + 0 = 18, both ascending in rank
    assert row["spearman"] == pytest.approx(-(1 - 6 * 18 / (5 * 24)))


def test_our_fidelity_is_ranked_and_correlated():
    table = pd.DataFrame(
        {"dataset": "d", "segmenter": "unet", "training_set": ["a", "b", "c"], "augmentation": "plain"}
    ).assign(mean_mean=[0.5, 0.6, 0.7])
    fidelity = pd.DataFrame({"dataset": "d", "generator": ["a", "b", "c"], "frechet": [9.0, 5.0, 1.0]})
    values = criteria({"dice": table}, fidelity)
    assert ranking(values)["frechet_rank"].tolist() == [3, 2, 1] == ranking(values)["unet_plain_dice_rank"].tolist()
    others = pd.DataFrame({"dataset": "d", "generator": ["real (test)", "a-ensemble2"], "frechet": [0.1, 0.2]})
    with_others = criteria({"dice": table}, pd.concat([fidelity, others]))
    assert with_others.equals(values), "what segmenters did not learn from alone is no generator to rank"
    (row,) = correlations(values, fidelity).to_dict("records")
    assert (row["source"], row["spearman"], row["p"]) == ("ours", -1, pytest.approx(2 / 6))
    assert len(published_fidelity("brats2020")) == 5


def cells(means, subjects=40, repeats=5, sd=0.02, seed=0):
    host = np.random.default_rng(seed)
    shared = 0.1 * host.standard_normal((subjects, 1))
    return {
        ("d", "unet", name, "plain"): {"dice": mean + shared + sd * host.standard_normal((subjects, repeats))}
        for name, mean in means.items()
    }


def test_stability_of_ranks():
    found = cells({"best": 0.8, "same": 0.6, "twin": 0.6})
    names = [key[2] for key in found]
    values = pd.DataFrame({"dataset": "d", "generator": names, "criterion": "unet_plain_dice", "ascending": False})
    values["value"] = [x["dice"].mean() for x in found.values()]
    table = ranking(values, drawn(found, 500, {})).set_index("generator")
    assert table.loc["best", ["rank_low", "rank_high", "first"]].tolist() == [1, 1, 1]
    assert (table.loc[["same", "twin"], "rank_low"] == 2).all() and (
        table.loc[["same", "twin"], "rank_high"] == 3
    ).all()
    assert table["first"].sum() == pytest.approx(1)


def test_a_draw_of_subjects_is_shared_and_metrics_share_their_repeats():
    """Two settings that differ by a constant never change places, however few subjects there are."""
    host = np.random.default_rng(1)
    x_SR = 0.3 * host.standard_normal((6, 1)) + np.zeros((6, 3))
    draws = drawn(
        {("d", "u", "a", "plain"): {"dice": x_SR, "hausdorff": x_SR}, ("d", "u", "b", "plain"): {"dice": x_SR + 0.01}},
        300,
        {},
    )
    np.testing.assert_allclose(draws["d", "b", "u_plain_dice"] - draws["d", "a", "u_plain_dice"], 0.01)
    np.testing.assert_array_equal(draws["d", "a", "u_plain_dice"], draws["d", "a", "u_plain_hausdorff"])


def test_trainings_of_a_generator_are_drawn_once_for_all_that_learned_from_them():
    host = np.random.default_rng(2)
    x_SR = 0.05 * host.standard_normal((1, 3)) + 1e-9 * host.standard_normal((6, 3))
    found = {("d", segmenter, "a", "plain"): {"dice": x_SR} for segmenter in ("u", "v")}
    shared, own = (drawn(found, 300, spread) for spread in (dict.fromkeys(found, (1, 2, 3)), {}))
    np.testing.assert_array_equal(shared["d", "a", "u_plain_dice"], shared["d", "a", "v_plain_dice"])
    assert abs(np.corrcoef(own["d", "a", "u_plain_dice"], own["d", "a", "v_plain_dice"])[0, 1]) < 0.2


def test_ranks_over_datasets_have_draws_of_both():
    one = cells({"a": 0.8, "b": 0.6})
    both = one | {("e", *key[1:]): x for key, x in one.items()}
    rows = [(key[0], key[2], "unet_plain_dice", x["dice"].mean(), False) for key, x in both.items()]
    values = pd.DataFrame(rows, columns=["dataset", "generator", "criterion", "value", "ascending"])
    table = ranking(values, drawn(both, 200, {})).set_index(["dataset", "generator"])
    assert table.loc[("all", "a"), "first"] == 1 and table.loc[("all", "b"), "rank_low"] == 2


def test_the_table_of_fidelity_gives_a_metric_for_each_space_and_channel(tmp_path):
    path = tmp_path / "fidelity.csv"
    path.write_text(
        "dataset,generator,space,channel,images,frechet,precision,inception_score_mean,note\n"
        "d,a,inception,t1ce,9,20.5,0.4,2.1,\nd,b,inception,t1ce,9,30.5,0.5,2.2,\n"
        "d,a,random,modalities,9,1.5,0.7,,few\nd,b,random,modalities,9,2.5,0.8,,\n"
    )
    table = read_fidelity(path)
    assert list(table) == [
        "dataset", "generator", "frechet", "frechet, random, modalities",
        "precision, inception, t1ce", "precision, random, modalities", "inception_score",
    ]  # fmt: skip
    assert table["frechet, random, modalities"].tolist() == [1.5, 2.5] and table["frechet"].tolist() == [20.5, 30.5]
    path.write_text("dataset,generator,kid\nd,a,0.5\nd,a,0.5\n")
    with pytest.raises(ValueError, match="each dataset and generator once"):
        read_fidelity(path)
    with pytest.raises(ValueError, match="no such file"):
        read_fidelity(tmp_path / "none.csv")


def test_finding_nothing_in_hard_cases_does_not_rank_first():
    """Of ten patients four are hard. `finds` finds a part of these, far from all of it; `gives_up` finds nothing, and
    has Dice 0.456 in place of 0.656."""
    parts = []
    for name, hard in (("finds", (0.5, 100.0)), ("gives_up", (0.0, np.nan))):
        keys = {"dataset": "d", "segmenter": "unet", "training_set": name, "augmentation": "augmented"}
        for repeat, subject in product((1, 2), range(10)):
            dice, mm = hard if subject < 4 else (0.76, 60.0)
            voxels = {"reference_voxels": 9, "predicted_voxels": 0 if np.isnan(mm) else 9}
            row = score_row(**keys, repeat=repeat, subject=f"s{subject}", label="et", dice=dice, hausdorff_mm=mm)
            parts.append(row | voxels)
    scores = pd.DataFrame(parts)
    settings = settings_of(scores)
    study, fair = (make_tables(scores, settings, **policy) for policy in ({"policy": "study"}, {}))
    assert study["hausdorff"]["mean_mean"].tolist() == pytest.approx([76, 60])  # it looks better for giving up
    assert fair["hausdorff"]["mean_mean"].tolist() == pytest.approx([76, 0.6 * 60 + 0.4 * 373.12866])
    for tables, ranks in ((study, [2, 1]), (fair, [1, 2])):
        found = tables["ranking"].set_index("generator").loc[["finds", "gives_up"]]
        assert found["unet_augmented_hausdorff_rank"].tolist() == ranks
    assert fair["ranking"].set_index("generator")["rank"].to_dict() == {"finds": 1, "gives_up": 2}
