"""What a study could have found, in numbers and in sentences, before it and after."""

import numpy as np
import pandas as pd
import pytest

from understudy.report.power_table import planned, power_table, sentences
from understudy.report.score_tables import relative_dice
from understudy.report.stopping import Looks

KEYS = {name: ("d", "unet", name, "augmented") for name in ("real", "a", "b", "real+a")}
CONFIG = {
    "experiments": {
        "augmentations": ["augmented"],
        "generator_seeds": 1,
        "repeats": 10,
        "stopping": "fixed",
        "looks": None,
    },
    "evaluation": {"equivalence_margin": 0.02},
}


def dice(sd, subjects=56, repeats=10, seed=0):
    host = np.random.default_rng(seed)
    shared = 0.7 + 0.1 * host.standard_normal((subjects, 1))
    own = {name: sd / np.sqrt(2) * host.standard_normal((subjects, 1)) for name in KEYS}
    return {key: shared + own[n] + 0.01 * host.standard_normal((subjects, repeats)) for n, key in KEYS.items()}


def test_a_row_for_each_data_set_and_segmenter_of_its_own_deviations():
    (row,) = power_table(dice(0.05), 0.02, ["a", "b"]).to_dict("records")
    assert (row["comparisons"], row["subjects"], row["columns"]) == (2, 56, 10)
    assert row["sd_of_difference"] == pytest.approx(0.05, rel=0.2)
    (steady,) = power_table(dice(0.005), 0.02, ["a", "b"]).to_dict("records")
    assert steady["power_if_equal"] > 0.99 > row["power_if_equal"] and 0.01 < steady["largest_difference"] < 0.02
    assert not len(power_table(dice(0.05), 0.02, [])) and not len(power_table(dice(0.05, repeats=1), 0.02, ["a"]))


def test_it_is_said_for_people():
    (found,) = sentences(power_table(dice(0.005), 0.02, ["a"]), 0.02, 1)
    assert (
        "with 56 test subjects and 10 repeats" in found and "80 % are reached up to a true difference of 0.0" in found
    )
    (short,) = sentences(power_table(dice(0.1), 0.02, ["a"]), 0.02, 1)
    assert "80 % would take" in short and "subjects" in short and "nan" not in short and "inf" not in short


def test_before_there_are_scores_deviations_are_assumed():
    once = planned(CONFIG, {"d": 56}, ["a", "b"])
    several = planned({**CONFIG, "experiments": CONFIG["experiments"] | {"generator_seeds": 5}}, {"d": 56}, ["a", "b"])
    assert once["power_if_equal"].item() > several["power_if_equal"].item() and several["columns"].item() == 5
    assert "5 trainings of the generator" in sentences(several, 0.02, 5)[0]
    assert not len(planned(CONFIG, {"d": 56}, []))


def test_with_looks_it_is_the_power_of_the_looks():
    """A little less than with all repeats at once, and of all repeats, whatever has been trained so far."""
    asked = {**CONFIG, "experiments": CONFIG["experiments"] | {"stopping": "sequential"}}
    fixed, looked = (planned(config, {"d": 56}, ["a", "b"]) for config in (CONFIG, asked))
    assert looked["looks"].item() == "2 3 5 10" and fixed["looks"].item() == ""
    assert 0 < fixed["power_if_equal"].item() - looked["power_if_equal"].item() < 0.06
    assert ", in looks after 2, 3, 5, 10 repeats, images" in sentences(looked, 0.02, 1)[0]
    host = np.random.default_rng(2)
    whole = {key: x + 0.005 * host.standard_normal((1, 10)) for key, x in dice(0.03).items()}
    stopped = {key: x if key[2] == "real" else x[:, :3] for key, x in whole.items()}
    looks = Looks([2, 3, 5, 10], [], 0.02, [], dict.fromkeys(whole, 10))
    (row,) = power_table(stopped, 0.02, ["a", "b"], looks).to_dict("records")
    assert row["columns"] == 10 and row["looks"] == "2 3 5 10"
    assert row["power_if_equal"] > power_table(stopped, 0.02, ["a", "b"])["power_if_equal"].item()


def test_relative_dice_has_the_interval_of_a_ratio():
    found = dice(0.05)
    names = ["dataset", "segmenter", "training_set", "augmentation"]
    table = pd.DataFrame(list(KEYS.values()), columns=names).assign(mean_mean=[x.mean() for x in found.values()])
    rows = relative_dice(table, found, {}).set_index("training_set")
    assert np.isnan(rows.loc["real", "percent_low"]) and rows.loc["real", "percent"] == pytest.approx(100)
    a, real = found[KEYS["a"]], found[KEYS["real"]]
    assert rows.loc["a", "percent"] == pytest.approx(100 * a.mean() / real.mean())
    host, ratios = np.random.default_rng(1), []
    for _ in range(2000):  # the bootstrap of subjects and repeats
        s = host.integers(0, 56, 56)
        ratios.append(a[s][:, host.integers(0, 10, 10)].mean() / real[s][:, host.integers(0, 10, 10)].mean())
    low, high = 100 * np.quantile(ratios, [0.025, 0.975])
    assert rows.loc["a", "percent_high"] - rows.loc["a", "percent_low"] == pytest.approx(high - low, rel=0.1)
