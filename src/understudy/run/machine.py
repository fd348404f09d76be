"""Where and how long a script runs: device, GPUs, time budget. None of it is part of a result."""

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from . import distributed
from .stop import Limits, leave, reason_of

MARGIN_MINUTES = 20  # of the budget, for the last checkpoint ...
SHORT_MARGIN = (
    0.5  # ... of a short budget a fifth, but that many minutes: the job is some seconds older than this process
)
_PROCESS_START = time.time()


def add_one_device_arguments(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU where one is")
    parser.add_argument("--threads", default=0, type=int, help="CPU threads of torch; 0: its own choice")


def add_device_arguments(parser: argparse._ActionsContainer) -> None:
    add_one_device_arguments(parser)
    parser.add_argument("--gpus", default=0, type=int, help="GPUs to use, which must be there; 0: one, or none")


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every resumable script that say where and how long it runs, not what it computes."""
    group = parser.add_argument_group("machine", "never part of the result's identity")
    group.add_argument("--runs", required=True, type=Path, help="folder of run directories, kept through failures")
    add_device_arguments(group)
    group.add_argument("--budget-min", type=float, help="minutes of the job; it saves and leaves before their end")
    group.add_argument(
        "--margin-min", type=float, help=f"of these, kept for saving; default a fifth, at most {MARGIN_MINUTES}"
    )
    group.add_argument("--checkpoint-min", default=30, type=float, help="minutes between checkpoints")
    group.add_argument(
        "--on-budget",
        default="exit",
        choices=["exit", "requeue"],
        help="at the end of the budget: leave with 75, or have SLURM requeue the job",
    )


def limits(args: argparse.Namespace) -> Limits:
    """Raises ValueError where the budget is all margin."""
    deadline = math.inf
    if args.budget_min is not None:
        margin = args.margin_min
        if margin is None:
            margin = min(MARGIN_MINUTES, max(args.budget_min / 5, SHORT_MARGIN))
        if args.budget_min <= margin:
            raise ValueError(
                f"time budget: found {args.budget_min:g} minutes with a margin of {margin:g}: nothing "
                "could be done. Raise the rule's `runtime`, or lower --margin-min."
            )
        end = min(_PROCESS_START + 60 * args.budget_min, float(os.environ.get("SLURM_JOB_END_TIME", math.inf)))
        deadline = end - 60 * margin
    return Limits(deadline, args.checkpoint_min)


def spread(args: argparse.Namespace) -> set[int] | None:
    """Runs this very command on --gpus GPUs of this machine and returns the exit codes; None where this process does
    the work itself: for one GPU, or as one of torchrun's processes."""
    require_gpus(args)
    if args.gpus < 2 or distributed.is_child():
        return None
    return distributed.run(args.gpus, sys.argv[0], sys.argv[1:])


def spread_or_leave(args: argparse.Namespace) -> bool:
    """As `spread`, for work that its processes do to the end. True: they have finished it. False: it is this one's."""
    codes = spread(args)
    if codes is None:
        return False
    if (reason := reason_of(codes)) != "finished":
        leave(reason, args.on_budget)
    return True


def require_gpus(args: argparse.Namespace) -> None:
    """A job that asked for GPUs and computes on a CPU would waste weeks before anybody looks."""
    if args.device == "cpu" or not args.gpus:
        return
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < args.gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise ValueError(
            f"--gpus {args.gpus}: torch sees {found} here (CUDA_VISIBLE_DEVICES: {visible}), expected {args.gpus}. "
            "Look at `nvidia-smi` on this node (driver, other jobs); to compute on a CPU set `device: cpu`."
        )


@contextmanager
def tensor_float_32(on: bool) -> Iterator[None]:
    """Meanwhile products of fp32 on a GPU round what they multiply to 10 bits of mantissa, or don't."""
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = on
        yield
    finally:
        for kind, was in zip(kinds, before, strict=True):
            kind.allow_tf32 = was


def gpu_found() -> str:
    """Name and memory of the GPU that `auto` takes; empty where there is none."""
    if not torch.cuda.is_available():
        return ""
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / 1e9:.0f} GB"


def use_device(name: str, threads: int = 0) -> torch.device:
    """The device `auto`, `cpu` or `cuda`; TensorFloat-32 is off, so that fp32 means fp32, and cuDNN chooses by timing.

    As one of torchrun's processes: the GPU of its own, and the others are met.
    Raises ValueError where cuda is asked for and there is none.
    """
    if threads:
        torch.set_num_threads(max(1, threads // distributed.world_size()))
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("--device cuda: torch sees no GPU here; use --device cpu, or a node that has one")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device("cpu")
    if name == "cuda" or (name == "auto" and available):
        device = torch.device("cuda", distributed.local_rank())
        torch.cuda.set_device(device)
    distributed.join(device)
    return device


@contextmanager
def named_out_of_memory(batch: int) -> Iterator[None]:
    """A GPU's memory that is too small, as a ValueError that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        total = torch.cuda.get_device_properties(0).total_memory / 1e9 if torch.cuda.is_available() else 0
        raise ValueError(
            f"out of memory on a GPU of {total:.0f} GB with a batch of {batch}: {str(error).splitlines()[0]} Give the "
            "job more GPUs (gpu=2) or one with more memory, a segmenter fewer neighbours (--set-resources "
            "train_segmenter:at_once=1), or a generator smaller forward passes (train_generator:microbatch=8; results "
            "change by rounding alone). The last checkpoint is kept."
        ) from error
