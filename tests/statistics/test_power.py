"""Power that is stated beforehand is that of simulated studies, to three points."""

import numpy as np
import pytest
from power import simulated

from understudy.statistics.power import Design, Deviations, deviations_of


@pytest.mark.parametrize("subjects", [15, 56])
@pytest.mark.parametrize("columns", [(10, 10), (5, 10), (3, 3)])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_power_is_that_of_simulated_studies(subjects, columns, alpha):
    for by_subject in (0.03, 0.06):
        design = Design(subjects, columns, Deviations(by_subject, (0.01, 0.005), (0.03, 0.03)), 0.02, alpha)
        for difference in (0, 0.008):
            assert design.power(difference) == pytest.approx(simulated(design, difference, studies=3000), abs=0.03)


def test_what_80_percent_take_is_just_enough():
    design = Design(56, (10, 10), Deviations(0.045, (0.005, 0.005), (0.03, 0.03)), 0.02, 0.05)
    assert design.power(design.largest_difference) == pytest.approx(0.8, abs=0.005)
    few = Design(20, (10, 10), design.deviations, 0.02, 0.05)
    assert few.power() < 0.8 and np.isnan(few.largest_difference)
    needed = int(few.subjects_needed)
    powers = [Design(n, (10, 10), design.deviations, 0.02, 0.05).power() for n in (needed - 1, needed)]
    assert powers[0] < 0.8 <= powers[1] and few.columns_needed == np.inf  # no repeats make up for subjects
    steady = Design(20, (10, 10), Deviations(few.largest_deviation, *_others(design)), 0.02, 0.05)
    assert steady.power() == pytest.approx(0.8, abs=0.005)
    assert np.isnan(Design(1, (10, 10), design.deviations, 0.02).power())


def _others(design):
    return design.deviations.columns, design.deviations.rest


def test_deviations_are_those_behind_the_scores():
    host = np.random.default_rng(0)
    subject = 0.2 * host.standard_normal((400, 1))

    def scores(own, columns):
        x = subject + own * host.standard_normal((400, 1)) + columns * host.standard_normal((1, 200))
        return x + 0.03 * host.standard_normal((400, 200))

    found = deviations_of(scores(0.04, 0.02), scores(0.03, 0.01))
    assert found.by_subject == pytest.approx(0.05, rel=0.1)
    assert found.columns == (pytest.approx(0.02, rel=0.15), pytest.approx(0.01, rel=0.15))
    assert found.rest == (pytest.approx(0.03, rel=0.02), pytest.approx(0.03, rel=0.02))
