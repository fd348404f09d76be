"""Expected calibration error against cases worked out by hand, and what is counted."""

import numpy as np
import pandas as pd
import pytest
import torch
from made import make_stack

from understudy.report.reliability import CalibrationCounts, draw_reliability, expected_calibration_error
from understudy.segment import build
from understudy.segment.calibration import binned, calibration_counts
from understudy.study.grid import Setting

COLUMNS = ["subject", "bin", "voxels", "confidence", "correct"]
# 10 voxels of confidence 0.95, 8 right; 30 of 0.6, 27 right: 0.25 * 0.15 + 0.75 * 0.3
BY_HAND = pd.DataFrame([("a", 9, 10, 9.5, 8), ("a", 6, 10, 6.0, 9), ("b", 6, 20, 12.0, 18)], columns=COLUMNS)


def test_the_error_by_hand():
    error, over = expected_calibration_error(BY_HAND)
    assert error == pytest.approx(0.25 * 0.15 + 0.75 * 0.3) and over == pytest.approx(0.25 * 0.15 - 0.75 * 0.3)
    assert all(np.isnan(expected_calibration_error(BY_HAND[:0])))


def test_voxels_count_where_either_has_a_label():
    found, reference = np.array([0, 1, 0, 2, 1]), np.array([0, 1, 1, 1, 0])
    voxels, confidence, correct = binned(found, np.array([0.99, 1.0, 0.55, 0.5, 0.75], np.float32), reference)
    assert voxels.tolist() == [0, 0, 0, 0, 0, 2, 0, 1, 0, 1]
    assert correct.tolist() == [0] * 9 + [1] and confidence[5] == pytest.approx(1.05)


def test_a_network_is_counted_over_its_test_subjects(tmp_path):
    torch.manual_seed(0)
    test = make_stack(tmp_path / "test.zip", ["a", "b"], 3)
    network = build("unet", channels=4, classes=4, size=16, depth=2, base_filters=2)
    options = {"precision": "fp32", "intensities": "z_score"}
    rows = pd.DataFrame(calibration_counts(network, test, "all", "cpu", options))
    assert set(rows["subject"]) == {"a", "b"} and (rows["correct"] <= rows["voxels"]).all()
    assert (rows["confidence"] / rows["voxels"]).between(rows["bin"] / 10 - 1e-6, (rows["bin"] + 1) / 10 + 1e-6).all()


def test_table_and_figure():
    setting = Setting("d", "unet", "real", "augmented", 2)
    study = CalibrationCounts({setting: [BY_HAND, BY_HAND[:1]]})
    (row,) = study.table("calibration").to_dict("records")
    assert row["ece_mean"] == pytest.approx((0.2625 + 0.15) / 2) and row["repeats"] == 2
    lines = draw_reliability(study).axes[0].lines
    assert lines[1].get_xdata().tolist() == pytest.approx([0.6, 0.95])
