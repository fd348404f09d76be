"""Trains while being killed: python killed_training.py KIND FOLDER KILLS. Used by test_kill.py.

This process never computes; it forks a child that trains and checkpoints after every iteration, kills it with SIGKILL
at a random moment, forks the next. Forking saves importing torch each time.
"""

import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

import torch
from tiny_generators import SIZE, TINY, generator_of

from understudy.run.stop import Limits
from understudy.run.training_loop import train

IMAGES = 240


def unet(folder: Path):
    from understudy.config.study import complete
    from understudy.segment.segmenter_training import SegmenterTrainee
    from understudy.segment.training_images import load_training_set

    small = {"depth": 3, "base_filters": 4, "samples": IMAGES, "epoch_samples": 40, "batch": 4}
    config = {"datasets": {"x": {"phantom": {}, "test_subjects": 2}}, "segmenters": {"unet": small}}
    config |= {"images": {"size": 16}, "experiments": {"training_sets": ["real"]}}
    options = complete(config)["segmenters"]["unet"]
    data = load_training_set(
        "real", {"real": folder / "train.zip"}, fraction=0.2, limit=9, split_seed=1, seed=5, device="cpu"
    )
    return SegmenterTrainee("unet", options, data, channels=4, classes=4, size=16, augmented=True, seed=5, device="cpu")


def generator(name: str, folder: Path, batch: int = 4):
    from understudy.generate.generator_training import GeneratorTrainee
    from understudy.generate.weights import seeded_build
    from understudy.run.device_images import DeviceImages
    from understudy.stack import Stack

    looks = {"snapshot_samples": 2, "snapshot_kimg": 0.04, "kimg": 2.4}
    built = seeded_build(generator_of(name), 5, SIZE, 5, **TINY[name] | looks | {"batch": batch})
    return GeneratorTrainee(built, DeviceImages(Stack.open(folder / "train.zip").read(), "cpu"), 5, keep=(3, 7))


TRAINEES = {"unet": unet} | {name: partial(generator, name) for name in TINY}


def child(kind: str, folder: Path, run_dir: Path) -> None:
    torch.set_num_threads(1)
    trainee = TRAINEES[kind](folder)
    # a checkpoint per iteration: a kill then falls into a save about as often as into a step
    limits = Limits(checkpoint_minutes=0, attempts=100)
    outcome = train(trainee, run_dir, IMAGES, config={"kind": kind}, limits=limits)
    assert outcome.finished


def run_once(kind: str, folder: Path, run_dir: Path, lifetime: float | None) -> bool:
    """Trains for at most `lifetime` seconds; True where it finished."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        code = 1
        try:
            child(kind, folder, run_dir)
            code = 0
        finally:
            os._exit(code)
    deadline = None if lifetime is None else time.monotonic() + lifetime
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                sys.exit(f"the training failed by itself: {status}")
            return True
        if deadline is not None and time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return False
        time.sleep(0.002)


def main() -> None:
    kind, folder, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    begun = time.monotonic()
    assert run_once(kind, folder, folder / "straight", None)
    straight = time.monotonic() - begun
    host, killed, finished = random.Random(kills), 0, False
    while killed < kills and not finished:
        # up to two thirds of a straight run in all, so that it is not done before the last kill
        finished = run_once(kind, folder, folder / "killed", host.uniform(0.05, 1.3) * straight * 0.5 / kills + 0.15)
        killed += not finished
    if not finished:
        assert run_once(kind, folder, folder / "killed", None)
    print(killed)


if __name__ == "__main__":
    main()
