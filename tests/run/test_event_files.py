"""TensorBoard's own reader finds what a training has written; what a killed attempt wrote beyond is hidden."""

import os
import signal
import sys
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch

from understudy.run import progress
from understudy.run.training_loop import train

PICTURE_HW = np.random.default_rng(0).integers(0, 256, (6, 8), np.uint8)


class Watched:
    """A trainee of whom there is a picture after every step."""

    images_per_step = 4
    done = False

    def __init__(self, killed_at=None):
        self.images_seen, self.killed_at = 0, killed_at

    def step(self, images_seen):
        if images_seen == self.killed_at:
            os.kill(os.getpid(), signal.SIGTERM)
        self.images_seen = images_seen + 4
        return {"loss": torch.tensor(100.0 - self.images_seen)}

    def shown(self):
        return [("samples", self.images_seen, PICTURE_HW), ("validation/dice", self.images_seen, 0.5)]

    def state(self):
        return {"images_seen": self.images_seen}

    def load_state(self, state):
        self.images_seen = state["images_seen"]


def test_tensorboards_own_reader_finds_scalars_and_pictures(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="an extra: docs/tracking.md")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(progress, "LOG_SECONDS", 0)  # a line after every step
    assert not train(Watched(killed_at=8), tmp_path, 20, config={}, tracking="tensorboard").finished
    assert train(Watched(), tmp_path, 20, config={}, tracking="tensorboard").finished
    found = EventAccumulator(str(tmp_path)).Reload()
    seen = [4, 8, 12, 16, 20]
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(n, 100 - n) for n in seen]
    assert [event.step for event in found.Scalars("validation/dice")] == seen
    assert {"seconds_per_kimg", "memory_mb"} <= set(found.Tags()["scalars"])
    for event in found.Images("samples"):
        png = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(png, PICTURE_HW)


def test_nothing_is_written_by_default(tmp_path):
    train(Watched(), tmp_path, 20, config={})
    assert not list(tmp_path.glob("*tfevents*"))


def test_a_missing_package_is_one_line(tmp_path):
    without = patch.dict(sys.modules, {"torch.utils.tensorboard": None})
    with (
        without,
        pytest.raises(ValueError, match="expected tensorboard. Install it beside torch, or set `tracking: none`"),
    ):
        train(Watched(), tmp_path, 20, config={}, tracking="tensorboard")
