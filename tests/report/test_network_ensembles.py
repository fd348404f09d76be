"""The gain of an ensemble over its networks, by hand."""

import numpy as np
import pandas as pd
import pytest
from made import score_row
from scipy import stats

from understudy.report.network_ensembles import EnsembleScores
from understudy.study.grid import Setting

KEYS = {"dataset": "a", "segmenter": "unet", "training_set": "real", "augmentation": "augmented"}
ALONE = {"s1": (0.5, 0.7), "s2": (0.6, 0.6), "s3": (0.3, 0.1)}  # Dice of two networks
TOGETHER = {"s1": 0.7, "s2": 0.61, "s3": 0.26}


def row(repeat, subject, dice, failure=""):
    known = {"label": "et", "reference_voxels": 9, "predicted_voxels": 9, "failure": failure}
    return score_row(**KEYS, repeat=repeat, subject=subject, dice=dice) | known


def material(failure="", together=TOGETHER):
    alone = [row(r, s, dice, failure * (r == 2)) for s, of in ALONE.items() for r, dice in enumerate(of, start=1)]
    one = [row(0, subject, dice, failure) for subject, dice in together.items()]
    return EnsembleScores(pd.DataFrame(alone), pd.DataFrame(one), [Setting(*KEYS.values(), 2)], draws=100)


def test_the_gain_is_that_of_each_subject():
    (found,) = material().table("network_ensembles").itertuples()
    gains = np.array([0.7 - 0.6, 0.61 - 0.6, 0.26 - 0.2])
    assert found.networks == 2 and found.failed == ""
    assert found.dice == pytest.approx(np.mean(list(TOGETHER.values())))
    assert found.alone_mean == pytest.approx(np.mean([0.6, 0.6, 0.2])) and found.gain == pytest.approx(gains.mean())
    assert (found.gain_low, found.gain_high) == pytest.approx(
        stats.t.interval(0.95, 2, gains.mean(), stats.sem(gains)), abs=1e-12
    )


def test_a_failed_training_is_named():
    (found,) = material(failure="nan").table("network_ensembles").itertuples()
    assert found.failed == "2"


def test_an_ensemble_of_other_subjects_is_refused():
    with pytest.raises(ValueError, match="found other test subjects in the ensemble of a unet real augmented"):
        material(together={"s1": 0.7, "s2": 0.6}).table("network_ensembles")
