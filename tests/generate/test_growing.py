"""Progressive growing: the schedule against the original's figures, and the images of a phase."""

import math

import numpy as np
import pytest
import torch
from made import grey_images, iterations

from understudy.generate import growing
from understudy.generate.growing import Phase, Schedule

TABLE = (128, 128, 128, 64, 32, 16, 8)


def official(**options):
    return Schedule(**({"size": 256, "first": 4, "stable": 6e5, "fade": 6e5, "batch": TABLE, "interval": 4} | options))


# ------------------------------------------------------------------------------------------------ the schedule
@pytest.mark.parametrize(
    ("kimg", "lod", "resolution", "batch"),
    [
        *((0, 6, 4, 128), (600, 6, 4, 128), (900, 5.5, 8, 128), (1200, 5, 8, 128), (1800, 5, 8, 128)),
        *((2100, 4.5, 16, 128), (3300, 3.5, 32, 64), (4500, 2.5, 64, 32), (5700, 1.5, 128, 16)),
        *((6600, 1, 128, 16), (6900, 0.5, 256, 8), (7200, 0, 256, 8), (12000, 0, 256, 8)),
    ],
)
def test_levels_of_detail_are_those_of_the_original(kimg, lod, resolution, batch):
    schedule = official(interval=1, batch=1)
    assert schedule.lod(kimg * 1000) == schedule.lod_at(kimg * 1000) == pytest.approx(lod)
    phase = schedule.phase_at(kimg * 1000)
    assert phase == (resolution, pytest.approx(lod % 1), 256 // resolution)
    assert growing.at_resolution(TABLE, resolution) == batch


@pytest.mark.parametrize(
    ("options", "kimg", "iterations"),
    [
        ({}, 12_000, 829_676),
        ({"first": 8, "batch": (256, 256, 128, 64, 32, 16)}, 25_000, 1_367_964),
        ({"first": 8, "batch": (256, 256, *TABLE[2:])}, 25_000, 2_592_960),
    ],
)
def test_iterations_of_the_original_schedules(options, kimg, iterations):
    schedule, batches = official(**options), []
    for start, end in zip(schedule._runs, [*schedule._runs[1:], (kimg * 1000, 0)], strict=True):
        batch = start[1] // 4
        batches.append((batch, math.ceil((end[0] - start[0]) / start[1]) * 4))
        for seen in (start[0], end[0] - 1):  # the table of runs is what single looks say
            assert schedule.batch_at(seen) == batch
    assert sum(n for _, n in batches) == iterations
    if not options:
        assert batches[-1] == (8, 674_992)


def test_every_iteration_follows_from_the_images_seen():
    """A loop that carries its state, as the original's, gives the same batches, levels and resets."""
    schedule = official(size=32, stable=100, fade=77, batch=(12, 8, 4, 4), interval=3)
    seen, before, resets = 0, None, 0
    while seen < 1500:
        lod = schedule.lod(seen)
        reset = before is not None and (math.floor(lod), math.ceil(lod)) != (math.floor(before), math.ceil(before))
        for repeat in range(3):
            assert schedule.lod_at(seen) == lod and schedule.begins_level(seen) == (reset and repeat == 0)
            seen += schedule.batch_at(seen)
        before, resets = lod, resets + reset
    assert resets == 6


@pytest.mark.parametrize(("stable", "fade"), [(0, 50), (50, 0), (3, 2)])
def test_schedules_without_a_part_or_shorter_than_a_batch_come_to_the_full_size(stable, fade):
    schedule = official(size=32, stable=stable, fade=fade, batch=(16, 8, 4, 4), interval=2)
    lods = [schedule.lod_at(seen) for seen in iterations(schedule, 400)]
    assert lods == sorted(lods, reverse=True) and lods[0] == 3 and lods[-1] == 0
    assert fade or all(lod == int(lod) for lod in lods)


def test_a_training_may_begin_at_its_full_size():
    schedule = official(size=8, first=8)
    assert {schedule.phase_at(seen) for seen in (0, 10**6, 10**8)} == {Phase(8)} and schedule.top == 0
    assert not any(schedule.begins_level(seen) for seen in range(0, 4096, 512))
    assert list(schedule.shares(1000)) == [(Phase(8), 1)]


def test_shares_of_a_training():
    shares = list(official().shares(12e6))
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert shares[0] == (Phase(4, 0, 64), 0.05) and shares[1] == (Phase(8, 0.5, 32), 0.05)
    assert shares[-1] == (Phase(256), pytest.approx(0.4)) and len(shares) == 13
    assert list(official().shares(9e5)) == [(Phase(4, 0, 64), pytest.approx(2 / 3)), (Phase(8, 0.5, 32), 1 / 3)]


def test_tables_hold_above_their_last_entry():
    assert [growing.at_resolution((1, 2, 3), r) for r in (4, 8, 16, 512)] == [1, 2, 3, 3]
    assert growing.at_resolution([5], 64) == growing.at_resolution(5, 64) == 5


# ------------------------------------------------------------------------------------------------ images
def test_real_images_are_halved_as_the_original_stores_them():
    """Means of floats, level by level, each rounded to 8 bit from what was not rounded; halves go to the even."""
    grey = np.random.default_rng(0).integers(0, 256, (3, 2, 16, 16))
    x, level = torch.from_numpy(grey).float() / 127.5 - 1, grey.astype(np.float64)
    assert growing.shown(x, Phase(16)) is x
    for enlarged in (2, 4):
        level = level.reshape(3, 2, level.shape[2] // 2, 2, -1, 2).mean((3, 5))
        stored = (growing.shown(x, Phase(16 // enlarged, 0, enlarged)) + 1) * 127.5
        np.testing.assert_allclose(stored, np.rint(level), atol=1e-4)


def test_real_images_fade_as_the_generator_does():
    x = grey_images(2)
    blurred = x.view(2, 2, 8, 2, 8, 2).mean((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(growing.shown(x, Phase(16, 0.25)), 0.75 * x + 0.25 * blurred)
    assert torch.equal(growing.full_size(x[..., ::2, ::2], 16)[..., 1::2, ::2], x[..., ::2, ::2])
