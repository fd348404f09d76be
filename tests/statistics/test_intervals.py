"""Intervals hold the truth as often as they say, tests keep their level: many simulated studies of each."""

import numpy as np
import pytest
from scipy import stats

from understudy.statistics.intervals import difference, holm, interval, linearised, parts, resampled_means

# standard deviations by subject, by repeat, of the rest; of U-Nets in the study: 0.2, 0.005 to 0.2, 0.1
SHAPES = {
    "100 subjects, 10 repeats": (100, 10, 0.15, 0.02, 0.1),
    "the study's 56": (56, 10, 0.2, 0.005, 0.1),
    "repeats that differ much": (56, 10, 0.15, 0.05, 0.1),
    "repeats that are all": (56, 10, 0.05, 0.2, 0.05),
    "5 repeats": (100, 5, 0.15, 0.02, 0.1),
}
STUDIES = 2000  # a share of 95 % is known to 0.5 points


def studies(subjects, repeats, by_subject, by_repeat, rest, seed, skewed=False, count=STUDIES):
    """Scores (study, subject, repeat) whose true mean is 0; skewed subjects are exponential, with bad ones far off."""
    host = np.random.default_rng(seed)
    draw = (lambda size: 1 - host.exponential(size=size)) if skewed else host.standard_normal
    x = draw((count, subjects, 1)) * by_subject + host.standard_normal((count, 1, repeats)) * by_repeat
    return x + host.standard_normal((count, subjects, repeats)) * rest


@pytest.mark.parametrize("skewed", [False, True], ids=["normal", "skewed"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_interval_holds_the_truth_in_95_of_100_studies(shape, skewed):
    low, high = interval(studies(*shape, seed=1, skewed=skewed), draws=1000)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97


def test_a_plain_percentile_bootstrap_would_not():
    x = studies(*SHAPES["repeats that are all"], seed=1)
    host = np.random.default_rng(0)
    drawn = host.multinomial(10, np.full(10, 0.1), 1000) / 10
    low, high = np.quantile(x.mean(axis=1) @ drawn.T, [0.025, 0.975], axis=-1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.92


def test_variance_is_that_of_the_mean():
    shape = (30, 6, 0.2, 0.1, 0.3)
    x = studies(*shape, seed=2, count=4000)
    true = 0.2**2 / 30 + 0.1**2 / 6 + 0.3**2 / 180
    assert x.mean(axis=(1, 2)).var() == pytest.approx(true, rel=0.08)
    assert parts(x).variance.mean() == pytest.approx(true, rel=0.05)


def test_levels_seeds_and_edges():
    x = studies(40, 4, 0.2, 0.05, 0.1, seed=3, count=1)[0]
    (narrow, wide), again = (interval(x, level) for level in (0.5, 0.99)), interval(x, 0.99)
    assert wide[0] < narrow[0] < x.mean() < narrow[1] < wide[1] and wide == again
    assert interval(x, 0.99, seed=1) != wide
    low, high = interval(np.full((5, 3), 0.7))
    assert low == high == pytest.approx(0.7)
    assert np.isnan(interval(x[:, :1])).all() and np.isnan(interval(x[:1])).all()


def test_resampled_means_share_subjects_and_not_repeats():
    x = studies(30, 4, 0.3, 0.0, 0.0, seed=4, count=1)[0]
    a, b = resampled_means(x, own=0), resampled_means(x + 1, own=1)
    np.testing.assert_allclose(b - a, 1)  # subjects are all that varies
    y = studies(30, 4, 0.0, 0.3, 0.0, seed=4, count=1)[0]
    assert abs(np.corrcoef(resampled_means(y, own=0), resampled_means(y, own=1))[0, 1]) < 0.1


def test_linearised_scores_have_the_mean_of_the_tables_and_no_gaps():
    host = np.random.default_rng(5)
    values_LSR = host.random((3, 20, 4))
    values_LSR[0, :5] = np.nan  # label 0 is in no volume of five subjects
    values_LSR[1, 7, 2] = np.nan
    x_SR = linearised(values_LSR)
    assert x_SR.shape == (20, 4) and not np.isnan(x_SR).any()
    assert x_SR.mean() == pytest.approx(np.nanmean(values_LSR, axis=1).mean())
    x_SR = linearised(values_LSR, subjects_first=True)
    assert x_SR.mean() == pytest.approx(np.nanmean(values_LSR, axis=0).mean())
    values_LSR[..., 3] = np.nan  # a repeat of which nothing is defined
    assert linearised(values_LSR).shape == (20, 3)
    values_LSR[2, :, 1] = np.nan  # a repeat that has no value of one label: the mean of the others, as the tables take
    of_repeats = [values_LSR[:, :, 0], values_LSR[:2, :, 1], values_LSR[:, :, 2]]
    expected = np.mean([np.nanmean(x_LS, axis=1).mean() for x_LS in of_repeats])
    assert linearised(values_LSR).mean() == pytest.approx(expected)


def test_linearised_intervals_hold_the_truth_with_gaps():
    host = np.random.default_rng(6)
    covered = []
    for _ in range(400):
        subject = host.standard_normal((1, 60, 1)) * 0.2
        x = subject + host.standard_normal((2, 1, 10)) * 0.03 + host.standard_normal((2, 60, 10)) * 0.1
        x[0, host.random(60) < 0.25] = np.nan
        low, high = interval(linearised(x), draws=500)
        covered.append(low <= 0 <= high)
    assert 0.92 <= np.mean(covered) <= 0.98  # 400 studies: to a point


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_paired_comparison_keeps_its_level_and_sees_what_pairing_shows(shape):
    subjects, repeats, by_subject, by_repeat, rest = shape
    shared = studies(subjects, 1, by_subject, 0, 0, seed=7)
    a, b = (shared + studies(subjects, repeats, 0.3 * by_subject, by_repeat, rest, seed=seed) for seed in (8, 9))
    test = difference(a, b)
    assert np.mean(test.p < 0.05) == pytest.approx(0.05, abs=0.02)
    low, high = test.interval()
    np.testing.assert_array_equal((low > 0) | (high < 0), test.p < 0.05)
    moved = difference(a + 6 * test.error[:, None, None], b)
    assert np.mean(moved.p < 0.05) > 0.95


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("sign", [-1, 1])
def test_equivalence_keeps_its_level_at_the_margin(shape, sign):
    subjects, repeats, _, by_repeat, rest = shape
    margin = 10 * np.sqrt(by_repeat**2 / repeats * 2 + rest**2 / subjects)  # far enough that one side alone matters
    a, b = (studies(subjects, repeats, 0.05, by_repeat, rest, seed=seed) for seed in (10, 11))
    assert np.mean(difference(a + sign * margin, b).p_equivalent(margin) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(difference(a + sign * 1.5 * margin, b).p_equivalent(margin) < 0.05) < 0.02
    assert np.mean(difference(a, b).p_equivalent(margin) < 0.05) > 0.95


def test_equivalence_is_the_90_percent_interval_inside_the_margin():
    a, b = (studies(30, 4, 0.1, 0.02, 0.1, seed=seed, count=500) for seed in (12, 13))
    test = difference(a, b)
    low, high = test.interval(0.9)
    np.testing.assert_array_equal(test.p_equivalent(0.06) < 0.05, (low > -0.06) & (high < 0.06))


def test_differences_that_cannot_be_judged():
    a = studies(10, 3, 0.1, 0.1, 0.1, seed=14, count=1)[0]
    alone = difference(a[:, :1], a)
    assert alone.value == pytest.approx(a[:, 0].mean() - a.mean()) and np.isnan(alone.p)
    assert np.isnan(difference(a[:, :0], a).value)
    with pytest.raises(ValueError, match="found 9 and 10 subjects"):
        difference(a[1:], a)
    same = difference(np.ones((4, 2)), np.ones((4, 2)))
    assert same.p == 1 and same.p_equivalent(0.1) == 0  # no doubt at all


def test_one_repeated_measure_is_the_textbook_test():
    """Without repeats that differ it is the paired t test of the subjects."""
    host = np.random.default_rng(15)
    a, b = host.random((12, 1)), host.random((12, 1))
    test = difference(np.repeat(a, 2, axis=1), np.repeat(b, 2, axis=1))
    assert test.p == pytest.approx(stats.ttest_rel(a[:, 0], b[:, 0]).pvalue)


def test_holm_by_hand():
    p = [0.01, 0.04, np.nan, 0.03, 0.005]
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1, 1] and np.isnan(holm([np.nan])).all()


def test_holm_keeps_the_level_of_the_family():
    host = np.random.default_rng(16)
    assert np.mean([holm(host.random(20)).min() < 0.05 for _ in range(4000)]) == pytest.approx(0.05, abs=0.012)
