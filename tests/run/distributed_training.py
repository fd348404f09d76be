"""One of torchrun's processes, or a single one: python distributed_training.py KIND FOLDER RUN IMAGES.

Used by test_distributed.py. Trains to IMAGES images with a checkpoint at the end.
"""

import sys
from pathlib import Path

import killed_training
import torch

from understudy.run import distributed, machine
from understudy.run.training_loop import train


def main() -> None:
    kind, folder, run_dir, images = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    machine.use_device("cpu", 1)
    torch.set_num_threads(1)
    trainee = killed_training.TRAINEES[kind](folder, *([] if kind == "unet" else [8]))
    outcome = train(trainee, run_dir, images, config={"kind": kind})
    assert outcome.finished and outcome.images_seen == images
    print("process", distributed.rank(), "of", distributed.world_size())


if __name__ == "__main__":
    main()
