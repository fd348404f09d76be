"""Annotations of constructed images have the counts that anybody can see; the summary tells real from other ones."""

import numpy as np
import pytest
from made import LEVELS, make_stack

from understudy.evaluate.annotation_fidelity import (
    Annotations,
    annotations_of,
    contacts_of,
    counts_of,
    largest_gap,
    pieces_of,
    summary,
    write_annotation,
)
from understudy.evaluate.features import Images

NCR, ED, ET = 51, 102, 204


def nested(size=24):
    """Edema 12 x 12 around enhancing tumor 6 x 6 around a core of 2 x 2."""
    x = np.zeros((size, size), np.uint8)
    x[4:16, 4:16], x[7:13, 7:13], x[9:11, 9:11] = ED, ET, NCR
    return x


def gathered(*images):
    names = ["ncr_net", "ed", "et"]
    return Annotations(
        names, *(np.stack(column) for column in zip(*(counts_of(x, LEVELS) for x in images), strict=True))
    )


def cell(table, label, measure, side="synthetic"):
    (value,) = table[(table.label == label) & (table.measure == measure)][side]
    return value


def test_counts_of_nested_squares():
    one = gathered(nested())
    assert one.pixels.tolist() == [[4, 144 - 36, 36 - 4]]
    assert one.pieces.tolist() == [[1, 1, 1]]
    assert one.enclosed.tolist() == [[1, 0, 1]]  # edema touches the background
    contacts = one.contacts[0]
    assert contacts[0, 2] == 4 * 12 and contacts[2, 3] == 4 * 6 and contacts[1, 3] == 4 * 2
    assert contacts[0, 1] == contacts[0, 3] == contacts[1, 2] == 0 and (contacts == contacts.T).all()
    assert one.between.tolist() == [0] and one.foreground.tolist() == [144]


def test_pieces_touch_at_corners_and_the_edge_of_the_image_is_open():
    x = np.zeros((8, 8), int)
    x[0, 0] = x[1, 1] = x[5, 5] = 1
    assert pieces_of(x, 1) == (2, 0)
    full = np.ones((8, 8), int)
    full[3, 3] = 2
    assert pieces_of(full, 1) == (1, 0) and pieces_of(full, 2) == (1, 1)


def test_where_in_the_image_a_tumor_lies_changes_its_counts_at_the_edge_alone():
    """A core at the image's edge is open, as nobody knows what is beyond."""
    x = nested()
    inside = [counts_of(np.roll(x, shift, (0, 1)), LEVELS) for shift in ((0, 0), (3, -2), (7, 7))]
    for other in inside[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(inside[0], other, strict=True))
    cut = counts_of(x[10:, 10:], LEVELS)
    assert cut[2].tolist() == [0, 0, 0] and cut[0].tolist() == [1, 36 - 9, 9 - 1]


def test_contacts_count_pairs_of_neighbours():
    x = np.array([[0, 1], [1, 0]])
    assert contacts_of(x, 2).tolist() == [[0, 4], [4, 0]]


@pytest.mark.parametrize(("grey", "between"), [(0, 0), (12, 0), (13, 1), (25, 1), (38, 1), (39, 0), (51, 0), (63, 0)])
def test_greys_between_levels_are_those_nearer_to_a_threshold(grey, between):
    """Levels 0 and 51, threshold 25.5: nearer to it from 13 to 38."""
    assert counts_of(np.full((1, 1), grey, np.uint8), LEVELS)[4] == between


def test_a_pair_that_never_touches_in_real_images_is_illegal():
    broken = nested()
    broken[4:6, 4:6] = ET  # enhancing tumor at the outer border
    blurred = nested()
    blurred[4, 4:16] = 70
    real = gathered(*[nested()] * 10, np.zeros((24, 24), np.uint8))
    table = summary({"real": real, "synthetic": gathered(nested(), broken, blurred, nested())})
    assert cell(table, "background/et", "touching_share", "real") == 0
    assert cell(table, "all", "illegal_share", "real") == 0
    assert cell(table, "all", "illegal_share") == 0.5  # 70 is read as necrosis, at the background
    assert cell(table, "all", "between_levels_share") == pytest.approx(12 / (4 * 144))
    assert cell(table, "et", "enclosed_share") == pytest.approx(4 / 5)
    assert cell(table, "all", "empty_share", "real") == pytest.approx(1 / 11)
    assert cell(table, "ed", "images_share", "real") == pytest.approx(10 / 11)


def test_real_images_beside_themselves_differ_in_nothing(tmp_path):
    images = Images.included(make_stack(tmp_path / "s.zip", ["a", "b"], 6))
    one = annotations_of(images, 2)
    table = summary({"real": one, "synthetic": one})
    assert (table[table.measure.str.endswith("_ks")]["synthetic"] == 0).all()
    assert table["real"].equals(table["synthetic"])
    assert len(one.pixels) == 12 and not table.duplicated(["label", "measure"]).any()


def test_a_label_that_no_synthetic_image_has_is_no_number(tmp_path):
    empty = gathered(np.zeros((24, 24), np.uint8))
    write_annotation(tmp_path / "a.csv", {"dataset": "d"}, {"real": gathered(nested()), "synthetic": empty})
    text = (tmp_path / "a.csv").read_text()
    assert "d,et,pixels_median,32.0,\n" in text and "d,et,images_share,1.0,0.0\n" in text
    assert "d,et,pixels_ks,0.0,1.0\n" in text


def test_largest_gap_is_kolmogorov_and_smirnovs():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 50), rng.integers(2, 12, 70)
    assert largest_gap(a, b) == pytest.approx(ks_2samp(a, b).statistic)
    assert np.isnan(largest_gap(a, a[:0]))
