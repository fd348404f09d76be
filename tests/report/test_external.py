"""Scores on another site's test subjects: rows, and the difference from the site's own networks."""

import numpy as np
import pandas as pd
import pytest
from made import score_row

from understudy.report.external import ExternalScores, external_sentences
from understudy.study.grid import Setting

SUBJECTS = [f"s{i}" for i in range(20)]
EASY = 0.1 * np.random.default_rng(0).standard_normal(len(SUBJECTS))


def scores(dataset, training_set, mean, subjects=SUBJECTS):
    host = np.random.default_rng(len(training_set))
    keys = {"dataset": dataset, "segmenter": "unet", "training_set": training_set, "augmentation": "augmented"}
    return pd.DataFrame(
        score_row(**keys, repeat=r, subject=s, label="et", dice=mean + e + 0.002 * host.standard_normal())
        | {"reference_voxels": 9, "predicted_voxels": 9}
        for r in (1, 2, 3)
        for s, e in zip(subjects, EASY, strict=False)
    )


def material(*frames):
    settings = [Setting("a", "unet", name, "augmented", 3) for name in ("real", "gan")]
    return ExternalScores({"b": pd.concat(frames)}, [(s, "b") for s in settings], draws=100)


def test_the_difference_is_from_networks_of_the_tested_site():
    study = material(scores("a", "real", 0.6), scores("a", "gan", 0.5), scores("b", "real", 0.8))
    table = study.table("external")
    assert table["tested_on"].tolist() == ["b", "b"] and table["training_set"].tolist() == ["real", "gan"]
    assert table["from_own"].to_numpy() == pytest.approx([-0.2, -0.3], abs=0.003)
    # subjects are easy or hard for both alike, so the difference is known better than either mean
    assert (table["from_own_high"] - table["from_own_low"] < 0.1 * (table["mean_high"] - table["mean_low"])).all()
    said = external_sentences(table)[1]
    assert said.startswith("unet trained at a on `gan`, tested at b: mean Dice 0.4") and "b's own real images" in said


def test_without_networks_of_its_own_a_site_has_no_difference():
    table = material(scores("a", "real", 0.6), scores("a", "gan", 0.5)).table("external")
    assert table["from_own"].isna().all() and "which have no scores" in external_sentences(table)[0]


def test_other_subjects_are_refused():
    study = material(scores("a", "real", 0.6), scores("a", "gan", 0.5, SUBJECTS[:-1]))
    with pytest.raises(ValueError, match="scores on b: found other test subjects of a unet gan augmented 1"):
        study.table("external")
