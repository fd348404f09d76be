import re

import numpy as np
import pandas as pd
import pytest
from made import score_row

from understudy.evaluate import dice, hausdorff, hausdorff95, surface_dice
from understudy.evaluate.lesions import lesions
from understudy.evaluate.scores import (
    COLUMNS,
    apply_policy,
    count_empties,
    read_scores,
    score_volume,
    write_scores,
)

LABELS = ["ncr_net", "ed", "et"]
REGIONS = {"whole_tumor": LABELS, "tumor_core": ["ncr_net", "et"], "enhancing": ["et"]}
KEY = {"dataset": "d", "segmenter": "unet", "training_set": "real", "augmentation": "plain", "repeat": 0}


def rows_of(*pairs) -> list[dict]:
    """Rows from (dice, mm, reference voxels, predicted voxels)."""
    return [
        score_row(**KEY, subject=f"s{i}", label="et", **dict(zip(COLUMNS[7:11], pair, strict=True)))
        for i, pair in enumerate(pairs)
    ]


EMPTIES = rows_of((0.5, 3.0, 10, 10), (np.nan, np.nan, 0, 0), (0.0, np.nan, 0, 7), (0.0, np.nan, 7, 0))


def test_each_label_scores_as_its_masks_do():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 4, (12, 14, 16)).astype(np.uint8) for _ in range(2))
    a[:3], b[:2] = 0, 0
    spacing_mm = (2, 1, 0.5)
    rows = score_volume(a, b, LABELS, spacing_mm, REGIONS, tolerance_mm=1.2)
    masks = {label: (a == c, b == c) for c, label in enumerate(LABELS, start=1)}
    masks |= {"whole_tumor": (a > 0, b > 0), "tumor_core": ((a == 1) | (a == 3), (b == 1) | (b == 3))}
    masks["enhancing"] = masks["et"]
    for row, (name, (p, r)) in zip(rows, masks.items(), strict=True):
        assert row == {
            "label": name,
            "kind": "label" if name in LABELS else "region",
            "dice": pytest.approx(dice(p, r)),
            "surface_dice": pytest.approx(surface_dice(p, r, spacing_mm, 1.2)),
            "hausdorff_mm": pytest.approx(hausdorff(p, r, spacing_mm)),
            "hausdorff95_mm": pytest.approx(hausdorff95(p, r, spacing_mm)),
            "lesion_dice": pytest.approx(lesions(p, r).lesion_dice),
            "sensitivity": pytest.approx((p & r).sum() / r.sum()),
            "false_positive_ml": pytest.approx(lesions(p, r).false_positive_voxels / 1000),
            "reference_voxels": r.sum(),
            "predicted_voxels": p.sum(),
            "reference_ml": pytest.approx(r.sum() / 1000),
            "predicted_ml": pytest.approx(p.sum() / 1000),
        }


def test_a_region_of_unknown_labels_is_named():
    volume = np.zeros((3, 4, 5), np.uint8)
    with pytest.raises(ValueError, match="region core: found necrosis, expected labels of ncr_net, ed, et"):
        score_volume(volume, volume, LABELS, regions={"core": ["et", "necrosis"]})


def test_absent_labels_are_undefined_and_counted():
    prediction, reference = np.zeros((2, 3, 4, 5), np.uint8)
    prediction[1, 1, 1] = 2
    reference[1, 1, 2] = 3
    ncr_net, ed, et = score_volume(prediction, reference, LABELS)
    assert np.isnan(ncr_net["dice"]) and np.isnan(ncr_net["hausdorff_mm"])
    assert (ed["dice"], ed["reference_voxels"], ed["predicted_voxels"]) == (0, 0, 1) and np.isnan(ed["hausdorff_mm"])
    assert (et["dice"], et["reference_voxels"], et["predicted_voxels"]) == (0, 1, 0) and np.isnan(et["hausdorff_mm"])
    assert all(np.isnan(row["dice"]) for row in score_volume(reference * 0, reference * 0, LABELS))


def test_wrong_volumes_are_named():
    volume = np.zeros((3, 4, 5), np.uint8)
    with pytest.raises(ValueError, match="found class 4, expected 0 to 3"):
        score_volume(volume + 4, volume, LABELS)
    with pytest.raises(ValueError, match=r"\(3, 4, 5\).*\(3, 4, 4\)"):
        score_volume(volume, volume[..., 1:], LABELS)
    with pytest.raises(ValueError, match="whole class numbers"):
        score_volume(volume - 0.5, volume, LABELS)


def test_file_keeps_undefined_values_as_empty_cells_and_every_digit(tmp_path):
    rows = rows_of((1 / 3, 149.58943813, 10, 20), (np.nan, np.nan, 0, 0))
    path = tmp_path / "scores.csv"
    write_scores(path, rows)
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == "d,unet,real,plain,0,s0,et,0.3333333333333333,149.58943813,10,20,,,,,,,,label,"
    assert lines[2] == "d,unet,real,plain,0,s1,et,,,0,0,,,,,,,,label,"
    pd.testing.assert_frame_equal(read_scores(path), pd.DataFrame(rows, columns=COLUMNS), check_dtype=False)
    again = tmp_path / "again.csv"
    write_scores(again, read_scores(path).to_dict("records"))
    assert again.read_bytes() == path.read_bytes()


def test_columns_in_another_order_or_too_few_are_refused(tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(path, EMPTIES)
    whole = path.read_text()
    before = re.sub(",[a-z]*$", "", whole, flags=re.M)  # when a training that failed had no scores
    path.write_text(before)
    assert (read_scores(path)["failure"] == "").all()
    fewer = re.sub(",[a-z]*$", "", before, flags=re.M)
    for text in (whole.replace("dice,hausdorff_mm", "hausdorff_mm,dice"), fewer):
        path.write_text(text)
        with pytest.raises(ValueError, match="found the columns"):
            read_scores(path)


@pytest.mark.parametrize(
    "column, text", [("dice", "inf"), ("dice", "1.5"), ("hausdorff_mm", "-1"), ("reference_voxels", "-4")]
)
def test_a_score_that_cannot_be_is_named(tmp_path, column, text):
    path = tmp_path / "scores.csv"
    write_scores(path, EMPTIES)
    header, row, *others = path.read_text().splitlines()
    cells = row.split(",")
    cells[COLUMNS.index(column)] = text
    path.write_text("\n".join([header, ",".join(cells), *others]) + "\n")
    with pytest.raises(ValueError, match=f"found {text} in column {column}"):
        read_scores(path)


def test_a_subject_may_be_called_na(tmp_path):
    write_scores(tmp_path / "scores.csv", [EMPTIES[0] | {"subject": "NA"}])
    assert read_scores(tmp_path / "scores.csv")["subject"].tolist() == ["NA"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\nd,u,r,p,x,s,et,0,0,0,0\n"])
def test_a_file_that_is_no_scores_is_named(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(ValueError, match=r"scores\.csv: found .* expected"):
        read_scores(tmp_path / "scores.csv")
    with pytest.raises(ValueError, match="no such scores"):
        read_scores(tmp_path / "other.csv")


@pytest.mark.parametrize(
    "policy, dice_of_each, mm_of_each",
    [
        ("penalty", [0.5, np.nan, 0, 0], [3, np.nan, 373.12866, 373.12866]),
        ("study", [0.5, np.nan, 0, 0], [3, np.nan, np.nan, np.nan]),
        ("challenge", [0.5, 1, 0, 0], [3, 0, 373.12866, 373.12866]),
        ("nan", [0.5, np.nan, np.nan, np.nan], [3, np.nan, np.nan, np.nan]),
    ],
)
def test_policies(policy, dice_of_each, mm_of_each):
    scores = pd.DataFrame(EMPTIES)
    after = apply_policy(scores, policy)
    np.testing.assert_array_equal(after["dice"], dice_of_each)
    np.testing.assert_array_equal(after["hausdorff_mm"], mm_of_each)
    assert scores.equals(pd.DataFrame(EMPTIES))
    twins = scores.assign(surface_dice=scores["dice"], hausdorff95_mm=scores["hausdorff_mm"])
    after = apply_policy(twins, policy)
    np.testing.assert_array_equal(after["surface_dice"], dice_of_each)
    np.testing.assert_array_equal(after["hausdorff95_mm"], mm_of_each)


def test_policy_for_another_field_of_view_and_an_unknown_one():
    assert apply_policy(pd.DataFrame(EMPTIES), "challenge", 100.0)["hausdorff_mm"].max() == 100
    assert pytest.approx(np.sqrt(240**2 + 240**2 + 155**2), abs=5e-6) == 373.12866
    with pytest.raises(ValueError, match="penalty, study, challenge, nan"):
        apply_policy(pd.DataFrame(EMPTIES), "none")


def test_empties_are_counted_per_kind():
    (row,) = count_empties(pd.DataFrame(EMPTIES)).to_dict("records")
    assert [row[c] for c in ("volumes", "both_empty", "reference_empty", "prediction_empty")] == [4, 1, 1, 1]
    assert (row["segmenter"], row["label"]) == ("unet", "et")
