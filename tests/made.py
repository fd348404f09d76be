"""Small data that tests make for themselves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from understudy.evaluate.scores import COLUMNS, LABEL
from understudy.run.checkpoint import flatten
from understudy.run.parts import alone, make_share
from understudy.run.stop import Limits
from understudy.stack import Stack, StackWriter

LEVELS = {"ncr_net": 51, "ed": 102, "et": 204}


def make_stack(path: Path, names: list[str], slices: int, size: int = 16, seed: int = 0, **meta) -> Stack:
    """A stack of noise with a square tumor whose brightness follows its label; every slice passes the slice rule."""
    host = np.random.default_rng(seed)
    head = {
        "channels": ["t1", "t1ce", "t2", "flair", "seg"],
        "labels": LEVELS,
        "height": size,
        "width": size,
        "source": {"dataset": "made"},
        "lineage": sorted(f"identity-{s}" for s in names),
        "subjects": {
            s: {"identity": f"identity-{s}", "spacing_mm": [1.0, 1.0, 1.0], "included": list(range(slices))}
            for s in names
        },
        **meta,
    }
    with StackWriter(path, head) as writer:
        for subject in names:
            for number in range(slices):
                x_CHW = host.integers(20, 60, (5, size, size), dtype=np.uint8)
                x_CHW[-1] = 0
                row, column = host.integers(1, size // 2, 2)
                for label, level in enumerate(LEVELS.values()):
                    part = (
                        slice(row + label, row + size // 2 - label),
                        slice(column + label, column + size // 2 - label),
                    )
                    x_CHW[:4, part[0], part[1]] = 100 + 40 * label
                    x_CHW[-1][part] = level
                writer.add(f"{subject}/{number:03d}.png", x_CHW)
    return Stack.open(path)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def real_images(n: int = 8, size: int = 16, channels: int = 5) -> torch.Tensor:
    """Noise in place of real images, in [-1, 1]."""
    return torch.rand(n, channels, size, size, generator=rng(7)) * 2 - 1


def grey_images(n: int = 8, size: int = 16, channels: int = 2) -> torch.Tensor:
    """The same of whole grey levels."""
    return torch.randint(0, 256, (n, channels, size, size), generator=rng(7)) / 127.5 - 1


def subject_images(seed: int, slices: int = 4, size: int = 32) -> torch.Tensor:
    """Smooth images (slices, 3, size, size) uint8 of one subject: neighbouring slices are alike."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=rng) + 0.1 * torch.rand(slices, 3, 6, 6, generator=rng)
    x_NCHW = F.interpolate(coarse, size=size, mode="bicubic")
    return (255 * (x_NCHW / 1.2).clamp(0, 1)).to(torch.uint8)


def iterations(schedule, images: int) -> Iterator[int]:
    """Images seen at the beginning of every iteration of a growing training."""
    seen = 0
    while seen < images:
        yield seen
        seen += schedule.batch_at(seen)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def assert_same_state(actual: dict, expected: dict) -> None:
    """Bit for bit, of what a checkpoint would hold."""
    (tensors, values), (expected_tensors, expected_values) = flatten(actual), flatten(expected)
    assert values == expected_values and tensors.keys() == expected_tensors.keys() and tensors
    for name, tensor in expected_tensors.items():
        assert torch.equal(tensors[name], tensor), name


def finished_here(work, result, limits=None):
    """What run.parts.finish does on one CPU: (why it ended, result())."""
    limits = limits or Limits()
    return alone(work, limits, lambda: make_share(work, torch.device("cpu"), limits), result)


def score_row(**values) -> dict:
    """A row of scores.csv, of a label; what is not given is undefined."""
    return {**dict.fromkeys(COLUMNS, float("nan")), "kind": LABEL, "failure": "", **values}
