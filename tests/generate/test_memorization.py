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


def test_copies_without_the_noise_of_their_images_are_memorized():
    """As generators draw them: the noise of the real image keeps them away from it, a fixed ratio would miss them."""
    smooth, rng = alike(range(40)), torch.Generator().manual_seed(2)
    noisy = (smooth + 15 * torch.randn(smooth.shape, generator=rng)).clamp(0, 255).round().to(torch.uint8)
    memorization = Memorization(DeviceImages(noisy, "cpu"), 2, SUBJECTS)
    copies, new = memorization.look(smooth), alike(range(1000, 1040))
    assert copies["nearest_mean"] < 0.95 and copies["memorized_share"] > 0.9
    for noise in (0, 15):
        strangers = new + noise * torch.randn(new.shape, generator=rng)
        assert memorization.look(strangers)["memorized_share"] <= 0.0125, "2 of 160"


def alike(seeds):
    """Modalities of people who have half of their looks in common, float."""
    return torch.cat([(subject_images(99) / 2 + subject_images(seed) / 2)[:, :2] for seed in seeds])


def test_a_person_under_two_names_hides_nobody():
    names = list(SUBJECTS)
    names[0] = "twice"  # an image of s0, under another name
    found = Memorization(DeviceImages(IMAGES, "cpu"), 2, names)
    assert found.look(IMAGES[40:].float() * 0.9)["memorized_share"] == 1


def test_between_people_leaves_the_own_subject_out(memorization):
    per_image = Memorization(DeviceImages(IMAGES, "cpu"), 2, None)
    assert memorization.usual < 0.9 < per_image.usual
    alone = Memorization(DeviceImages(IMAGES[:4], "cpu"), 2, SUBJECTS[:4])
    assert alone.usual == 1 and alone.look(IMAGES[:1])["memorized_share"] == 0, "one subject tells nothing"
    two = Memorization(DeviceImages(IMAGES[:8], "cpu"), 2, SUBJECTS[:8])
    assert two.standing_out == 0 and two.look(IMAGES[:1])["memorized_share"] == 0, "nor do two"


def test_large_images_are_averaged_down():
    large = F.interpolate(IMAGES[:8].float(), size=128, mode="nearest").to(torch.uint8)
    memorization = Memorization(DeviceImages(large, "cpu"), 2, SUBJECTS[:8])
    assert memorization.vectors(large).shape == (8, 2 * 64 * 64)
    assert memorization.look(large[:1])["nearest_max"] == pytest.approx(1, abs=1e-5)
