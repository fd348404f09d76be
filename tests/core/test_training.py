"""The loop stops when it must, goes on where it stopped, and refuses what would mix two trainings."""

import json
import multiprocessing
import os
import signal
import time

import pytest
import torch

from understudy.core import training
from understudy.core.training import run_directory, train

CONFIG = {"rate": 0.5, "seed": 1}


class Counter:
    """The smallest trainee: its state is a function of every step it has made."""

    images_per_step = 4

    def __init__(self, action=lambda images_seen: None, loss=1.0):
        self.value, self.action, self.loss = torch.zeros(()), action, loss

    def step(self, images_seen):
        self.action(images_seen)
        self.value = self.value * 1.25 + images_seen
        return {"loss": torch.tensor(self.loss)}

    def state(self):
        return {"value": self.value}

    def load_state(self, state):
        self.value = state["value"]


def test_stopped_and_resumed_equals_straight(tmp_path):
    straight = Counter()
    assert train(straight, tmp_path / "a", 100, config=CONFIG).finished
    halves = Counter(lambda seen: os.kill(os.getpid(), signal.SIGTERM) if seen == 40 else None)
    outcome = train(halves, tmp_path / "b", 100, config=CONFIG)
    assert not outcome.finished and outcome.images_seen == 44
    rest = Counter()
    outcome = train(rest, tmp_path / "b", 100, config=CONFIG)
    assert outcome.finished and outcome.images_seen == 100
    assert torch.equal(rest.value, straight.value)


def test_a_finished_training_is_not_trained_again(tmp_path):
    train(Counter(), tmp_path, 40, config=CONFIG)

    def never(images_seen):
        raise AssertionError

    again = Counter(never)
    assert train(again, tmp_path, 40, config=CONFIG).finished
    assert again.value > 0


def test_it_leaves_within_its_time_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_PROCESS_START", time.monotonic() - 3600)
    outcome = train(Counter(), tmp_path, 40, config=CONFIG, budget_minutes=70, margin_minutes=20)
    assert not outcome.finished and outcome.images_seen == 0
    assert train(Counter(), tmp_path, 40, config=CONFIG, budget_minutes=90, margin_minutes=20).finished


def test_a_budget_that_is_all_margin_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found 15 minutes with a margin of 20"):
        train(Counter(), tmp_path, 40, config=CONFIG, budget_minutes=15, margin_minutes=20)


def test_another_config_is_refused_with_the_keys_that_differ(tmp_path):
    train(Counter(), tmp_path, 40, config=CONFIG)
    with pytest.raises(ValueError, match=r"rate: 0.5 there, 0.25 now"):
        train(Counter(), tmp_path, 40, config={**CONFIG, "rate": 0.25})
    assert run_directory(tmp_path, CONFIG) != run_directory(tmp_path, {**CONFIG, "rate": 0.25})


def _hold(path, started):
    train(Counter(lambda seen: (started.set(), time.sleep(60))), path, 40, config=CONFIG)


def test_a_second_writer_is_refused(tmp_path):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    first = context.Process(target=_hold, args=(tmp_path, started))
    first.start()
    try:
        assert started.wait(30)
        with pytest.raises(ValueError, match="another process"):
            train(Counter(), tmp_path, 40, config=CONFIG)
    finally:
        first.kill()
        first.join()
    assert train(Counter(), tmp_path, 40, config=CONFIG).finished


def test_a_diverged_training_fails_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "LOG_SECONDS", 0)
    with pytest.raises(ValueError, match="diverged .* loss is no number"):
        train(Counter(loss=float("nan")), tmp_path, 400, config=CONFIG)


def test_progress_can_be_read_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "LOG_SECONDS", 0)
    train(Counter(), tmp_path, 20, config=CONFIG)
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == [4, 8, 12, 16, 20]
    assert all(line["images"] == 20 and line["loss"] == 1 and line["seconds_per_kimg"] >= 0 for line in lines)
