"""Which comparisons are made, how they are corrected, and what the verdicts of equivalence are."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from understudy.report.comparisons import comparisons, equivalence, questions
from understudy.statistics.intervals import difference, holm

SETS = ["real", "real+a", "real+b", "a", "b", "real=10+a=20", "shuffled", "copies", "noise"]
KEYS = [("d", "unet", name, augmentation) for name in SETS for augmentation in ("augmented", "plain")]


def scores(means, seed=0, subjects=30, repeats=5, sd=0.02):
    """Setting -> x_SR around its mean; the subjects' own part is shared."""
    host = np.random.default_rng(seed)
    shared = 0.1 * host.standard_normal((subjects, 1))
    return {key: mean + shared + sd * host.standard_normal((subjects, repeats)) for key, mean in means.items()}


def test_questions_leave_out_controls_and_what_answers_nothing():
    found = {}
    for question, a, b in questions(KEYS):
        found.setdefault(question, []).append((*a[2:], *b[2:]))
    assert len(found["against real"]) == 11  # 6 training sets with and without, less the baseline itself
    assert all(pair[2:] == ("real", "augmented") for pair in found["against real"])
    assert sorted(pair[0] for pair in found["added to real"]) == ["real+a"] * 2 + ["real+b"] * 2
    assert found["generators"] == [("a", "augmented", "b", "augmented"), ("a", "plain", "b", "plain")]
    assert len(found["augmentation"]) == 6 and not {"shuffled", "copies", "noise"} & {
        p[0] for p in sum(found.values(), [])
    }


def test_differences_and_their_correction():
    means = {key: {"real": 0.7, "a": 0.7, "b": 0.6}[key[2]] for key in KEYS if key[2] in ("real", "a", "b")}
    dice = scores(means)
    table = comparisons(dice, {}, {}).set_index(["question", "training_set", "augmentation"])
    row = table.loc[("generators", "a", "plain")]
    expected = difference(dice["d", "unet", "a", "plain"], dice["d", "unet", "b", "plain"])
    assert (row["difference"], row["p"]) == (pytest.approx(expected.value), pytest.approx(expected.p))
    assert row["low"] < 0.1 < row["high"] and row["against"] == "b"
    family = table.loc["generators"]
    smallest = family["p"].min()
    assert family["p_holm"].min() == pytest.approx(min(1, 2 * smallest))
    # the textbook's paired test, where repeats differ by chance alone
    a, b = (dice["d", "unet", name, "plain"].mean(axis=1) for name in "ab")
    assert row["p"] < 1e-6 and stats.ttest_rel(a, b).pvalue < 1e-6


def test_primary_comparisons_are_corrected_together_and_others_apart():
    names = ["real", "a", "b", "real+a"]
    means = {("d", "unet", n, how): 0.7 for n in names for how in ("augmented", "plain")}
    table = equivalence(scores(means, sd=0.05), 0.02, {}, ["a", "b"], {}).set_index(["training_set", "augmentation"])
    assert table["question"].eq("primary").sum() == 2 and table.loc[("a", "augmented"), "question"] == "primary"
    for _, family in table.groupby("question"):
        smaller = family[["p", "p_beyond"]].min(axis=1).astype(float)
        np.testing.assert_allclose(family["p_holm"].astype(float), holm(smaller.to_numpy()))


@pytest.mark.parametrize("true", [0.0, 0.019, 0.02, 0.021])
def test_claims_are_wrong_in_one_study_of_twenty_at_most(true):
    """Five sets around the margin: some claims are right, and the chance that any is wrong stays below 5 %."""
    sets = {"a": true, "b": -true, "c": 0.02, "e": -0.02, "f": 0.1}
    keys = {name: ("d", "unet", name, "augmented") for name in ["real", *sets]}
    wrong = []
    for seed in range(400):
        dice = scores({keys[n]: 0.7 + sets.get(n, 0) for n in keys}, seed, repeats=3, sd=0.03)
        found = equivalence(dice, 0.02, {}, list(sets), {}).set_index("training_set")["verdict"]
        right = {n: "equivalent" if abs(d) < 0.02 else "worse" if d < -0.02 else "better" for n, d in sets.items()}
        right |= {n: "undecided" for n, d in sets.items() if abs(d) == 0.02}  # on the margin no claim is right
        wrong.append(any(found[n] not in (right[n], "undecided") for n in sets))
    assert np.mean(wrong) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_settings_that_learned_from_the_same_trainings_share_their_luck():
    keys = [("d", "unet", "a", augmentation) for augmentation in ("augmented", "plain")]
    dice = scores(dict.fromkeys(keys, 0.7), sd=0.001)
    luck = 0.1 * np.random.default_rng(1).standard_normal((1, 5))
    dice = {key: x_SR + luck for key, x_SR in dice.items()}
    (paired,) = comparisons(dice, dict.fromkeys(keys, (1, 2, 3, 4, 5)), {}).to_dict("records")
    (apart,) = comparisons(dice, {}, {}).to_dict("records")
    assert paired["difference"] == pytest.approx(apart["difference"], abs=1e-9)
    assert paired["high"] < 0.01 < 0.05 < apart["high"]


@pytest.mark.parametrize(
    ("mean", "sd", "verdict"),
    [(0.7, 0.01, "equivalent"), (0.6, 0.01, "worse"), (0.8, 0.01, "better"), (0.69, 0.3, "undecided")],
)
def test_verdicts(mean, sd, verdict):
    real, other = ("d", "unet", "real", "augmented"), ("d", "unet", "a", "augmented")
    table = equivalence(scores({real: 0.7, other: mean}, sd=sd), margin=0.02, spread={}, primary=["a"], far={})
    (row,) = table.to_dict("records")
    assert (row["training_set"], row["verdict"], row["margin"]) == ("a", verdict, 0.02)
    assert row["low"] < row["difference"] < row["high"]


def test_equivalence_is_corrected_for_its_number():
    """Ten training sets at the margin: some of them would pass alone in four studies of ten."""
    real = ("d", "unet", "real", "augmented")
    others = {("d", "unet", f"g{i}", "augmented"): 0.68 for i in range(10)}
    wrong = 0
    for seed in range(100):
        table = equivalence(scores({real: 0.7, **others}, seed, sd=0.05), margin=0.02, spread={}, primary=["a"], far={})
        wrong += (table["verdict"] == "equivalent").any()
    assert wrong <= 10


def test_without_a_baseline_or_a_second_repeat_nothing_is_claimed():
    only = ("d", "unet", "a", "augmented")
    assert not len(equivalence(scores({only: 0.5}), 0.02, {}, [], {})) and not len(
        comparisons(scores({only: 0.5}), {}, {})
    )
    real = ("d", "unet", "real", "augmented")
    (row,) = equivalence(scores({real: 0.7, only: 0.7}, repeats=1), 0.02, {}, [], {}).to_dict("records")
    assert row["verdict"] == "undecided" and pd.isna(row["p_holm"])
    (row,) = comparisons(scores({real: 0.7, only: 0.7}, repeats=1), {}, {}).to_dict("records")
    assert pd.isna(row["p"]) and not pd.isna(row["difference"])


def test_every_claim_says_how_probably_it_is_false():
    real, names = ("d", "unet", "real", "augmented"), {"a": 0.72, "b": 0.7, "c": 0.6, "e": 0.685}
    dice = scores({real: 0.7, **{("d", "unet", n, "augmented"): mean for n, mean in names.items()}}, sd=0.01)
    table = equivalence(dice, 0.01, {}, list(names), {}).set_index("training_set")
    for name, row in table.iterrows():
        found = difference(dice["d", "unet", name, "augmented"], dice[real])
        below, above = found.probability_below(-0.01), 1 - found.probability_below(0.01)
        false = {"better": 1 - above, "worse": 1 - below, "equivalent": below + above, "undecided": np.nan}
        assert row["false_claim"] == pytest.approx(false[row["verdict"]], nan_ok=True)
    assert {"better", "worse", "equivalent"} <= set(table["verdict"])
    both = comparisons(dice, {}, {}).query("question == 'against real'").set_index("training_set")
    np.testing.assert_allclose(both["false_claim"].astype(float), both["p"].astype(float) / 2, atol=1e-12)
