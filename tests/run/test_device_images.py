"""The order of images is a function of seed and place, and every epoch sees each image once."""

import numpy as np
import torch

from understudy.run.device_images import DeviceImages, epoch_indices
from understudy.run.seeds import generator, seed_of
from understudy.stack.labels import classes_of_grey, grey_of_classes, label_names

LEVELS = {"et": 204, "ncr_net": 51, "ed": 102}


def test_every_epoch_sees_every_image_once():
    order = epoch_indices(7, 3, 0, 21).numpy().reshape(3, 7)
    assert all(sorted(epoch) == list(range(7)) for epoch in order.tolist())
    assert len({tuple(epoch) for epoch in order.tolist()}) == 3


def test_any_piece_of_the_order_can_be_computed_alone():
    whole = epoch_indices(7, 3, 0, 50)
    for start, count in ((0, 3), (5, 4), (13, 20), (49, 1)):
        assert torch.equal(epoch_indices(7, 3, start, count), whole[start : start + count])
    assert not torch.equal(epoch_indices(7, 4, 0, 50), whole)


def test_batches_are_gathered():
    x_NCHW = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    images = DeviceImages(x_NCHW, "cpu")
    np.testing.assert_array_equal(images.batch(torch.tensor([4, 1])).numpy(), x_NCHW[[4, 1]])


def test_seeds_tell_keys_apart():
    assert seed_of(1, "a", 23) == seed_of(1, "a", 23)
    assert len({seed_of(1, "a", 23), seed_of(1, "a2", 3), seed_of(1, "a", 2, 3), seed_of(12, "a", 3)}) == 4
    assert torch.rand(1, generator=generator("cpu", 1)) == torch.rand(1, generator=generator("cpu", 1))


def test_grey_levels_go_to_the_nearest_label():
    """Thresholds of the study: > 25.5, > 76.5, > 153."""
    grey = np.array([0, 25, 26, 51, 76, 77, 102, 153, 154, 255], np.uint8)
    np.testing.assert_array_equal(classes_of_grey(grey, LEVELS), [0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    assert label_names(LEVELS) == ["ncr_net", "ed", "et"]
    np.testing.assert_array_equal(grey_of_classes(np.array([0, 1, 2, 3]), LEVELS), [0, 51, 102, 204])
