"""The published reader study (Table 6), analysed anew, and constructed ones."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from understudy.report.published import published_reader_study
from understudy.report.readers import analyse, homogeneity, mean_of_proportions, wilson


def test_the_published_reader_study():
    found = analyse(published_reader_study())
    assert (round(found.chi_squared, 2), found.freedom, round(found.p, 2)) == (4.56, 5, 0.47)
    assert found.balanced_accuracy == pytest.approx(0.496)
    assert found.low < 0.5 < found.high and (round(found.low, 3), round(found.high, 3)) == (0.462, 0.541)
    assert (found.accuracy, found.majority, found.images) == (pytest.approx(0.72), pytest.approx(5 / 6), 600)
    assert found.sensitivity_index == pytest.approx(-0.03, abs=0.02) and found.criterion == pytest.approx(
        -0.98, abs=0.02
    )


def test_parts_are_scipys():
    calls = published_reader_study()[["classified_real", "classified_synthetic"]].to_numpy(float)
    expected = stats.chi2_contingency(calls, correction=False)
    assert homogeneity(calls) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue), expected.dof)
    by_scipy = stats.binomtest(16, 100).proportion_ci(method="wilson")
    assert wilson(16, 100) == (pytest.approx(by_scipy.low), pytest.approx(by_scipy.high))


def test_the_interval_holds_the_truth():
    host = np.random.default_rng(0)
    covered = []
    for hits, rejections in zip(host.binomial(100, 0.16, 3000), host.binomial(500, 0.83, 3000), strict=True):
        low, high = mean_of_proportions((hits, rejections), (100, 500))
        covered.append(low <= (0.16 + 0.83) / 2 <= high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_readers_who_can_tell_and_who_say_always_the_same():
    perfect = analyse(table([50, 0], [0, 50]))
    assert perfect.balanced_accuracy == 1 and perfect.low > 0.9 and perfect.p < 1e-6
    always = analyse(table([0, 0], [50, 50]))
    assert (always.balanced_accuracy, always.p, always.chi_squared) == (0.5, 1, 0)


def table(real, synthetic) -> pd.DataFrame:
    return pd.DataFrame({"image_type": ["real", "x"], "classified_real": real, "classified_synthetic": synthetic})


@pytest.mark.parametrize(
    "wrong", [table([0, 1], [0, 1]), table([1, 1], [1, 1]).iloc[:1], table([1, 1], [1, 1]).iloc[1:]]
)
def test_tables_that_are_none_are_named(wrong):
    with pytest.raises(ValueError, match="expected one row 'real'"):
        analyse(wrong)
