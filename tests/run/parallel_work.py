"""Works several times at once and prints how each ended: python parallel_work.py KIND FOLDER. Used by
test_parallel_trainings.py: what processes do has to be importable."""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import torch

from understudy.run.attempts import FailedRunError
from understudy.run.device_images import DeviceImages
from understudy.run.parallel_trainings import run_together
from understudy.run.stop import stop_signals


def mark(images: DeviceImages, place: int) -> str:
    """Writes into the images that all processes see."""
    images.images_NCHW[place] = 5 + place
    return "finished"


def end_in_its_way(folder: Path, place: int) -> str:
    (folder / str(place)).touch()
    if place == 0:
        raise FailedRunError("diverged")
    if place == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if place == 2:
        raise RuntimeError("a bug")
    return "budget" if place == 4 else "finished"


def until_told(folder: Path, place: int) -> str:
    """As a training: a signal sets a flag."""
    with stop_signals() as received:
        (folder / str(place)).touch()
        for _ in range(600):
            if received:
                return "signal"
            time.sleep(0.05)
    return "finished"


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "mark":
        images = DeviceImages(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), "cpu")
        images.share()
        run_together(partial(mark, images), ["a", "b", "c"], 2)
        print(images.images_NCHW[:, 0, 0, 0].tolist())
        return
    work, names, at_once = {"end": (end_in_its_way, "abcdef", 1), "wait": (until_told, "abc", 2)}[kind]
    endings = run_together(partial(work, folder), list(names), at_once)
    print(json.dumps([[ending.reason, ending.message] for ending in endings]))


if __name__ == "__main__":
    main()
