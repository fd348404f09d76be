"""A crashed training is found among others, and scatter seldom is taken for one."""

import numpy as np

from understudy.statistics.outliers import far_from_others


def test_a_crash_is_far_and_scatter_is_not():
    assert far_from_others(np.array([0.80, 0.79, 0.81, 0.1, 0.80])).tolist() == [False] * 3 + [True, False]
    assert far_from_others(np.array([0.8, np.nan, 0.8, 0.8, 0.0])).tolist() == [False] * 4 + [True]
    assert not far_from_others(np.array([0.8, 0.1])).any() and not far_from_others(np.array([])).any()
    assert not far_from_others(np.array([0.8, 0.8, 0.81]), least=0.02).any()


def test_of_ten_normal_values_some_is_far_in_a_few_draws_alone():
    host = np.random.default_rng(0)
    share = np.mean([far_from_others(host.standard_normal(10)).any() for _ in range(4000)])
    assert 0.02 < share < 0.06
