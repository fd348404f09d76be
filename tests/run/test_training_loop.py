"""The loop stops when it must, goes on where it stopped, and refuses what would mix two trainings."""

import json
import multiprocessing
import os
import signal
import time

import pytest
import torch

from understudy.run import attempts, progress
from understudy.run.stop import Limits
from understudy.run.training_loop import run_directory, train

CONFIG = {"rate": 0.5, "seed": 1}


class Counter:
    """The smallest trainee: its state is a function of every step it has made."""

    images_per_step = 4
    done = False

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


def test_it_leaves_within_its_time_budget(tmp_path):
    late = Limits(deadline=time.time() - 1)
    outcome = train(Counter(), tmp_path, 40, config=CONFIG, limits=late)
    assert (outcome.finished, outcome.images_seen, outcome.reason) == (False, 0, "budget")
    assert train(Counter(), tmp_path, 40, config=CONFIG, limits=Limits(deadline=time.time() + 600)).finished


def test_another_config_is_refused_with_the_keys_that_differ(tmp_path):
    train(Counter(), tmp_path, 40, config=CONFIG)
    with pytest.raises(ValueError, match=r"rate: 0.5 there, 0.25 now"):
        train(Counter(), tmp_path, 40, config={**CONFIG, "rate": 0.25})
    assert run_directory(tmp_path, CONFIG) != run_directory(tmp_path, {**CONFIG, "rate": 0.25})


def test_a_finished_training_keeps_its_last_checkpoint_alone(tmp_path):
    train(Counter(), tmp_path, 40, config=CONFIG, limits=Limits(checkpoint_minutes=0))
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-000000040"]


def _hold(path, started, ends):
    trainee = Counter(lambda seen: (started.set(), time.sleep(0.01)))
    outcome = train(trainee, path, 400_000, config=CONFIG, limits=Limits(silent_seconds=0.6))
    ends.put((outcome.reason, outcome.images_seen))


def test_a_second_process_takes_over_where_the_first_was_asked_to_leave(tmp_path):
    context = multiprocessing.get_context("fork")
    started, ends = context.Event(), context.Queue()
    first = context.Process(target=_hold, args=(tmp_path, started, ends))
    first.start()
    assert started.wait(30)
    seen = []
    trainee = Counter(seen.append)
    late = Limits(deadline=time.time() + 3600, silent_seconds=0.6)
    stop = Counter(lambda images: (seen.append(images), os.kill(os.getpid(), signal.SIGTERM)))
    assert train(stop, tmp_path, 400_000, config=CONFIG, limits=late).reason == "signal"
    reason, images_seen = ends.get(timeout=30)
    first.join()
    assert reason == "asked" and seen == [images_seen] and images_seen > 0
    assert trainee.value == 0 and not (tmp_path / "leave").exists()


def test_the_history_says_why_attempts_ended(tmp_path):
    train(Counter(lambda seen: os.kill(os.getpid(), signal.SIGUSR1)), tmp_path, 40, config=CONFIG)

    def fail(images_seen):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        train(Counter(fail), tmp_path, 40, config=CONFIG)
    assert train(Counter(), tmp_path, 40, config=CONFIG).finished
    lines = [line for line in attempts.read(tmp_path) if line["event"] == "end"]
    assert [line["reason"] for line in lines] == ["signal", "error", "finished"]
    assert lines[1]["message"] == "RuntimeError: out of memory" and lines[2]["images_seen"] == 40
    assert attempts.restarts(attempts.read(tmp_path)) == 2


def test_starts_without_progress_end_with_a_message(tmp_path):
    def fail(images_seen):
        if images_seen == 20:
            raise RuntimeError("CUDA is broken")

    once = Limits(checkpoint_minutes=0)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            train(Counter(fail), tmp_path, 40, config=CONFIG, limits=once)
    # the first of them came as far as 20, so four of them started there
    with pytest.raises(RuntimeError):
        train(Counter(fail), tmp_path, 40, config=CONFIG, limits=once)
    with pytest.raises(ValueError, match=r"5 starts in a row at 20 images.*CUDA is broken.*attempts.jsonl"):
        train(Counter(fail), tmp_path, 40, config=CONFIG, limits=once)
    (tmp_path / "attempts.jsonl").unlink()
    assert train(Counter(), tmp_path, 40, config=CONFIG).finished


def test_a_diverged_training_fails_by_name_and_is_not_tried_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    with pytest.raises(attempts.FailedRunError, match="diverged .* loss is no number") as first:
        train(Counter(loss=float("nan")), tmp_path, 400, config=CONFIG)
    with pytest.raises(attempts.FailedRunError) as second:
        train(Counter(), tmp_path, 400, config=CONFIG)
    assert str(second.value) == str(first.value)  # what is recorded of it stays the same
    assert "not tried again; to do so, remove" in capsys.readouterr().out


def test_progress_can_be_read_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    train(Counter(), tmp_path, 20, config=CONFIG)
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == [4, 8, 12, 16, 20]
    assert all(line["images"] == 20 and line["loss"] == 1 and line["seconds_per_kimg"] >= 0 for line in lines)


def test_out_of_memory_says_what_to_do_and_is_written_down(tmp_path):
    def fail(images_seen):
        if images_seen == 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nAnd so on")

    with pytest.raises(ValueError, match="batch of 4: CUDA out of memory. Tried to allocate 20.00 GiB. Give the"):
        train(Counter(fail), tmp_path, 40, config=CONFIG)
    (end,) = [line for line in attempts.read(tmp_path) if line["event"] == "end"]
    assert end["reason"] == "error" and "train_generator:microbatch=8" in end["message"] and end["images_seen"] == 20
    assert train(Counter(), tmp_path, 40, config=CONFIG).finished, "with more memory it goes on"


def test_a_trainee_that_is_done_ends_the_training(tmp_path):
    class Done(Counter):
        @property
        def done(self):
            return self.value > 20

    outcome = train(Done(), tmp_path, 400, config=CONFIG)
    assert outcome.finished and outcome.images_seen < 60
    again = train(Done(lambda seen: pytest.fail("it trains")), tmp_path, 400, config=CONFIG)
    assert again.images_seen == outcome.images_seen and again.finished
