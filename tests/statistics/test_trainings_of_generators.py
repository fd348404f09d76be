"""Conclusions about generators hold as often as they say when the luck of a training is in the model, and fail without.

The studies are those of benchmarks/conclusions.py, fewer of them; its table has all designs.
"""

import numpy as np
import pytest
from conclusions import Simulated, line

from understudy.statistics.intervals import difference, linearised


@pytest.mark.parametrize("luck", [0, 0.01, 0.02])
def test_five_trainings_of_each_generator_are_enough(luck):
    found = line(Simulated(1000, 5, 10, luck))
    assert 0.93 <= found["mean"] <= 0.975 and 0.93 <= found["difference"] <= 0.975
    assert max(found["differ"], found["equivalent"], found["first"]) < 0.065  # 5 %, to two standard errors


def test_one_training_passed_off_as_the_generator_is_not():
    found = line(Simulated(500, 1, 10, 0.01))
    assert found["difference"] < 0.85 and min(found["differ"], found["equivalent"], found["first"]) > 0.1


def test_repeats_of_a_training_are_averaged_and_gaps_do_not_mix_trainings():
    x_LSR = np.arange(24.0).reshape(1, 4, 6)
    trainings_R = np.array([1, 2, 3, 1, 2, 3])
    np.testing.assert_allclose(linearised(x_LSR, trainings_R=trainings_R), (x_LSR[0, :, :3] + x_LSR[0, :, 3:]) / 2)
    x_LSR[..., 0] = np.nan  # a repeat of which nothing is defined: its training has the other one
    np.testing.assert_allclose(linearised(x_LSR, trainings_R=trainings_R)[:, 0], x_LSR[0, :, 3])
    x_LSR[..., 3] = np.nan
    assert linearised(x_LSR, trainings_R=trainings_R).shape == (4, 2)


def test_pairs_of_the_same_trainings_lose_their_common_luck():
    host = np.random.default_rng(0)
    luck = host.standard_normal((1, 5))
    a, b = (luck + 0.01 * host.standard_normal((30, 5)) for _ in range(2))
    assert difference(a, b, paired=True).error < 0.01 < 0.2 < difference(a, b).error
    assert difference(a, b, paired=True).value == pytest.approx(difference(a, b).value)
