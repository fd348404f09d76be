"""Scores by lesion against cases worked out by hand."""

import numpy as np
import pytest

from understudy.evaluate.lesions import Lesions, lesions
from understudy.evaluate.scores import apply_policy, score_volume


def volume(*boxes, shape=(30, 40, 40)):
    x = np.zeros(shape, bool)
    for z, y, x0, edge in boxes:
        x[z : z + edge, y : y + edge, x0 : x0 + edge] = True
    return x


def test_a_missed_lesion_and_an_invented_one_count_as_nothing():
    """Two lesions of 4^3 = 64 voxels: one is found but for a slice of 16, one is missed; a cube of 8 is invented."""
    reference = volume((2, 2, 2, 4), (20, 20, 20, 4))
    prediction = volume((2, 2, 2, 4), (20, 2, 30, 2))
    prediction[2] = False
    found = lesions(prediction, reference)
    assert found.dice == (pytest.approx(2 * 48 / (64 + 48)), 0.0)
    assert (found.false_positives, found.false_positive_voxels) == (1, 8)
    assert found.lesion_dice == pytest.approx(2 * 48 / (64 + 48) / 3)  # over two lesions and one invented


def test_neighbours_within_six_voxels_are_one_lesion():
    """Each grows by three: a gap of 6 closes to components that touch, one of 7 leaves a voxel between."""
    for gap, count in ((6, 1), (7, 2)):
        reference = volume((2, 2, 2, 4), (2, 2, 6 + gap, 4))
        assert len(lesions(reference, reference).dice) == count, gap
    # they may grow together beyond the border of the volume, as they would inside of it
    edge = np.zeros((5, 20, 4), bool)
    edge[:4, :4], edge[:4, 10:14] = True, True
    assert len(lesions(edge, edge).dice) == 1


def test_a_component_that_meets_the_dilated_lesion_belongs_to_it():
    """A cube of 4 beside the lesion, 3 voxels away: no voxel in common, and no false positive."""
    reference, prediction = volume((10, 10, 10, 4)), volume((10, 10, 16, 4))
    assert lesions(prediction, reference) == Lesions((0.0,), 0, 0)
    away = volume((10, 10, 17, 4))
    assert lesions(away, reference) == Lesions((0.0,), 1, 64)
    assert lesions(reference | prediction, reference).dice == (pytest.approx(2 * 64 / (64 + 128)),)


def test_lesions_of_up_to_50_cubic_millimetres_count_for_nothing_but_what_meets_them_is_not_false():
    small = volume((2, 2, 2, 3))  # 27 voxels
    assert lesions(small, small) == Lesions((), 0, 0) and lesions(small, small).lesion_dice == 1
    assert lesions(small, small, voxel_mm3=2).dice == (1.0,)  # 54 mm^3
    empty = volume()
    assert lesions(empty, small).lesion_dice == 1 and lesions(empty, empty).lesion_dice == 1
    assert lesions(small, empty) == Lesions((), 1, 27) and lesions(small, empty).lesion_dice == 0


def test_they_stand_in_the_scores_of_a_volume():
    reference, prediction = volume((2, 2, 2, 4), (20, 20, 20, 4)), volume((2, 2, 2, 4), (20, 2, 30, 2))
    spacing = (1.0, 1.0, 2.0)
    row = score_volume(prediction.view(np.uint8), reference.view(np.uint8), ["et"], spacing)[0]
    assert row["lesion_dice"] == pytest.approx(1 / 3)
    assert row["sensitivity"] == pytest.approx(64 / 128)
    assert row["false_positive_ml"] == pytest.approx(8 * 2 / 1000)


def test_sensitivity_without_a_reference_is_what_the_policy_says():
    import pandas as pd

    one, none = np.ones((6, 6, 6), np.uint8), np.zeros((6, 6, 6), np.uint8)
    pairs = ((none, none), (one, none), (none, one))
    scores = pd.DataFrame(row for p, r in pairs for row in score_volume(p, r, ["et"]))
    assert scores["sensitivity"].isna().tolist() == [True, False, False] and scores["sensitivity"].tolist()[1:] == [
        0,
        0,
    ]
    challenge = apply_policy(scores, "challenge")  # as BraTS has it
    assert challenge["sensitivity"].tolist() == [1, 0, 0] and challenge["lesion_dice"].tolist() == [1, 0, 0]
