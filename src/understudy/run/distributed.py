"""Several processes that train one network, a GPU each: torchrun's environment, sums over processes, decisions.

Every process sees the whole batch, draws all its random numbers, and computes its share of it; gradients are summed
as one flat tensor. So the order of images and the numbers drawn do not depend on the number of processes, and a
training may go on with another number than it began with. (DistributedDataParallel cannot: it does not support the
second derivatives of gradient penalties.)

Without torchrun's environment there is one process, and every function here is the identity.
"""

import os
import sys
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

SILENCE = timedelta(minutes=30)  # a process that the others wait for so long is dead: all leave


def is_child() -> bool:
    """Whether torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def rank() -> int:
    return int(os.environ["RANK"]) if is_child() else 0


def world_size() -> int:
    return int(os.environ["WORLD_SIZE"]) if is_child() else 1


def local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", 0))


def join(device: torch.device) -> None:
    """Meets the other processes. Decisions go over the CPU, gradients over what `device` is."""
    if world_size() > 1 and not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=SILENCE)


def run(processes: int, script: str, arguments: list[str]) -> set[int]:
    """Runs `python script arguments` as so many processes on this machine (torchrun); returns their exit codes.

    Where one fails, the others get SIGTERM, and half a minute later SIGKILL.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=f"understudy-{os.getpid()}",
        max_restarts=0,
        monitor_interval=0.5,
    )
    try:
        elastic_launch(config, sys.executable)("-u", script, *arguments)
    except ChildFailedError as error:
        return {failure.exitcode for failure in error.failures.values()}
    except SignalException as error:
        return {int(error.sigval)}
    return {0}


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum over processes, in place."""
    if world_size() > 1:
        dist.all_reduce(x)
    return x


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Adds up `.grad` over processes: one flat tensor, one all-reduce."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = all_reduce_sum(torch.cat([g.reshape(-1) for g in gradients]))
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def total(x: Tensor) -> Tensor:
    """The sum over processes as a value, with the gradient of this process's part.

    A loss that is a function of such sums has, once gradients are added up over processes, the gradient of the whole.
    """
    return x if world_size() == 1 else x + (all_reduce_sum(x.detach().clone()) - x.detach())


def mean(x: Tensor) -> Tensor:
    """The mean over all elements of all processes, without a gradient; each has as many."""
    return all_reduce_sum(x.detach().mean()) / world_size()


def share(x: Tensor | range) -> Tensor | range:
    """This process's part of a batch: every world_size-th element."""
    return x[rank() :: world_size()]


def agree(value: int) -> int:
    """The value of process 0, in all of them."""
    if world_size() == 1:
        return value
    shared = torch.tensor([value])
    dist.broadcast(shared, 0)
    return int(shared)
