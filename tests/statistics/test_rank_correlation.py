"""Exact p of rank correlations: printed tables of critical values, SciPy's enumeration, and what few can show."""

import numpy as np
import pytest
from scipy import stats

from understudy.report.correlations import power_sentence
from understudy.statistics.rank_correlation import kendall, power, smallest_significant, spearman

# two-sided 5 %, Zar's table of critical values of Spearman's rho
CRITICAL_RHO = {4: None, 5: 1.0, 6: 0.886, 7: 0.786, 8: 0.738, 9: 0.700}


@pytest.mark.parametrize("n, rho", CRITICAL_RHO.items())
def test_critical_values_are_those_of_the_tables(n, rho):
    found = smallest_significant(n)
    assert found == rho if rho in (None, 1.0) else found == pytest.approx(rho, abs=5e-4)


def test_five_generators_by_counting():
    order = [1, 2, 3, 4, 5]
    assert spearman(order, order).p == pytest.approx(2 / 120)
    one_swap = spearman(order, [2, 1, 3, 4, 5])  # rho 0.9: 1 + 4 orders at least as high, and as many below
    assert (one_swap.coefficient, one_swap.p) == (pytest.approx(0.9), pytest.approx(10 / 120))
    assert spearman(order, order[::-1]).coefficient == -1


@pytest.mark.parametrize("n", [3, 5, 7, 8])
def test_kendall_is_that_of_scipys_exact_test(n):
    host = np.random.default_rng(n)
    for _ in range(5):
        x, y = host.random(n), host.random(n)
        expected, found = stats.kendalltau(x, y, method="exact"), kendall(x, y)
        assert (found.coefficient, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
        assert found.exact and found.n == n


def test_spearman_is_that_of_scipys_permutations_with_ties_too():
    x, y = [1, 2, 2, 3, 5, 5], [0.3, 0.1, 0.4, 0.4, 0.9, 0.8]
    found = spearman(x, y)
    test = stats.permutation_test(
        (x,), lambda v: stats.spearmanr(v, y).statistic, permutation_type="pairings", n_resamples=np.inf
    )
    # SciPy doubles the smaller tail, this counts both: with ties they are not mirror images
    assert found.coefficient == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.p == pytest.approx(np.mean(np.abs(test.null_distribution) >= abs(test.statistic) - 1e-9))
    assert kendall(x, y).coefficient == pytest.approx(stats.kendalltau(x, y).statistic)


def test_many_generators_are_permuted_at_random():
    host = np.random.default_rng(1)
    x = host.random(12)
    found = spearman(x, x + 0.4 * host.random(12))
    assert not found.exact
    assert found.p == pytest.approx(stats.spearmanr(x, x).pvalue, abs=0.02)


def test_undefined_correlations():
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]).p) and np.isnan(kendall([1.0], [2.0]).coefficient)
    assert spearman([1, 2, np.nan, 4], [1, 2, 3, 4]).n == 3
    with pytest.raises(ValueError, match="lists of one length"):
        spearman([1, 2], [1, 2, 3])


def test_the_sentence_says_what_could_have_been_found():
    assert "not even a perfect one (p = 0.0833)" in power_sentence(4)
    assert "a perfect order alone (|rho| = 1)" in power_sentence(5)
    assert "|rho| of 0.886 or more" in power_sentence(6)
    # corrected for 16 metrics and networks, five generators show nothing: 16 * 2 / 5! = 0.27
    assert "at 0.05 after correction for 16 tests, not even a perfect one (p = 0.267)" in power_sentence(5, 16)
    assert f"{power(7, 0.8, 0.05 / 4):.0%}" in power_sentence(7, 4)
    assert "no order to compare" in power_sentence(1)
    assert power(4, 0.99) == 0 and power(5, 0.999) > 0.8 and power(5, 0.0) == pytest.approx(2 / 120, abs=0.004)
    assert f"{power(5, 0.8):.0%}" in power_sentence(5)
