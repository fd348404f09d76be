"""Looks spend the error of a test, no more; and decide as early as that allows."""

import numpy as np
import pytest
from scipy import stats

from understudy.statistics import sequential
from understudy.statistics.intervals import Difference
from understudy.statistics.power import Design, Deviations
from understudy.statistics.sequential import (
    at_last_look,
    chance_to_decide,
    fractions,
    level_at,
    levels,
    sequential_p,
    share_of_repeats,
    spent,
)

LOOKS = (2, 3, 5, 10)


def test_bounds_are_those_of_the_textbook():
    """Lan and DeMets' O'Brien-Fleming-like spending, five equal looks, one-sided 0.025: Jennison and Turnbull 2000,
    and every program for group-sequential trials."""
    bounds = stats.norm.isf(sequential._of_alpha([0.2, 0.4, 0.6, 0.8, 1.0], 0.025))
    np.testing.assert_allclose(bounds, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], atol=2e-4)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_as_much_error_is_spent_as_was_said(share):
    """Of normal scores whose looks have that correlation."""
    host, times = np.random.default_rng(0), np.array(fractions(LOOKS, share))
    steps = np.sqrt(np.diff([0, *times]))[:, None] * host.standard_normal((len(times), 200_000))
    p = stats.norm.sf(steps.cumsum(axis=0) / np.sqrt(times)[:, None])
    bounds = np.array([level_at(0.05, k, LOOKS, share) for k in range(len(LOOKS))])[:, None]
    rejected = np.maximum.accumulate(p <= bounds, axis=0).mean(axis=1)
    expected = [spent(0.05, t) for t in times]
    np.testing.assert_allclose(rejected, expected, atol=0.002)
    assert rejected[-1] == pytest.approx(0.05, abs=0.002)


def test_the_p_over_looks_is_the_smallest_alpha_that_rejects():
    share = 0.3
    assert sequential_p([level_at(0.05, 0, LOOKS, share)], LOOKS, [share]) == pytest.approx(0.05, rel=0.01)
    late = [0.9, 0.9, level_at(0.01, 2, LOOKS, share)]
    assert sequential_p(late, LOOKS, [share] * 3) == pytest.approx(0.01, rel=0.01)
    assert sequential_p([1e-12, 0.9, 0.9], LOOKS, [share] * 3) < 1e-4  # what a look has shown stays shown
    assert sequential_p([0.9], LOOKS, [share]) == 1 and np.isnan(sequential_p([np.nan], LOOKS, [share]))
    # a look's finding is that of what it knew, whatever is known later
    first = sequential_p([1e-3], LOOKS, [0.9])
    assert sequential_p([1e-3, 0.9], LOOKS, [0.9, 0.05]) == first > sequential_p([1e-3], LOOKS, [0.05])
    # one look more costs something, and nothing is free
    assert 0.03 < level_at(0.05, 3, LOOKS, share) < 0.05


def test_less_correlated_looks_are_stricter_at_the_last():
    lasts = [levels(LOOKS, share)[-1, 30] for share in (0.05, 0.3, 0.9)]
    assert fractions(LOOKS, 0.0) == [1] * 4 and fractions(LOOKS, 1.0) == [0.2, 0.3, 0.5, 1]
    assert all(level < sequential.ALPHAS[30] for level in lasts)


def test_the_share_of_repeats():
    found = Deviations(0.05, (0.01, 0.0), (0.0, 0.0))
    fixed, added = 0.05**2 / 25, 0.01**2 / 10
    assert share_of_repeats(found, 25, (10, 3)) == pytest.approx(added / (fixed + added))
    # three trainings of a generator at the last look, however many repeats learn from them
    assert share_of_repeats(found, 25, (3, 10)) == pytest.approx(0.01**2 / 3 / (fixed + 0.01**2 / 3))
    assert share_of_repeats(Deviations(0.05, (0.0, 0.0), (0.0, 0.0)), 25, (10, 10)) == 0


def test_power_is_that_of_looks_which_spend_the_error():
    """Of one look it is the power of the fixed design; with looks it is little less, and the early ones help."""
    design = Design(56, (10, 10), Deviations(0.045, (0.005, 0.005), (0.03, 0.03)), 0.02)
    once, nothing = at_last_look(design, (10,))
    assert nothing == 0 and once.alpha == pytest.approx(design.alpha, rel=1e-3)
    last, gain = at_last_look(design, LOOKS)
    assert last.alpha < design.alpha and 0 < gain < 0.03
    assert design.power() - 0.05 < last.power() + gain < design.power()


def test_what_cannot_be_decided_any_more_is_futile():
    def chance(value: float, error: float) -> float:
        found = Difference(np.array(value), np.array(error), np.array(20.0))
        return chance_to_decide(found, 0.3, (56, 10), 2, LOOKS, 0.01, 0.02)

    assert chance(0.0, 0.002) > 0.99 and chance(-0.1, 0.005) > 0.99
    assert chance(-0.02, 0.004) < sequential.FUTILE  # at the margin
    assert chance(0.0, 0.02) < sequential.FUTILE  # subjects differ so much that no repeat helps
