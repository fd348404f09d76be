"""Measuring on the device at hand: seconds per thousand images of a real step, power, memory."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .flops import count_flops

WARM_UP = 1 / 6  # of the time: kernels are chosen and memory is taken, which happens once in a training
FEWEST = 2  # steps, however long one takes


@dataclass
class Pace:
    steps: int
    seconds: float
    images: int

    @property
    def seconds_per_kimg(self) -> float:
        return 1000 * self.seconds / self.images


def pace(step: Callable[[int], int], seconds: float, device: torch.device) -> Pace:
    """Calls step(images so far) -> images, for about `seconds` after a warm-up, without waiting for the device between
    steps: as a training does."""
    position = _repeat(step, 0, WARM_UP * seconds, device).images
    return _repeat(step, position, seconds, device)


def _repeat(step: Callable[[int], int], position: int, seconds: float, device: torch.device) -> Pace:
    steps, first = 0, position
    begun = time.perf_counter()
    while steps < FEWEST or time.perf_counter() - begun < seconds:
        position += step(position)
        steps += 1
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Pace(steps, time.perf_counter() - begun, position - first)


def matmul_rate(device: torch.device, dtype: torch.dtype, n: int | None = None) -> float:
    """FLOP/s of a product of square matrices."""
    n = n or (8192 if device.type == "cuda" else 1024)
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    flops = count_flops(lambda: a @ b)

    def product(_: int) -> int:
        torch.mm(a, b)
        return 1

    return flops * 1000 / pace(product, 0.5, device).seconds_per_kimg


@dataclass
class Power:
    """Readings of a GPU's power."""

    watts: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float | None:
        return round(sum(self.watts) / len(self.watts), 1) if self.watts else None


@contextmanager
def watched_power(device: torch.device) -> Iterator[Power]:
    """Reads the power of a GPU twice a second while the block runs; no readings on a CPU or without nvidia-smi."""
    power = Power()
    if device.type != "cuda" or not shutil.which("nvidia-smi"):
        yield power
        return
    uuid = torch.cuda.get_device_properties(device).uuid
    query = ["nvidia-smi", f"--id=GPU-{uuid}", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-lms", "500"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield power
        finally:
            process.terminate()
            said, _ = process.communicate()
    power.watts += numbers(said)


def numbers(text: str) -> list[float]:
    """The lines that are numbers; a GPU that tells nothing says [N/A]."""
    found = []
    for line in text.split("\n"):
        try:
            found.append(float(line))
        except ValueError:
            continue
    return found


def device_name(device: torch.device) -> str:
    """Such as "NVIDIA H100 80GB HBM3", or "CPU, 2 threads (AMD EPYC ...)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().split("\n") if Path("/proc/cpuinfo").is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown model")
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads > 1)} ({model})"


def peak_memory_mb(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
