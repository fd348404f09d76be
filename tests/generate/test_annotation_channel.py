"""Both codings of the annotation give every stack back, and say what a generator's values between mean."""

import numpy as np
import pytest
import torch

from understudy.generate.annotation_channel import Coding, to_uint8

CHANNELS = ["t1", "t2", "seg"]
LABELS = {"et": 204, "ncr_net": 51, "ed": 102}  # not ascending: the order is that of the grey levels


def stack_NCHW():
    rng = np.random.default_rng(0)
    x_NCHW = rng.integers(0, 256, (3, 3, 8, 8), np.uint8)
    x_NCHW[:, 2] = rng.choice(np.array([0, 51, 102, 204], np.uint8), (3, 8, 8))
    return x_NCHW


@pytest.mark.parametrize(("kind", "channels"), [("grey", 3), ("channels", 5)])
def test_what_is_encoded_comes_back(kind, channels):
    coding, x_NCHW = Coding.of(kind, CHANNELS, LABELS), stack_NCHW()
    coded = coding.encode(torch.from_numpy(x_NCHW))
    assert coded.dtype == torch.uint8 and coded.shape[1] == coding.count(3) == channels
    np.testing.assert_array_equal(coding.decode(coded.float() / 127.5 - 1), x_NCHW)


def test_channels_are_one_for_each_label_by_grey_level():
    x_NCHW = torch.zeros(1, 2, 1, 4, dtype=torch.uint8)
    x_NCHW[0, 1, 0] = torch.tensor([0, 51, 102, 204])
    coded = Coding("channels", LABELS).encode(x_NCHW)
    assert coded[0, 1:, 0].tolist() == [[0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255]]


def test_grey_values_between_mean_the_nearest_level():
    greys = torch.tensor([0, 25, 26, 76, 77, 153, 154, 255])
    x_NCHW = ((greys - 128 + 0.5) / 127.5).expand(1, 2, 1, 8)
    decoded = Coding("grey", LABELS).decode(x_NCHW)
    assert decoded[0, 1, 0].tolist() == [0, 0, 51, 51, 102, 102, 204, 204]
    assert decoded[0, 0, 0].tolist() == greys.tolist()


def test_a_blurred_border_has_a_false_rim_in_grey_and_none_in_channels():
    border = torch.zeros(1, 2, 1, 9, dtype=torch.uint8)
    border[0, 1, 0, 5:] = 204
    for kind, expected in (("grey", {0, 51, 102, 204}), ("channels", {0, 204})):
        coding = Coding(kind, LABELS)
        x_NCHW = coding.encode(border).float() / 127.5 - 1
        blurred = torch.nn.functional.avg_pool2d(x_NCHW, (1, 5), 1, (0, 2), count_include_pad=False)
        assert set(np.unique(coding.decode(blurred)[:, 1])) == expected, kind


@pytest.mark.parametrize(
    ("shares", "grey"),
    [
        ([0.0, 0.0, 0.0], 0),
        ([0.5, 0.0, 0.0], 0),  # a border: the background has as much
        ([0.6, 0.0, 0.0], 51),
        ([0.3, 0.45, 0.2], 102),  # no label has half, the background a twentieth
        ([0.3, 0.3, 0.0], 0),
        ([-0.5, 0.6, 1.7], 204),  # networks answer beyond the ends
    ],
)
def test_the_largest_share_wins_and_the_background_has_what_the_labels_leave(shares, grey):
    x_NCHW = torch.tensor([0.0, *(2 * share - 1 for share in shares)]).view(1, 4, 1, 1)
    assert Coding("channels", LABELS).decode(x_NCHW)[0, 1, 0, 0] == grey


def test_rounding_is_the_studys():
    x = torch.tensor([-1.0, -0.999, 0.0, 0.9999, 1.0]).view(1, 1, 1, 5)
    assert to_uint8(x).ravel().tolist() == [0, 0, 128, 255, 255]


def test_without_an_annotation_there_is_nothing_to_code():
    assert Coding.of("grey", ["t1", "t2"], LABELS).modalities(2) == 2
    with pytest.raises(ValueError, match="annotation: channels: found no labels in a stack of t1, t2"):
        Coding.of("channels", ["t1", "t2"], LABELS)
