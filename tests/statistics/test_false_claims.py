"""The probability of a false claim is what it says: of claims with 3 % of it, 3 in a hundred are false."""

import numpy as np
import pytest
from scipy import stats

from understudy.statistics.intervals import difference

STUDIES, SUBJECTS = 6000, 12


def simulated(repeats: int, seed: int = 0):
    """(true differences, what studies found of them): any difference is as likely as another within a wide range."""
    host, n = np.random.default_rng(seed), STUDIES
    true = host.uniform(-0.3, 0.3, n)
    shared = 0.1 * host.standard_normal((n, SUBJECTS, 1))

    def setting(mean):
        own = 0.04 * host.standard_normal((n, SUBJECTS, 1)) + 0.02 * host.standard_normal((n, 1, repeats))
        return mean + shared + own + 0.03 * host.standard_normal((n, SUBJECTS, repeats))

    return true, difference(setting(true[:, None, None]), setting(0.0))


@pytest.mark.parametrize("repeats", [5, 10])
@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_as_many_claims_are_false_as_is_said(repeats, margin):
    true, found = simulated(repeats)
    stated = found.probability_below(margin)
    for low, high in ((0.002, 0.05), (0.05, 0.2), (0.2, 0.5)):
        chosen = (stated >= low) & (stated < high)
        assert chosen.sum() > 100
        error = 3 * np.sqrt(stated[chosen].mean() / chosen.sum())
        assert abs(np.mean(true[chosen] < margin) - stated[chosen].mean()) < error + 0.01


def test_it_is_the_posterior_of_the_textbook():
    """One sample with a flat prior: Student's t around its mean. Subjects alone vary here."""
    host = np.random.default_rng(1)
    d_S = 0.01 + 0.05 * host.standard_normal((30, 1))
    a, b = np.repeat(d_S, 4, axis=1), np.zeros((30, 4))
    expected = stats.ttest_1samp(d_S[:, 0], 0, alternative="greater").pvalue
    assert difference(a, b).probability_below() == pytest.approx(expected, rel=1e-6)
    shifted = stats.ttest_1samp(d_S[:, 0], 0.02, alternative="greater").pvalue
    assert difference(a, b).probability_below(0.02) == pytest.approx(shifted, rel=1e-6)
