"""One of torchrun's processes: python distributed_training.py FOLDER RUN IMAGES KIND...

Used by test_distributed.py. Trains each kind to IMAGES images, with a checkpoint at the end, in FOLDER/RUN-KIND.
"""

import sys
from pathlib import Path

import killed_training
import torch

from understudy.run import distributed, machine
from understudy.run.training_loop import train


def train_to(kind: str, folder: Path, run_dir: Path, images: int) -> None:
    trainee = killed_training.TRAINEES[kind](folder, *([] if kind == "unet" else [8]))
    outcome = train(trainee, run_dir, images, config={"kind": kind})
    assert outcome.finished and outcome.images_seen == images


def main() -> None:
    folder, run, images, *kinds = sys.argv[1:]
    machine.use_device("cpu", 1)
    torch.set_num_threads(1)
    for kind in kinds:
        train_to(kind, Path(folder), Path(folder, f"{run}-{kind}"), int(images))
    # in one piece: print writes word by word where output is not buffered, and the two processes share a pipe
    sys.stdout.write(f"process {distributed.rank()} of {distributed.world_size()}\n")


if __name__ == "__main__":
    main()
