"""Copies of training images are found; other images of the same kind, blurred ones and noise are none."""

import pytest
import torch
import torch.nn.functional as F
from made import subject_images

from understudy.generate.memorization import Memorization
from understudy.run.device_images import DeviceImages

SUBJECTS = [f"s{i // 4}" for i in range(160)]
IMAGES = torch.cat([subject_images(seed) for seed in range(40)])


@pytest.fixture
def memorization():
    return Memorization(DeviceImages(IMAGES, "cpu"), 2, SUBJECTS)


def test_copies_are_memorized_whatever_their_contrast_and_annotation(memorization):
    copies = IMAGES[[3, 50, 99, 120]].float() * 0.7 + 20
    copies[:, 2] = 0  # the annotation does not count
    found = memorization.look(copies + torch.randn(copies.shape, generator=torch.Generator().manual_seed(1)))
    assert found["memorized_share"] == 1 and found["nearest_mean"] > 0.99


def test_new_subjects_are_not(memorization):
    found = memorization.look(torch.cat([subject_images(seed) for seed in range(1000, 1010)]))
    assert (
        found["memorized_share"] == 0 and 0 < found["nearest_mean"] <= found["nearest_max"] < memorization.usual + 0.1
    )


def test_the_mean_image_is_near_to_all_and_a_copy_of_none(memorization):
    mean = IMAGES.float().mean(0, keepdim=True)
    assert memorization.look(mean)["memorized_share"] == 0


def test_what_is_usual_leaves_the_own_subject_out(memorization):
    per_image = Memorization(DeviceImages(IMAGES, "cpu"), 2, None)
    assert memorization.usual < 0.9 < per_image.usual
    alone = Memorization(DeviceImages(IMAGES[:4], "cpu"), 2, SUBJECTS[:4])
    assert alone.usual == 1 and alone.look(IMAGES[:1])["memorized_share"] == 0, "one subject tells nothing"


def test_large_images_are_averaged_down():
    large = F.interpolate(IMAGES[:8].float(), size=128, mode="nearest").to(torch.uint8)
    memorization = Memorization(DeviceImages(large, "cpu"), 2, SUBJECTS[:8])
    assert memorization.vectors(large).shape == (8, 2 * 64 * 64)
    assert memorization.look(large[:1])["nearest_max"] == pytest.approx(1, abs=1e-5)
