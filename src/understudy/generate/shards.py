"""The images of a sampling that is under way: shards in its run directory, each whole or not there.

A shard is a stack of any images of the sampling. An image is missing if no shard holds it, so nothing is drawn twice.
The result does not depend on how the work was divided (shards, GPUs, interruptions): image i is a function of (weights,
seed, i). A shard is closed at the end of the checkpoint interval; a kill loses the images that are not in a shard yet.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from understudy.stack.archive import DamagedImageError, Stack, StackWriter, encode_png

BLOCK = 64  # images between two hand-overs from the device to the encoders


def image_name(index: int) -> str:
    return f"{index:06d}.png"


def open_shards(folder: Path) -> list[Stack]:
    """The sound shards. One that cannot be read is named and set aside: its images are made again."""
    stacks = []
    for path in sorted(folder.glob("shard-*.zip")):
        try:
            stacks.append(Stack.open(path))
        except ValueError as error:
            set_aside(path, str(error))
    return stacks


def set_aside(path: Path, reason: str) -> None:
    print(f"damaged shard {path}: {reason}; its images are made again", flush=True)
    path.rename(path.with_suffix(".damaged"))


def places(stacks: Iterable[Stack]) -> dict[int, tuple[Stack, int]]:
    """image index -> (shard, place in it)."""
    return {int(Path(name).stem): (stack, i) for stack in stacks for i, name in enumerate(stack.names)}


def missing_blocks(held: Iterable[int], count: int) -> list[range]:
    """What is left to draw: runs of indices that no shard holds, none longer than BLOCK or across its multiples."""
    held, blocks = set(held), []
    for first in range(0, count, BLOCK):
        start = None
        for index in range(first, min(first + BLOCK, count)):
            if index not in held and start is None:
                start = index
            elif index in held and start is not None:
                blocks.append(range(start, index))
                start = None
        if start is not None:
            blocks.append(range(start, min(first + BLOCK, count)))
    return blocks


def encoded(blocks: Iterable[tuple[range, np.ndarray]], threads: int) -> Iterator[tuple[int, bytes]]:
    """(index, PNG) in order; the device computes a block while the two before it are encoded."""
    waiting: deque[tuple[range, Iterator[bytes]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for indices, x_NCHW in blocks:
            waiting.append((indices, pool.map(encode_png, x_NCHW)))
            if len(waiting) > 2:
                yield from zip(*waiting.popleft(), strict=True)
        for indices, pngs in waiting:
            yield from zip(indices, pngs, strict=True)


def write_shards(
    folder: Path,
    meta: dict,
    blocks: list[range],
    draw: Callable[[range], np.ndarray],
    *,
    threads: int,
    minutes: float,
    stop: Callable[[float], bool],
    made: Callable[[int], None],
) -> None:
    """Draws the blocks into shards of at most `minutes` each, until `stop`.

    Args:
        draw: indices -> uint8 (N, C, H, W). made: is told of every block drawn, by its length.
        stop: is asked before every block, with the seconds that the one before it took.
    """
    left, took = deque(blocks), 0.0

    def until(end: float) -> Iterator[tuple[range, np.ndarray]]:
        nonlocal took
        while left:
            begun = time.monotonic()
            block = left.popleft()
            yield block, draw(block)
            took = time.monotonic() - begun
            made(len(block))
            if time.monotonic() >= end or stop(took):
                return

    while left and not stop(took):
        with StackWriter(folder / f"shard-{left[0].start:09d}.zip", meta) as writer:
            for index, png in encoded(until(time.monotonic() + 60 * minutes), threads):
                writer.add_png(image_name(index), png)


def join_shards(folder: Path, output: Path, meta: dict, count: int) -> bool:
    """Writes the stack `output` of images 0 ... count - 1. False where a shard turned out to be damaged, which is then
    set aside."""
    held = places(open_shards(folder))
    stack = None
    try:
        with StackWriter(output, meta) as writer:
            for index in range(count):
                stack, place = held[index]
                writer.add_png(image_name(index), stack.checked_png(place))
    except DamagedImageError as error:
        set_aside(stack.path, str(error))
        return False
    return True
